"""What can be set on a receiver: said once, for the command line, the environment and ``airflow.cfg``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_network

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.retention import Retention

ENVIRONMENT_PREFIX = "PUSHMETRICS_RECEIVER_"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8091
DEFAULT_INBOX = "sqlite:///pushmetrics-inbox.db"
DEFAULT_SOURCE = "pushmetrics"
MAX_BODY_BYTES = 1024 * 1024
MAX_SOURCE_NAME_LENGTH = 100

HELP = {
    "host": "The address to listen on.",
    "port": "The port to listen on; 0 takes a free one.",
    "inbox": "Where events are kept, as an SQLAlchemy URL: sqlite:///FILE or postgresql+psycopg://….",
    "source": "The name of the sender: it delivers to /webhooks/NAME.",
    "token": "The token that the sender shows: ?token=, Bearer, or the password of Basic authentication.",
    "signing_secret": "A whsec_… secret of the sender's Standard Webhooks signatures; several to rotate.",
    "reader_token": "The Bearer token of whoever reads the events.",
    "lenient_content_type": "Take JSON of the sender also as text/plain and with a UTF-8 BOM.",
    "sources": "Further senders: a JSON list, or the name of a file that holds one.",
    "keep_days": "Delete events that are older; by default none.",
    "keep_events": "Delete the oldest events beyond so many; by default none.",
    "trusted_proxies": "Believe X-Forwarded-For of these addresses, separated by commas; by default of none.",
    "log_format": "How lines are written: text or json.",
    "access_log": "Write a line for each request, without its query string.",
}


def get_environment_name(option: str) -> str:
    """Get the name of the environment variable that sets an option of the standalone receiver."""
    return ENVIRONMENT_PREFIX + option.upper()


@dataclass(frozen=True)
class SourceSettings:
    """
    One sender of webhooks, and how it proves who it is: by a token, by a signature, or by either.

    :param name: Its name in the path ``/webhooks/{name}`` and in every event.
    :param token: What it shows as ``?token=``, Bearer or Basic password.
    :param signing_secrets: Every ``whsec_…`` secret that is valid now.
    :param networks: From where it may deliver, such as ``10.0.0.0/8``; from anywhere, if empty.
    :param rate_per_minute: How many deliveries are taken from it in a minute; as many as come, if None.
    :param lenient_content_type: Take JSON as ``text/plain``, as a list of types, and with a UTF-8 BOM.
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
    A whole receiver.

    :param inbox: The SQLAlchemy URL of the inbox.
    :param sources: Who may deliver.
    :param reader_token: What readers show as Bearer.
    :param max_body_bytes: The largest body that is taken.
    :param body_timeout_seconds: How long a sender may take to send its body.
    :param keep_days: How old an event may get; for ever, if None.
    :param keep_events: How many events are kept; all, if None.
    """

    inbox: str = field(repr=False)  # a PostgreSQL URL holds a password
    sources: tuple[SourceSettings, ...]
    reader_token: str = field(repr=False)
    max_body_bytes: int = MAX_BODY_BYTES
    body_timeout_seconds: float = 10.0
    keep_days: float | None = None
    keep_events: int | None = None

    def __post_init__(self) -> None:
        if not self.inbox:
            raise PushMetricsConfigurationError(
                "the receiver has no inbox: set it to a URL such as sqlite:///pushmetrics-inbox.db."
            )
        if not self.sources:
            raise PushMetricsConfigurationError(
                "the receiver has no source, so nobody could deliver: name one."
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
        Retention(self.keep_days, self.keep_events)  # says so, if these are no limits


def build_settings(
    *,
    inbox: str | None,
    source: str | None,
    token: str | None,
    signing_secrets: Iterable[str],
    reader_token: str | None,
    sources: Iterable[SourceSettings] = (),
    keep_days: float | None = None,
    keep_events: int | None = None,
    lenient_content_type: bool = False,
) -> ReceiverSettings:
    """
    Build the settings of a receiver from options that may be missing or blank.

    The options ``source``, ``token``, ``signing_secrets`` and ``lenient_content_type`` are one source; they
    may be missing where there are others. One of ``signing_secrets`` may hold several, separated by commas or
    spaces.

    :raises PushMetricsConfigurationError: if nobody could be told from a stranger.
    """
    others = tuple(sources)
    secrets = tuple(" ".join(signing_secrets).replace(",", " ").split())
    first: tuple[SourceSettings, ...] = ()
    if not others or (token or "").strip() or secrets:
        name = (source or "").strip() or DEFAULT_SOURCE
        first = (
            SourceSettings(
                name, (token or "").strip() or None, secrets, lenient_content_type=lenient_content_type
            ),
        )
    return ReceiverSettings(
        inbox=(inbox or "").strip() or DEFAULT_INBOX,
        sources=first + others,
        reader_token=(reader_token or "").strip(),
        keep_days=keep_days,
        keep_events=keep_events,
    )
