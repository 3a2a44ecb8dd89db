"""The settings of the mail server and of Slack."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from email.utils import parseaddr
from enum import Enum
from typing import ClassVar
from urllib.parse import urlsplit

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError, PushMetricsParameterError
from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.serving.options import option, parse_environment, read_environment

_HELO = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?\Z|\[[0-9A-Za-z.:]{2,60}\]\Z")


class Security(Enum):
    """How the connection to an SMTP server is encrypted."""

    STARTTLS = "starttls"
    """The connection begins unencrypted, and must change to TLS before anything else."""
    TLS = "tls"
    """TLS from the first byte."""
    NONE = "none"
    """No encryption, for servers on this machine or in a trusted network."""

    @classmethod
    def _missing_(cls, value: object) -> Security | None:
        """Accept upper case."""
        return next((one for one in cls if one.value == str(value).lower()), None)


DEFAULT_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


@dataclass(frozen=True)
class SmtpSettings:
    """
    The mail server.

    :param timeout_seconds: The time limit of one step of a conversation. That of the whole is twice as long.
    """

    PREFIX: ClassVar = "PUSHMETRICS_SERVICE_SMTP_"

    host: str = option(MISSING, "The mail server; without one, mail is kept and not sent.", flag="")
    sender: str = option(MISSING, "Such as reports@example.com or Reports <reports@example.com>.", flag="")
    port: int | None = option(None, "By default 587, 465 or 25 by the security.", flag="", ge=1, le=65535)
    user: str | None = option(None, "The user to log in, if the server asks for one.", flag="")
    password: str | None = option(None, "The user's password.", flag="", secret=True)
    security: Security = option(Security.STARTTLS, "The encryption: starttls, tls or none.", flag="")
    helo: str | None = option(None, "The name in HELO; by default the machine's.", flag="")
    timeout_seconds: float = 30.0


@dataclass(frozen=True)
class SlackSettings:
    """
    The Slack workspace.

    :param timeout_seconds: The time limit of one request.
    """

    PREFIX: ClassVar = "PUSHMETRICS_SERVICE_SLACK_"

    token: str = option(
        MISSING,
        "A bot's token with the scope chat:write; without one, Slack blocks fail.",
        flag="",
        secret=True,
    )
    base_url: str = option("https://slack.com/api/", "Where the API of Slack is.", flag="")
    timeout_seconds: int = 15


def read_smtp_settings(environ: Mapping[str, str]) -> SmtpSettings | None:
    """
    Read ``PUSHMETRICS_SERVICE_SMTP_HOST`` and its siblings.

    :return: None when none is set: then mail is kept and not sent.
    :raises PushMetricsConfigurationError: if they are incomplete or contradict each other.
    """
    if not any(text.strip() for text in read_environment(SmtpSettings, environ).values()):
        return None
    settings = parse_environment(SmtpSettings, environ)
    check_smtp_settings(settings)
    return settings


def check_smtp_settings(settings: SmtpSettings) -> None:
    """
    Check that mail can be sent with these settings.

    :raises PushMetricsConfigurationError: if not. The message never holds the password.
    """
    # Imported here: the command line imports this module only for its help.
    from airflow_provider_pushmetrics.service.egress.rules import is_loopback
    from airflow_provider_pushmetrics.service.notifications.recipients import check_address

    if (settings.user is None) != (settings.password is None):
        raise PushMetricsConfigurationError(
            f"{settings.PREFIX}USER and {settings.PREFIX}PASSWORD belong together: set both,"
            " or neither if the server asks for none."
        )
    if not f"{settings.user or ''}{settings.password or ''}".isascii():
        raise PushMetricsConfigurationError(
            f"{settings.PREFIX}USER or {settings.PREFIX}PASSWORD has letters that are not ASCII, which SMTP"
            " logins cannot carry: give the account another one."
        )
    if settings.user and settings.security is Security.NONE and not is_loopback(settings.host):
        raise PushMetricsConfigurationError(
            f"{settings.PREFIX}SECURITY is 'none', so the password would go to {settings.host!r} for"
            " everybody to read: use 'starttls' or 'tls', or a server that asks for no password."
        )
    if settings.helo is not None and not _HELO.match(settings.helo):
        raise PushMetricsConfigurationError(
            f"{settings.PREFIX}HELO is {settings.helo!r}: it must be a host name such as 'push.example.com',"
            " or an address in brackets such as '[192.0.2.1]'."
        )
    try:
        check_address(parseaddr(settings.sender)[1])
    except PushMetricsParameterError as error:
        raise PushMetricsConfigurationError(
            f"{settings.PREFIX}SENDER is {settings.sender!r}, which is not a mail address: write it as"
            " 'reports@example.com' or 'Reports <reports@example.com>'."
        ) from error


def read_slack_settings(environ: Mapping[str, str]) -> SlackSettings | None:
    """
    Read ``PUSHMETRICS_SERVICE_SLACK_TOKEN`` and ``_BASE_URL``.

    :return: None when there is no token: then there is no Slack integration.
    :raises PushMetricsConfigurationError: if the token would travel in the clear.
    """
    from airflow_provider_pushmetrics.service.egress.rules import is_loopback

    if not read_environment(SlackSettings, environ).get("token", "").strip():
        return None
    settings = parse_environment(SlackSettings, environ)
    parts = urlsplit(settings.base_url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise PushMetricsConfigurationError(
            f"{settings.PREFIX}BASE_URL is {redact(settings.base_url)!r}, where the token could be read on"
            " its way: it must begin with 'https://', like 'https://slack.com/api/'."
        )
    return settings
