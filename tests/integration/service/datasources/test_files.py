"""Files of databases: open only while they are asked, seen when replaced, and named without their folder."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.datasources.base import SourceError, Stopper
from airflow_provider_pushmetrics.service.datasources.drivers.sqlite import SqliteSource
from airflow_provider_pushmetrics.service.datasources.duckdb.source import DuckDbSource
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from tests.fakes.datasources import fetch_rows


def test_duckdb_file_can_be_written_between_two_queries(
    duckdb_file: Path, temp_dir: Path, duckdb_pool: ChildPool
) -> None:
    source = DuckDbSource(duckdb_file, temp_dir, duckdb_pool)
    assert fetch_rows(source, "SELECT n FROM t") == [{"n": 1}]
    with duckdb.connect(str(duckdb_file)) as connection:
        connection.execute("UPDATE t SET n = 2")
    assert fetch_rows(source, "SELECT n FROM t") == [{"n": 2}]


def test_duckdb_file_that_was_replaced_is_seen_while_another_query_runs(
    duckdb_file: Path, temp_dir: Path, duckdb_pool: ChildPool
) -> None:
    source = DuckDbSource(duckdb_file, temp_dir, duckdb_pool)
    running = source.query(
        BoundSql(("SELECT n FROM t",), ()), Stopper(), limits=DEFAULT_LIMITS, time_zone="UTC"
    )
    with running as rows:
        other = duckdb_file.with_name("new.duckdb")
        with duckdb.connect(str(other)) as connection:
            connection.execute("CREATE TABLE t AS SELECT 'new' AS n")
        other.replace(duckdb_file)
        assert fetch_rows(source, "SELECT n FROM t") == [{"n": "new"}]
        assert [row for batch in rows.batches for row in batch.to_pylist()] == [{"n": 1}]
    assert fetch_rows(source, "SELECT n FROM t") == [{"n": "new"}]


def test_queries_of_one_file_have_time_zones_of_their_own(duckdb_source: DuckDbSource) -> None:
    sql = "SELECT current_setting('TimeZone') AS z, n FROM t"
    with duckdb_source.query(
        BoundSql((sql,), ()), Stopper(), limits=DEFAULT_LIMITS, time_zone="Asia/Tokyo"
    ) as rows:
        assert fetch_rows(duckdb_source, sql, time_zone="Europe/Berlin") == [{"z": "Europe/Berlin", "n": 1}]
        assert [row for batch in rows.batches for row in batch.to_pylist()] == [{"z": "Asia/Tokyo", "n": 1}]


def test_time_zone_that_there_is_not_is_refused(duckdb_source: DuckDbSource) -> None:
    with pytest.raises(SourceError, match="Mars"):
        fetch_rows(duckdb_source, "SELECT 1 AS n", time_zone="Mars/Phobos")


@pytest.mark.parametrize("name", ["memory", "temp", "a.b c", 'x"y', "main"])
def test_duckdb_file_may_have_any_name(
    name: str, tmp_path: Path, temp_dir: Path, duckdb_pool: ChildPool
) -> None:
    path = tmp_path / f"{name}.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    assert fetch_rows(DuckDbSource(path, temp_dir, duckdb_pool), "SELECT n FROM t") == [{"n": 1}]


def test_broken_file_of_a_folder_breaks_only_queries_that_name_it(
    tmp_path: Path, temp_dir: Path, duckdb_pool: ChildPool
) -> None:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    (folder / "cities.csv").write_text("id,name\n1,Berlin\n")
    (folder / "sales.parquet").write_bytes(b"this is no parquet")
    source = DuckDbSource(folder, temp_dir, duckdb_pool)
    assert fetch_rows(source, "SELECT name FROM cities") == [{"name": "Berlin"}]
    assert fetch_rows(source, "SELECT name AS sales FROM cities") == [{"sales": "Berlin"}]
    assert fetch_rows(source, "SELECT table_name FROM information_schema.tables") == [
        {"table_name": "cities"}
    ]
    with pytest.raises(SourceError, match=r"sales\.parquet") as caught:
        fetch_rows(source, "SELECT * FROM Sales")
    assert str(tmp_path) not in str(caught.value)


def test_all_rows_of_a_csv_file_decide_its_types(
    tmp_path: Path, temp_dir: Path, duckdb_pool: ChildPool
) -> None:
    rows = "".join(f"{number}\n" for number in range(50_000))
    (tmp_path / "mixed.csv").write_text(f"n\n{rows}text\n")
    (row,) = fetch_rows(
        DuckDbSource(tmp_path, temp_dir, duckdb_pool), "SELECT max(n) AS n, count(*) AS c FROM mixed"
    )
    assert row == {"n": "text", "c": 50_001}


def test_messages_never_name_the_place_of_a_file(
    tmp_path: Path, temp_dir: Path, duckdb_pool: ChildPool
) -> None:
    (tmp_path / "broken.duckdb").write_bytes(b"x" * 5000)
    (tmp_path / "broken.sqlite").write_bytes(b"x" * 5000)
    for source in (
        DuckDbSource(tmp_path / "broken.duckdb", temp_dir, duckdb_pool),
        DuckDbSource(tmp_path / "none.duckdb", temp_dir, duckdb_pool),
        SqliteSource(tmp_path / "broken.sqlite", temp_dir),
        SqliteSource(tmp_path / "none.sqlite", temp_dir),
        DuckDbSource(tmp_path / "none", temp_dir, duckdb_pool),
    ):
        with pytest.raises(SourceError) as caught:
            fetch_rows(source, "SELECT * FROM sqlite_master")
        assert str(tmp_path) not in str(caught.value)


def test_temporary_files_are_gone_after_a_query(sqlite: SqliteSource, temp_dir: Path) -> None:
    fetch_rows(sqlite, "SELECT 1 AS n UNION ALL SELECT 1.5")
    assert not list(temp_dir.glob("query-*"))
