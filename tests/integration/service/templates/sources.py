"""The databases of the tests, opened as the service opens them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.datasources.base import Source, Stopper
from airflow_provider_pushmetrics.service.datasources.drivers.adbc_drivers import AdbcSource
from airflow_provider_pushmetrics.service.datasources.drivers.mysql import MySqlSource
from airflow_provider_pushmetrics.service.datasources.drivers.postgresql import PostgresSource
from airflow_provider_pushmetrics.service.datasources.drivers.sqlite import SqliteSource
from airflow_provider_pushmetrics.service.datasources.duckdb.source import DuckDbSource
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.templates.rendering import render_sql


def open_duckdb(folder: Path, pool: ChildPool) -> Source:
    """Open an empty file of DuckDB."""
    path = folder / "empty.duckdb"
    duckdb.connect(str(path)).close()
    return DuckDbSource(path, folder / "temp", pool)


def open_sqlite(folder: Path) -> Source:
    """Open an empty file of SQLite."""
    path = folder / "empty.sqlite"
    sqlite3.connect(path).close()
    path.touch()
    return SqliteSource(path, folder / "temp")


def open_server(url: str, folder: Path) -> Source:
    """Open a database of a server."""
    parsed = make_url(url)
    kind = PostgresSource if parsed.get_backend_name() == "postgresql" else MySqlSource
    return kind(parsed, folder / "temp")


def open_flight_sql(port: int, folder: Path) -> Source:
    """Open a Flight SQL server of this machine."""
    return AdbcSource(make_url(f"flightsql://127.0.0.1:{port}"), folder / "temp")


def ask(source: Source, template: str, names: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Render SQL for a database and run it there."""
    sql = render_sql(template, names, source.dialect)
    with source.query(sql, Stopper(), limits=QueryLimits(), time_zone="UTC") as rows:
        return [row for batch in rows.batches for row in batch.to_pylist()]
