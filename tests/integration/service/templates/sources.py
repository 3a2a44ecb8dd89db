"""The four databases of the tests, opened as the service opens them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.datasources.base import Source, Stopper
from airflow_provider_pushmetrics.service.datasources.duckdb import DuckDbSource
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.datasources.sqlalchemy import (
    SqlAlchemySource,
    open_sqlite_read_only,
)
from airflow_provider_pushmetrics.service.templates.rendering import render_sql


def open_duckdb(folder: Path) -> Source:
    """Open an empty file of DuckDB."""
    path = folder / "empty.duckdb"
    duckdb.connect(str(path)).close()
    return DuckDbSource(path)


def open_sqlite(folder: Path) -> Source:
    """Open an empty file of SQLite."""
    path = folder / "empty.sqlite"
    sqlite3.connect(path).close()
    path.touch()
    return SqlAlchemySource(open_sqlite_read_only(path))


def open_server(url: str) -> Source:
    """Open a database of a server."""
    return SqlAlchemySource(make_url(url))


def ask(source: Source, template: str, names: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Render SQL for a database and run it there."""
    sql = render_sql(template, names, source.dialect)
    with source.query(sql, Stopper(), limits=QueryLimits(), time_zone="UTC") as rows:
        return [row for batch in rows.batches for row in batch.to_pylist()]
