"""The options of a receiver, each declared once, and the settings that are built from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import ClassVar, Literal

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.serving.options import (
    connections_option,
    listen_url_option,
    log_format_option,
    option,
    wait_option,
)

MAX_BODY_BYTES = 1024 * 1024
MAX_SOURCE_NAME_LENGTH = 100

INBOX = "Where events are kept: sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."


@dataclass(frozen=True, kw_only=True)
class InboxOptions:
    """The options of an inbox."""

    PREFIX: ClassVar = "PUSHMETRICS_RECEIVER_"

    inbox: str = option("sqlite:///pushmetrics-inbox.db", INBOX, secret=True)
    # At most a hundred years: Python's calendar begins with the year 1.
    keep_days: float | None = option(
        None, "Delete events that are older than this number of days.", gt=0, le=36_500
    )
    listen_database_url: str | None = listen_url_option()


@dataclass(frozen=True, kw_only=True)
class ArchiveOptions(InboxOptions):
    """The options of a backup. The inbox must be named: that of a receiver in Airflow is elsewhere."""

    inbox: str = option("", INBOX, secret=True)


@dataclass(frozen=True, kw_only=True)
class ReceiverOptions(InboxOptions):
    """The options of a receiver, wherever it runs."""

    source: str = option("pushmetrics", "The name of the sender in its URL: …/webhooks/NAME.")
    token: str | None = option(
        None,
        "The token of the sender, sent as ?token=, Bearer, or the password of Basic authentication.",
        secret=True,
    )
    signing_secrets: tuple[str, ...] = option(
        (),
        "A whsec_… secret of the sender's Standard Webhooks signatures; several during a rotation.",
        flag="signing-secret",
        secret=True,
    )
    reader_token: str | None = option(
        None,
        "The Bearer token of readers: the connection's extra receiver_token.",
        secret=True,
    )
    lenient_content_type: bool = option(
        False, "Accept JSON of the sender also as text/plain, as a list of types, and with a UTF-8 BOM."
    )


@dataclass(frozen=True, kw_only=True)
class StandaloneOptions(ReceiverOptions):
    """The options of ``pushmetrics receiver``."""

    host: str = option("127.0.0.1", "The address to listen on.")
    port: int = option(8091, "The port to listen on; 0 for a free one.", ge=0, le=65535)
    sources: str = option(
        "", "Further senders: a JSON list, or the name of a file that contains one.", secret=True
    )
    trusted_proxies: str = option(
        "", "Trust X-Forwarded-For from these addresses, separated by commas; by default from none."
    )
    connections_per_address: int = connections_option()
    wait_for_database_seconds: float = wait_option("PostgreSQL")
    log_format: Literal["text", "json"] = log_format_option()
    access_log: bool = option(True, "Log a line for each request, without its query string.")


@dataclass(frozen=True, kw_only=True)
class MountedOptions(ReceiverOptions):
    """The options of the receiver in Airflow's API server: section ``[pushmetrics]`` of ``airflow.cfg``."""

    receiver_connection: str = option(
        "",
        "The id of the connection that configures the receiver. Its password is the reader token. Its extra"
        " may contain the other options, networks, rate_per_minute and sources, and counts before options"
        " here. Its credentials are read again within a minute.",
    )
    source_connections: tuple[str, ...] = option(
        (),
        "The ids of connections that are further senders, separated by commas. The password is the token."
        " They are read again within a minute.",
    )
    inbox: str = option("sqlite:///{AIRFLOW_HOME}/pushmetrics-inbox.db", INBOX, secret=True)


@dataclass(frozen=True)
class SourceSettings:
    """
    One sender of webhooks. It authenticates with a token, with a signature, or with either.

    :param name: Its name in the path ``/webhooks/{name}`` and in every event.
    :param token: Its token, sent as ``?token=``, Bearer or Basic password.
    :param signing_secrets: Every ``whsec_…`` secret that is valid now.
    :param networks: The networks from which it may send, such as ``10.0.0.0/8``; any if empty.
    :param rate_per_minute: Its rate limit in webhooks a minute; None for no limit.
    :param lenient_content_type: Accept JSON as ``text/plain``, as a list of types, and with a UTF-8 BOM.
    """

    name: str
    token: str | None = field(default=None, repr=False)
    signing_secrets: tuple[str, ...] = field(default=(), repr=False)
    networks: tuple[str, ...] = ()
    rate_per_minute: int | None = None
    lenient_content_type: bool = False

    def __post_init__(self) -> None:
        if (
            not 0 < len(self.name) <= MAX_SOURCE_NAME_LENGTH
            or "/" in self.name
            or not self.name.isprintable()
        ):
            raise PushMetricsConfigurationError(
                f"the source name {self.name!r} is not valid: it must be 1 to {MAX_SOURCE_NAME_LENGTH}"
                " printable characters without '/', because it is part of the URL /webhooks/{source}."
            )
        if not self.token and not self.signing_secrets:
            raise PushMetricsConfigurationError(
                f"source {self.name!r} has no credential, and anybody could deliver to it: set its token"
                " (--token, or 'token' where it is configured) or a signing secret (--signing-secret, or"
                " 'signing_secrets')."
            )
        self._check_limits()

    def _check_limits(self) -> None:
        for network in self.networks:
            try:
                ip_network(network)
            except ValueError as error:
                raise PushMetricsConfigurationError(
                    f"source {self.name!r} has a network that is none: {error}. Write it as 10.1.0.0/16."
                ) from None
        if self.rate_per_minute is not None and self.rate_per_minute < 1:
            raise PushMetricsConfigurationError(
                f"source {self.name!r} may deliver {self.rate_per_minute!r} events a minute: it must be at"
                " least 1; leave it out for no limit."
            )


@dataclass(frozen=True)
class ReceiverSettings:
    """
    The settings of a receiver.

    :param inbox: The SQLAlchemy URL of the inbox.
    :param sources: The senders.
    :param reader_token: The Bearer token of readers.
    :param body_timeout_seconds: How long a sender may take to send its body.
    :param keep_days: The age at which events are deleted; None keeps them.
    :param listen_url: The URL of the inbox without a pooler, if there is a pooler.
    """

    inbox: str = field(repr=False)  # a PostgreSQL URL contains a password
    sources: tuple[SourceSettings, ...]
    reader_token: str = field(repr=False)
    body_timeout_seconds: float = 10.0
    keep_days: float | None = None
    listen_url: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.sources:
            raise PushMetricsConfigurationError(
                "the receiver has no source, so nobody could deliver: set a token (--token or 'token') or a"
                " signing secret (--signing-secret or 'signing_secrets')."
            )
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise PushMetricsConfigurationError(
                f"a source is named twice in {names!r}: give each its own name."
            )
        if not self.reader_token:
            raise PushMetricsConfigurationError(
                "the receiver has no reader token, and anybody could read its events: set one"
                " (--reader-token, or 'reader_token' where it is configured)."
            )


def build_settings(options: ReceiverOptions, sources: Iterable[SourceSettings]) -> ReceiverSettings:
    """
    Build the settings of a receiver from its options.

    :param sources: All senders; the options describe the first one.
    :raises PushMetricsConfigurationError: if no sender is configured, or readers need no token.
    """
    return ReceiverSettings(
        inbox=options.inbox,
        sources=tuple(sources),
        reader_token=options.reader_token or "",
        keep_days=options.keep_days,
        listen_url=options.listen_database_url or None,
    )
