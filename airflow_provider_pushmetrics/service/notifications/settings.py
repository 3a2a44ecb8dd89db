"""What has to be set to send mail and messages to Slack."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from enum import Enum
from urllib.parse import urlsplit

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError, PushMetricsParameterError
from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.service.egress.rules import is_loopback
from airflow_provider_pushmetrics.service.notifications.recipients import check_address

SMTP_PREFIX = "PUSHMETRICS_SERVICE_SMTP_"
SLACK_PREFIX = "PUSHMETRICS_SERVICE_SLACK_"
SLACK_URL = "https://slack.com/api/"

_HELO = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?\Z|\[[0-9A-Za-z.:]{2,60}\]\Z")


class Security(Enum):
    """How the connection to an SMTP server is encrypted."""

    STARTTLS = "starttls"
    """It begins in the clear and must become TLS before anything is said."""
    TLS = "tls"
    """It is TLS from the first byte."""
    NONE = "none"
    """It is not; for servers on this machine or in a network that is trusted."""


DEFAULT_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


@dataclass(frozen=True)
class SmtpSettings:
    """
    The server that takes our mail.

    :param host: Its name or address.
    :param sender: Who the mail is from: ``reports@example.com`` or ``Reports <reports@example.com>``.
    :param port: Where it listens; 587, 465 or 25 by the security, unless given.
    :param user: Who we are to it, if it asks.
    :param password: The user's password.
    :param security: How the connection is encrypted.
    :param helo: The name that the service gives itself in HELO; that of this machine, unless given.
    :param timeout_seconds: How long one step of the conversation may take; all of it, twice as long.
    """

    host: str
    sender: str
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    security: Security = Security.STARTTLS
    helo: str | None = None
    timeout_seconds: float = 30.0


def read_smtp_settings(environ: Mapping[str, str]) -> SmtpSettings | None:
    """
    Read ``PUSHMETRICS_SERVICE_SMTP_HOST`` and its siblings, as the documentation lists them.

    :return: None when none is set: then mail is kept and not sent.
    :raises PushMetricsConfigurationError: if they are incomplete or contradict each other.
    """
    names = ("HOST", "PORT", "USER", "PASSWORD", "SECURITY", "SENDER", "HELO")
    given = {name: value for name in names if (value := environ.get(SMTP_PREFIX + name, "").strip())}
    if not given:
        return None
    for name in ("HOST", "SENDER"):
        if name not in given:
            raise PushMetricsConfigurationError(
                f"{SMTP_PREFIX}{name} is not set, but {SMTP_PREFIX}{min(given)} is: mail needs a server"
                f" and a sender. Set {SMTP_PREFIX}{name}, or none of them to keep mail without sending it."
            )
    settings = SmtpSettings(
        host=given["HOST"],
        sender=given["SENDER"],
        port=_parse_port(given.get("PORT")),
        user=given.get("USER"),
        password=given.get("PASSWORD"),
        security=_parse_security(given.get("SECURITY", Security.STARTTLS.value)),
        helo=_parse_helo(given.get("HELO")),
    )
    check_smtp_settings(settings)
    return settings


def check_smtp_settings(settings: SmtpSettings) -> None:
    """
    Check that mail can be sent like this.

    :raises PushMetricsConfigurationError: if not. The message never holds the password.
    """
    if (settings.user is None) != (settings.password is None):
        raise PushMetricsConfigurationError(
            f"{SMTP_PREFIX}USER and {SMTP_PREFIX}PASSWORD belong together: set both,"
            " or neither if the server asks for none."
        )
    if not f"{settings.user or ''}{settings.password or ''}".isascii():
        raise PushMetricsConfigurationError(
            f"{SMTP_PREFIX}USER or {SMTP_PREFIX}PASSWORD has letters that are not ASCII, which SMTP logins"
            " cannot carry: give the account another one."
        )
    if settings.user and settings.security is Security.NONE and not is_loopback(settings.host):
        raise PushMetricsConfigurationError(
            f"{SMTP_PREFIX}SECURITY is 'none', so the password would go to {settings.host!r} for"
            " everybody to read: use 'starttls' or 'tls', or a server that asks for no password."
        )
    try:
        check_address(parseaddr(settings.sender)[1])
    except PushMetricsParameterError as error:
        raise PushMetricsConfigurationError(
            f"{SMTP_PREFIX}SENDER is {settings.sender!r}, which is not a mail address: write it as"
            " 'reports@example.com' or 'Reports <reports@example.com>'."
        ) from error


@dataclass(frozen=True)
class SlackSettings:
    """
    The Slack workspace that takes our messages.

    :param token: The bot's token, with the scope ``chat:write``.
    :param base_url: Where the API is.
    :param timeout_seconds: How long one call may take.
    """

    token: str = field(repr=False)
    base_url: str = SLACK_URL
    timeout_seconds: int = 15


def read_slack_settings(environ: Mapping[str, str]) -> SlackSettings | None:
    """
    Read ``PUSHMETRICS_SERVICE_SLACK_TOKEN`` and ``_BASE_URL``.

    :return: None when there is no token: then there is no Slack integration.
    :raises PushMetricsConfigurationError: if the token would travel in the clear.
    """
    token = environ.get(SLACK_PREFIX + "TOKEN", "").strip()
    base_url = environ.get(SLACK_PREFIX + "BASE_URL", "").strip() or SLACK_URL
    parts = urlsplit(base_url)
    if not token:
        return None
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise PushMetricsConfigurationError(
            f"{SLACK_PREFIX}BASE_URL is {redact(base_url)!r}, where the token could be read on its way:"
            f" it must begin with 'https://', like {SLACK_URL!r}."
        )
    return SlackSettings(token, base_url)


def _parse_port(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise PushMetricsConfigurationError(
            f"{SMTP_PREFIX}PORT is {text!r}: it must be a number from 1 to 65535."
        )
    return int(text)


def _parse_helo(text: str | None) -> str | None:
    if text is not None and not _HELO.match(text):
        raise PushMetricsConfigurationError(
            f"{SMTP_PREFIX}HELO is {text!r}: it must be a host name such as 'push.example.com', or an address"
            " in brackets such as '[192.0.2.1]'."
        )
    return text


def _parse_security(text: str) -> Security:
    try:
        return Security(text.lower())
    except ValueError:
        raise PushMetricsConfigurationError(
            f"{SMTP_PREFIX}SECURITY is {text!r}: it must be 'starttls', 'tls' or 'none'."
        ) from None
