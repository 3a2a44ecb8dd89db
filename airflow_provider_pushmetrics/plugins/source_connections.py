"""Senders that are kept as Airflow connections, so that their credentials are where all others are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.settings import SourceSettings
from airflow_provider_pushmetrics.receiver.sources import build_source

EXTRAS = ("signing_secrets", "networks", "rate_per_minute")


def read_connections(connection_ids: str) -> tuple[SourceSettings, ...]:
    """
    Read the sources of connections whose ids are separated by commas.

    :raises PushMetricsConfigurationError: if one is missing, or is no source.
    """
    from airflow.models.connection import Connection
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    sources = []
    for connection_id in _split(connection_ids):
        try:
            connection = Connection.get_connection_from_secrets(connection_id)
        except AirflowNotFoundException:
            raise PushMetricsConfigurationError(
                f"the connection {connection_id!r} of option source_connections is not there: make it, with"
                " the sender's token as its password."
            ) from None
        sources.append(build_connection_source(connection_id, connection.password, connection.extra_dejson))
    return tuple(sources)


def build_connection_source(
    connection_id: str, password: str | None, extra: dict[str, Any]
) -> SourceSettings:
    """Build the source of one connection."""
    row = {name: extra[name] for name in EXTRAS if extra.get(name)}
    return build_source({**row, "name": extra.get("source") or connection_id, "token": password or ""})


def _split(text: str) -> Iterable[str]:
    return text.replace(",", " ").split()
