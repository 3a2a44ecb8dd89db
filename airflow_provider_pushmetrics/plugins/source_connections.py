"""Sources that are configured by Airflow connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.plugins.connections import find_connection
from airflow_provider_pushmetrics.receiver.settings import SourceSettings
from airflow_provider_pushmetrics.receiver.sources import build_checked_source

EXTRAS = ("signing_secrets", "networks", "rate_per_minute", "lenient_content_type")


def read_connections(
    connection_ids: Iterable[str],
    report: Callable[[str], None],
    find: Callable[[str], Any | None] = find_connection,
) -> tuple[SourceSettings, ...]:
    """
    Read the sources of connections.

    :param report: Called with a message for each connection that is missing or invalid; the others are
        returned.
    :param find: Finds a connection.
    :raises Exception: any error of a secrets backend.
    """
    sources = []
    for connection_id in connection_ids:
        try:
            connection = find(connection_id)
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
