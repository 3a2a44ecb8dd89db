from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.datasources.base import Source
from airflow_provider_pushmetrics.service.datasources.drivers.mysql import MySqlSource
from airflow_provider_pushmetrics.service.datasources.drivers.postgresql import PostgresSource
from airflow_provider_pushmetrics.service.datasources.drivers.sqlite import SqliteSource
from airflow_provider_pushmetrics.service.datasources.duckdb.source import DuckDbSource


@pytest.fixture(scope="session")
def temp_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temp")


@pytest.fixture(scope="session")
def postgres(postgres_server_url: str, temp_dir: Path) -> Iterator[PostgresSource]:
    source = PostgresSource(make_url(postgres_server_url), temp_dir)
    yield source
    source.close()


@pytest.fixture(scope="session")
def mariadb(mariadb_url: str, temp_dir: Path) -> Iterator[MySqlSource]:
    source = MySqlSource(make_url(mariadb_url), temp_dir)
    yield source
    source.close()


@pytest.fixture
def sqlite(tmp_path: Path, temp_dir: Path) -> SqliteSource:
    path = tmp_path / "a shop?#%.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (n INTEGER)")
        connection.execute("INSERT INTO t VALUES (1)")
    connection.close()
    return SqliteSource(path, temp_dir)


@pytest.fixture
def duckdb_file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    return path


@pytest.fixture
def duckdb_source(duckdb_file: Path, temp_dir: Path, duckdb_pool: ChildPool) -> DuckDbSource:
    return DuckDbSource(duckdb_file, temp_dir, duckdb_pool)


ALL_KINDS = (
    "duckdb_source",
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
)


@pytest.fixture(params=ALL_KINDS)
def any_source(request: pytest.FixtureRequest) -> Source:
    """Give one source of each kind."""
    source: Source = request.getfixturevalue(request.param)
    return source
