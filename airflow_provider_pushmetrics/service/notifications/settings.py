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
    """The connection starts unencrypted, and changes to TLS before anything else is sent."""
    TLS = "tls"
    """The connection uses TLS from the start."""
    NONE = "none"
    """No encryption: for servers on this machine or in a trusted network."""

    @classmethod
    def _missing_(cls, value: object) -> Security | None:
        """Accept upper case."""
        return next((one for one in cls if one.value == str(value).lower()), None)


DEFAULT_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


@dataclass(frozen=True)
class SmtpSettings:
    """
    The mail server.

    :param timeout_seconds: The time limit of one step of an SMTP session. A session may take twice as long.
    """

    PREFIX: ClassVar = "PUSHMETRICS_SERVICE_SMTP_"

    host: str = option(MISSING, "The mail server. Without one, mails are stored but not sent.", flag="")
    sender: str = option(
        MISSING, "The sender's address: reports@example.com or Reports <reports@example.com>.", flag=""
    )
    port: int | None = option(
        None, "The port; by default 587 for starttls, 465 for tls, 25 for none.", flag="", ge=1, le=65535
    )
    user: str | None = option(None, "The user name, if the server requires a login.", flag="")
    password: str | None = option(None, "The password of the user.", flag="", secret=True)
    security: Security = option(Security.STARTTLS, "The encryption: starttls, tls or none.", flag="")
    helo: str | None = option(None, "The host name in HELO; by default, that of the machine.", flag="")
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
        "The token of a bot with the scope chat:write. Without one, Slack blocks fail.",
        flag="",
        secret=True,
    )
    base_url: str = option("https://slack.com/api/", "The URL of Slack's API.", flag="")
    timeout_seconds: int = 15


def read_smtp_settings(environ: Mapping[str, str]) -> SmtpSettings | None:
    """
    Read the variables ``PUSHMETRICS_SERVICE_SMTP_…``.

    :return: None if none is set: mails are then stored but not sent.
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

    :raises PushMetricsConfigurationError: if not. The message never contains the password.
    """
    # Imported here: the command line imports this module only for its help.
    from airflow_provider_pushmetrics.service.egress.rules import is_loopback
    from airflow_provider_pushmetrics.service.notifications.recipients import check_address

    if (settings.user is None) != (settings.password is None):
        raise PushMetricsConfigurationError(
            f"{settings.PREFIX}USER and {settings.PREFIX}PASSWORD must be set together: set both,"
            " or neither if the server requires no login."
        )
    if not f"{settings.user or ''}{settings.password or ''}".isascii():
        raise PushMetricsConfigurationError(
            f"{settings.PREFIX}USER or {settings.PREFIX}PASSWORD has characters that are not ASCII, which"
            " SMTP logins do not support: use a user name and a password of ASCII characters."
        )
    if settings.user and settings.security is Security.NONE and not is_loopback(settings.host):
        raise PushMetricsConfigurationError(
            f"{settings.PREFIX}SECURITY is 'none', so the password would be sent to {settings.host!r} without"
            " encryption: use 'starttls' or 'tls', or a server that requires no login."
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
            f"{settings.PREFIX}SENDER is {settings.sender!r}, which is not a mail address: set it to an"
            " address such as 'reports@example.com' or 'Reports <reports@example.com>'."
        ) from error


def read_slack_settings(environ: Mapping[str, str]) -> SlackSettings | None:
    """
    Read ``PUSHMETRICS_SERVICE_SLACK_TOKEN`` and ``_BASE_URL``.

    :return: None if there is no token: Slack blocks then fail.
    :raises PushMetricsConfigurationError: if the token would be sent without encryption.
    """
    from airflow_provider_pushmetrics.service.egress.rules import is_loopback

    if not read_environment(SlackSettings, environ).get("token", "").strip():
        return None
    settings = parse_environment(SlackSettings, environ)
    parts = urlsplit(settings.base_url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise PushMetricsConfigurationError(
            f"{settings.PREFIX}BASE_URL is {redact(settings.base_url)!r}, so the token would be sent without"
            " encryption: it must begin with 'https://', such as 'https://slack.com/api/'."
        )
    return settings
