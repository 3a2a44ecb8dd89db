"""Queries of data sources as runs ask them, without a service around."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import pyarrow as pa

from airflow_provider_pushmetrics.service.datasources.base import Source, Stopper
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS, QueryLimits, RowCutter
from airflow_provider_pushmetrics.service.templates.binding import BoundSql


def fetch_table(
    source: Source, sql: str, *values: Any, limits: QueryLimits = DEFAULT_LIMITS, time_zone: str = "UTC"
) -> pa.Table:
    """Run a query whose values stand at ``{}``, and give its rows."""
    bound = BoundSql(tuple(sql.split("{}")) if values else (sql,), values)
    with source.query(bound, Stopper(), limits=limits, time_zone=time_zone) as rows:
        return pa.Table.from_batches(rows.batches, rows.schema)


def fetch_first_rows(source: Source, sql: str, count: int) -> list[dict[str, Any]]:
    """Run a query with a row limit, and give its rows."""
    cutter, limits = RowCutter(count), QueryLimits(max_rows=count)
    with source.query(BoundSql((sql,), ()), Stopper(), limits=limits, time_zone="UTC") as rows:
        first: list[dict[str, Any]] = pa.Table.from_batches(cutter.cut(rows.batches), rows.schema).to_pylist()
    return first


def fetch_rows(source: Source, sql: str, *values: Any, **options: Any) -> list[dict[str, Any]]:
    """Run a query, and give its rows as Python values."""
    rows: list[dict[str, Any]] = fetch_table(source, sql, *values, **options).to_pylist()
    return rows


@contextmanager
def stopping_after(seconds: float) -> Iterator[Stopper]:
    """Give a stopper that stops its query after some time, again and again, as the service does."""
    stopper, is_over = Stopper(), Event()

    def stop() -> None:
        is_over.wait(seconds)
        while not is_over.is_set():
            stopper.stop("it was stopped.")
            is_over.wait(0.2)

    thread = Thread(target=stop)
    thread.start()
    try:
        yield stopper
    finally:
        is_over.set()
        thread.join()
