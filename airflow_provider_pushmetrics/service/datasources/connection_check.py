"""Test whether a database answers."""

from __future__ import annotations

from airflow_provider_pushmetrics.service.datasources.base import UTC, Source
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.datasources.watchdog import watch
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from airflow_provider_pushmetrics.service.templates.dialects import ORACLE, SQLITE

CHECK_LIMITS = QueryLimits(max_rows=1, timeout_seconds=15)

CHECK_QUERY = "SELECT 1 AS answer"
CHECK_QUERIES = {
    ORACLE.name: "SELECT 1 AS answer FROM dual",
    # SQLite opens its file only when it must read it.
    SQLITE.name: "SELECT count(*) AS answer FROM sqlite_master",
}


def check_connection(source: Source) -> None:
    """
    Query one row.

    :raises SourceError: with the database's message, if it does not answer in time, or rejects the
    connection.
    """
    sql = CHECK_QUERIES.get(source.dialect.name, CHECK_QUERY)
    with (
        watch(CHECK_LIMITS.timeout_seconds, lambda: None) as stopper,
        source.query(BoundSql((sql,), ()), stopper, limits=CHECK_LIMITS, time_zone=UTC) as rows,
    ):
        for _ in rows.batches:
            pass
