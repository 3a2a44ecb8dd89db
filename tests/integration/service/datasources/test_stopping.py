"""Queries that would not end are stopped, and values and results that are too large end with a sentence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import psycopg
import pymysql
import pytest
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.datasources.base import Source, SourceError, Stopper
from airflow_provider_pushmetrics.service.datasources.limits import MIB, QueryLimits
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from tests.fakes.datasources import fetch_rows, stopping_after
from tests.fakes.memory import PeakMemory

ENDLESS_SQLITE = "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a) SELECT {} FROM a"

SECONDS_TO_STOP = 60.0  # on any machine; two on one that has nothing else to do

postgres = pytest.mark.postgres
mariadb = pytest.mark.mariadb


@pytest.mark.parametrize(
    ("kind", "sql"),
    [
        pytest.param("postgres", "SELECT pg_sleep(3600)", marks=postgres),
        pytest.param("postgres", "SELECT count(*) FROM generate_series(1, 100000000000)", marks=postgres),
        pytest.param(
            "postgres", "SELECT a.oid FROM pg_proc a, pg_proc b, pg_proc c, pg_proc d", marks=postgres
        ),
        pytest.param("mariadb", "SELECT sleep(3600)", marks=mariadb),
        pytest.param("mariadb", "SELECT benchmark(100000000000, md5('a'))", marks=mariadb),
        pytest.param("mariadb", "SELECT a.seq FROM seq_1_to_10000000 a, seq_1_to_1000000 b", marks=mariadb),
        ("sqlite", ENDLESS_SQLITE.format("count(*)")),
        ("sqlite", ENDLESS_SQLITE.format("n")),
        ("duckdb_source", "SELECT max(a.range + b.range) FROM range(1000000000) a, range(1000000000) b"),
        ("duckdb_source", "SELECT a.range + b.range AS v FROM range(1000000000) a, range(1000000000) b"),
        # DuckDB itself cannot interrupt this one.
        ("duckdb_source", "SELECT replace(repeat('x', 100000), 'x', repeat('y', 100000)) AS v"),
    ],
)
def test_endless_query_is_stopped_at_once(kind: str, sql: str, request: pytest.FixtureRequest) -> None:
    source: Source = request.getfixturevalue(kind)
    fetch_rows(source, "SELECT 1 AS v")
    limits = QueryLimits(max_rows=10**12)
    with stopping_after(0.5) as stopper:
        began = time.monotonic()
        with (
            pytest.raises(SourceError, match=r"^it was stopped\.$"),
            source.query(BoundSql((sql,), ()), stopper, limits=limits, time_zone="UTC") as rows,
        ):
            for _ in rows.batches:
                pass
        assert time.monotonic() - began < 0.5 + SECONDS_TO_STOP
    assert len(fetch_rows(source, "SELECT 1 AS v")) == 1


@contextmanager
def lock_table_of_postgres(url: str) -> Iterator[None]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS locked (v int)")
        connection.commit()
        connection.execute("SET idle_in_transaction_session_timeout = '90s'")
        connection.execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
        yield
        connection.execute("SELECT 1")  # it has the lock all the time


@contextmanager
def lock_table_of_mariadb(url: str) -> Iterator[None]:
    server = make_url(url)
    with pymysql.connect(host=server.host, port=server.port or 0, database=server.database) as connection:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS locked (v int)")
            cursor.execute("LOCK TABLES locked WRITE")
        yield


@pytest.mark.parametrize(
    ("kind", "url", "lock"),
    [
        pytest.param("postgres", "postgres_server_url", lock_table_of_postgres, marks=postgres),
        pytest.param("mariadb", "mariadb_url", lock_table_of_mariadb, marks=mariadb),
    ],
)
def test_query_that_waits_for_a_lock_is_stopped(
    kind: str,
    url: str,
    lock: Callable[[str], AbstractContextManager[None]],
    request: pytest.FixtureRequest,
) -> None:
    source: Source = request.getfixturevalue(kind)
    sql = BoundSql(("SELECT v FROM locked",), ())
    with (
        lock(request.getfixturevalue(url)),
        stopping_after(0.5) as stopper,
        pytest.raises(SourceError, match=r"^it was stopped\.$"),
        source.query(sql, stopper, limits=QueryLimits(), time_zone="UTC"),
    ):
        pass


@pytest.mark.parametrize(
    ("kind", "sql", "problem"),
    [
        pytest.param("postgres", "SELECT repeat('x', 2000000000) AS v", "too large", marks=postgres),
        pytest.param("postgres", "SELECT repeat('x', 50000000) AS v", "column 'v', row 1", marks=postgres),
        pytest.param(
            "postgres",
            "SELECT repeat('x', 50000000)::bytea AS v",
            "1,048,576 bytes",
            marks=postgres,
        ),
        pytest.param(
            "postgres",
            "SELECT ('\"' || repeat('x', 50000000) || '\"')::jsonb AS v",
            "1,048,576 bytes",
            marks=postgres,
        ),
        pytest.param(
            "postgres",
            "SELECT array[repeat('x', 50000000)] AS v",
            "1,048,576 bytes",
            marks=postgres,
        ),
        pytest.param("mariadb", "SELECT repeat('x', 2000000000) AS v", "truncated a value", marks=mariadb),
        pytest.param("mariadb", "SELECT repeat('x', 50000000) AS v", "2,097,152 bytes", marks=mariadb),
        ("sqlite", "SELECT randomblob(1000000000) AS v", "1,048,576 bytes"),
        ("sqlite", "SELECT zeroblob(1000000000) AS v", "1,048,576 bytes"),
        ("sqlite", "SELECT hex(zeroblob(1000000)) AS v", "1,048,576 bytes"),
        (
            "duckdb_source",
            "SELECT string_agg(range::text, ',') AS v FROM range(1000000)",
            "column 'v', row 1",
        ),
        ("duckdb_source", "SELECT list(range) AS v FROM range(100000000)", "bytes of memory, the limit"),
    ],
)
def test_value_that_is_too_large_ends_with_a_sentence(
    kind: str, sql: str, problem: str, request: pytest.FixtureRequest
) -> None:
    source: Source = request.getfixturevalue(kind)
    limits = QueryLimits(max_value_bytes=MIB, max_memory_bytes=128 * MIB)
    fetch_rows(source, "SELECT 1 AS v", limits=limits)
    before = psutil.Process().memory_info().rss
    with pytest.raises(SourceError, match=problem):
        fetch_rows(source, sql, limits=limits)
    assert psutil.Process().memory_info().rss - before < 192 * MIB


MEMORY = "bytes of memory, the limit"

GREEDY = {
    "list_resize([1], 2000000000)": MEMORY,
    "format('{:>2000000000}', 'x')": MEMORY,
    "printf('%2000000000s', 'x')": MEMORY,
    "system.main.repeat('x', 2000000000)": MEMORY,
    "repeat('x', 2000000000)": MEMORY,
    "lpad('x', 2000000000, 'y')": MEMORY,
    "repeat('x', 50000000)": "column 'v', row 1: the value has more than 1,048,576 bytes",
    "list_resize([1], 5000000)": "row 1 has 20,6",
    "array_to_string(list_resize([1], 90000000), ',')": MEMORY,
}


@pytest.mark.slow
@pytest.mark.parametrize("call", GREEDY)
def test_function_of_duckdb_that_makes_too_much_fails_and_this_process_does_not_grow(
    call: str, duckdb_source: Source
) -> None:
    fetch_rows(duckdb_source, "SELECT 1 AS v")
    with PeakMemory() as peak, pytest.raises(SourceError, match=GREEDY[call]):
        fetch_rows(
            duckdb_source,
            f"SELECT {call} AS v",
            limits=QueryLimits(max_value_bytes=MIB, max_memory_bytes=128 * MIB),
        )
    assert peak.growth_bytes < 16 * MIB
    assert fetch_rows(duckdb_source, "SELECT 1 AS v") == [{"v": 1}]


def test_query_whose_process_dies_says_so_and_the_next_one_works(
    duckdb_source: Source, duckdb_pool: ChildPool
) -> None:
    sql = BoundSql(("SELECT range AS v FROM range(100000000)",), ())
    with duckdb_source.query(sql, Stopper(), limits=QueryLimits(), time_zone="UTC") as rows:
        next(rows.batches)
        assert duckdb_pool.kill_largest("the machine is full")
        with pytest.raises(SourceError, match=r"the process of the query ended \(the machine is full\)"):
            list(rows.batches)
    assert fetch_rows(duckdb_source, "SELECT 1 AS v") == [{"v": 1}]


def test_files_of_a_query_that_was_killed_are_deleted(duckdb_source: Source, temp_dir: Path) -> None:
    sql = "SELECT v FROM (SELECT md5(range::text) AS v FROM range(30000000)) ORDER BY v"
    limits = QueryLimits(max_memory_bytes=64 * MIB)
    with (
        stopping_after(1.5) as stopper,
        pytest.raises(SourceError, match="it was stopped"),
        duckdb_source.query(BoundSql((sql,), ()), stopper, limits=limits, time_zone="UTC"),
    ):
        pass
    assert list(temp_dir.glob("duckdb-*")) == []


def test_result_of_large_values_takes_the_memory_of_few_of_them(duckdb_source: Source) -> None:
    fetch_rows(duckdb_source, "SELECT 1 AS v")
    sql = BoundSql(("SELECT repeat('x', 1000000) AS v FROM range(200)",), ())
    with (
        PeakMemory() as peak,
        duckdb_source.query(sql, Stopper(), limits=QueryLimits(), time_zone="UTC") as rows,
    ):
        assert sum(batch.num_rows for batch in rows.batches) == 200
    assert peak.growth_bytes < 24 * MIB


def test_query_of_duckdb_that_needs_more_memory_writes_it_to_disk(duckdb_source: Source) -> None:
    limits = QueryLimits(max_memory_bytes=64 * MIB)
    sql = "SELECT count(*) AS n FROM (SELECT range % 3000000 FROM range(6000000) GROUP BY ALL)"
    assert fetch_rows(duckdb_source, sql, limits=limits) == [{"n": 3_000_000}]


def nest(levels: int) -> str:
    return f"from_json('null', repeat('{{\"a\":', {levels}) || '\"INTEGER\"' || repeat('}}', {levels}))"


def test_type_that_is_nested_too_deep_is_refused_with_a_sentence(duckdb_source: Source) -> None:
    assert fetch_rows(duckdb_source, f"SELECT {nest(60)} AS v") == [{"v": None}]
    with pytest.raises(SourceError, match="nested deeper than 64 levels"):
        fetch_rows(duckdb_source, f"SELECT 1 AS n, {nest(500)} AS v")


def nest_union(levels: int) -> str:
    return "union_value(a := " * levels + "1" + ")" * levels


def test_union_that_is_nested_too_deep_is_refused_with_a_sentence(duckdb_source: Source) -> None:
    assert fetch_rows(duckdb_source, f"SELECT {nest_union(20)} AS v") == [
        {"v": '{"a":' * 20 + "1" + "}" * 20}
    ]
    with pytest.raises(SourceError, match="nested deeper than 64 levels"):
        fetch_rows(duckdb_source, f"SELECT 1 AS n, {nest_union(100)} AS v")
