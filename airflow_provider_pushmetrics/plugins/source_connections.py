"""Sources that are configured by Airflow connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.fernet import InvalidToken

from airflow_provider_pushmetrics.exceptions import MalformedConnectionError, PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.settings import SourceSettings
from airflow_provider_pushmetrics.receiver.sources import build_checked_source

EXTRAS = ("signing_secrets", "networks", "rate_per_minute", "lenient_content_type")


def find_connection(connection_id: str) -> Any | None:
    """
    Find a connection; None if no backend has it.

    ``Connection.get_connection_from_secrets`` does not distinguish a missing connection from a
    failing backend (Airflow 3.3.2 swallows its error). Here they must be distinguished: the first
    rejects a sender, the second must not.

    :raises MalformedConnectionError: if a backend has it, and it cannot be parsed or decrypted.
    :raises Exception: any error of a backend.
    """
    from airflow.configuration import ensure_secrets_loaded

    for backend in ensure_secrets_loaded():
        with _translating_malformed():
            found = backend.get_connection(connection_id)
            if found is not None:
                _ = found.password, found.extra_dejson  # decrypted and parsed on access
                return found
    return None


@contextmanager
def _translating_malformed() -> Iterator[None]:
    """Distinguish a malformed connection from an outage. Its text may be secret, so it is left out."""
    try:
        yield
    except OSError:  # also the ValueError of requests for a response that is not JSON
        raise
    except (ValueError, InvalidToken) as error:
        raise MalformedConnectionError(
            f"it cannot be parsed or decrypted ({type(error).__name__}): save it again."
        ) from None


def read_connections(
    connection_ids: Iterable[str], report: Callable[[str], None]
) -> tuple[SourceSettings, ...]:
    """
    Read the sources of connections.

    :param report: Called with a message for each connection that is missing or invalid; the others are
        returned.
    :raises Exception: any error of a secrets backend.
    """
    sources = []
    for connection_id in connection_ids:
        try:
            connection = find_connection(connection_id)
            if connection is None:
                report(
                    f"the connection {connection_id!r} of option source_connections does not exist: create"
                    " it, with the sender's token as its password."
                )
                continue
            sources.append(
                build_connection_source(connection_id, connection.password, connection.extra_dejson)
            )
        except PushMetricsConfigurationError as error:
            report(f"the connection {connection_id!r} is not a valid source: {error}")
    return tuple(sources)


def build_connection_source(
    connection_id: str, password: str | None, extra: dict[str, Any]
) -> SourceSettings:
    """
    Build the source of one connection.

    :raises PushMetricsConfigurationError: if it is invalid.
    """
    row = {name: extra[name] for name in EXTRAS if extra.get(name)}
    return build_checked_source(
        {**row, "name": extra.get("source") or connection_id, "token": password or ""}
    )
