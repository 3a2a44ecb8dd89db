"""What SQL may do in the databases that blocks ask: read what is meant to be read, and write nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy.engine import URL, make_url

from airflow_provider_pushmetrics.service.datasources.base import Source, SourceError, Stopper
from airflow_provider_pushmetrics.service.datasources.duckdb import DuckDbSource, FolderSource
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.datasources.sqlalchemy import (
    SqlAlchemySource,
    open_sqlite_read_only,
)
from airflow_provider_pushmetrics.service.templates.binding import BoundSql


def ask(source: Source, sql: str) -> list[dict[str, Any]]:
    with source.query(BoundSql((sql,), ()), Stopper(), limits=QueryLimits(), time_zone="UTC") as rows:
        return [row for batch in rows.batches for row in batch.to_pylist()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "cities.csv").write_text("id,name\n1,Berlin\n")
    (tmp_path / "secret-key").write_text("s3cret\n")
    return folder


@pytest.fixture
def duckdb_file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    return path


@pytest.fixture
def sqlite_source(tmp_path: Path) -> SqlAlchemySource:
    path = tmp_path / "a shop?#%.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (n INTEGER)")
        connection.execute("INSERT INTO t VALUES (1)")
    return SqlAlchemySource(open_sqlite_read_only(path))


def test_links_in_a_folder_do_not_lead_out_of_it(folder: Path) -> None:
    (folder / "key.csv").symlink_to(folder.parent / "secret-key")
    (folder / "secret.csv").symlink_to(folder.parent / "other.csv")
    (folder.parent / "other.csv").write_text("x\n1\n")
    (folder / "up").symlink_to(folder.parent)
    (folder / "alias.csv").symlink_to(folder / "cities.csv")
    source = FolderSource(folder)
    assert ask(source, "SELECT name FROM alias") == [{"name": "Berlin"}]
    for reading in (
        "key",
        "secret",
        f"read_text('{folder}/key.csv')",
        f"read_text('{folder}/up/secret-key')",
        f"read_text('{folder}/../secret-key')",
        f"read_text('{folder.parent}/*key*')",
        f"glob('{folder.parent}/*')",
    ):
        with pytest.raises(SourceError):
            ask(source, f"SELECT * FROM {reading}")


@pytest.mark.parametrize("kind", ["folder", "file"])
@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO '{out}'",
        "EXPORT DATABASE '{out}'",
        "ATTACH '{out}' AS other",
        "SELECT 1; COPY (SELECT 1) TO '{out}'",
        "CREATE TABLE x AS SELECT 1 AS n",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "CALL enable_logging(storage = 'file', storage_path = '{out}')",
        "SELECT * FROM enable_logging(storage = 'file', storage_path = '{out}')",
        "EXPLAIN ANALYZE SELECT 1",
    ],
)
def test_duckdb_writes_nothing(kind: str, statement: str, folder: Path, duckdb_file: Path) -> None:
    source = FolderSource(folder) if kind == "folder" else DuckDbSource(duckdb_file)
    for out in (folder / "out.csv", folder / "cities.csv"):
        before = out.read_bytes() if out.exists() else None
        with pytest.raises(SourceError):
            ask(source, statement.format(out=out))
        assert (out.read_bytes() if out.exists() else None) == before
    source.close()


@pytest.mark.parametrize("sql", ["SELECT 1 AS n", "FROM t", "WITH a AS (SELECT 1 AS n) FROM a", "VALUES (1)"])
def test_duckdb_reads_by_whatever_is_a_select(sql: str, duckdb_file: Path) -> None:
    source = DuckDbSource(duckdb_file)
    assert [list(row.values()) for row in ask(source, sql)] == [[1]]
    source.close()


@pytest.mark.parametrize(
    "statement",
    [
        "VACUUM INTO '{out}'",
        "ATTACH '{out}' AS other",
        "CREATE TEMP TABLE x AS SELECT 1",
        "INSERT INTO t VALUES (2) RETURNING n",
        "PRAGMA journal_mode = DELETE",
        "UPDATE sqlite_master SET type = 'x' RETURNING type",
        "PRAGMA writable_schema = 1",
        "SELECT load_extension('{out}')",
    ],
)
def test_sqlite_writes_nothing(statement: str, sqlite_source: SqlAlchemySource, tmp_path: Path) -> None:
    out = tmp_path / "out.db"
    with pytest.raises(SourceError):
        ask(sqlite_source, statement.format(out=out))
    assert not out.exists()
    assert ask(
        sqlite_source, "WITH RECURSIVE a(n) AS (SELECT 1) SELECT max(n) AS n FROM t JOIN a USING (n)"
    ) == [{"n": 1}]


def test_sqlite_functions_that_are_tables_can_be_asked(sqlite_source: SqlAlchemySource) -> None:
    assert ask(sqlite_source, "SELECT value AS v FROM json_each('[1, 2]')") == [{"v": 1}, {"v": 2}]
    assert ask(sqlite_source, "SELECT name FROM pragma_table_info('t')") == [{"name": "n"}]


@pytest.mark.postgres
def test_postgres_transactions_only_read(postgres_url: str) -> None:
    url: URL = make_url(postgres_url)
    source = SqlAlchemySource(url.set(drivername="postgresql+psycopg"))
    assert ask(source, "SELECT current_setting('transaction_read_only') AS v") == [{"v": "on"}]
    for sql in ("SELECT lo_create(0)", "SELECT set_config('transaction_read_only', 'off', false)"):
        with pytest.raises(SourceError, match="read"):
            ask(source, sql)
