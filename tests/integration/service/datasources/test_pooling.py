"""Queries behind PgBouncer in transaction mode, where all clients share one connection to the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import URL, make_url

from airflow_provider_pushmetrics.service.datasources.base import SourceError, Stopper
from airflow_provider_pushmetrics.service.datasources.drivers.postgresql import PostgresSource
from tests.fakes.datasources import fetch_rows, fetch_table
from tests.fakes.pgbouncer import find_pgbouncer, run_pgbouncer

pytestmark = pytest.mark.postgres

STATE = (
    "SELECT current_setting('TimeZone') AS zone, current_setting('transaction_read_only') AS reads,"
    " current_setting('statement_timeout') AS timeout, pg_backend_pid() AS pid,"
    " (SELECT count(*) FROM pg_prepared_statements) AS prepared, (SELECT count(*) FROM pg_locks"
    " WHERE locktype = 'advisory') AS locks"
)


@pytest.fixture(scope="module")
def pooled_url(postgres_server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    server = make_url(postgres_server_url)
    if find_pgbouncer() is None or "host" not in server.query:
        pytest.skip("needs pgbouncer (Debian: pgbouncer), and a server that listens on a socket")
    with run_pgbouncer(server, tmp_path_factory.mktemp("pgbouncer")) as url:
        yield url


def read_state(url: URL) -> tuple[object, ...]:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, prepare_threshold=None) as connection:
        found = connection.execute(STATE).fetchone()
    assert found is not None
    return found


def test_no_other_client_notices_a_query(pooled_url: URL, tmp_path: Path) -> None:
    before = read_state(pooled_url)
    source = PostgresSource(pooled_url, tmp_path)
    for _ in range(8):
        (row,) = fetch_rows(source, f"{STATE} WHERE 'x' = CAST({{}} AS text)", "x", time_zone="Asia/Tokyo")
        assert (row["zone"], row["reads"], row["pid"]) == ("Asia/Tokyo", "on", before[3])
        with pytest.raises(SourceError, match="division by zero"):
            fetch_rows(source, "SELECT 1 / 0 AS v", time_zone="Asia/Tokyo")
        assert read_state(pooled_url) == before
    assert fetch_table(source, "SELECT g::text AS v FROM generate_series(1, 200000) g").num_rows == 200_000
    with source.open_catalog(Stopper()) as catalog:
        assert "public" in catalog.list_schemas()
    assert read_state(pooled_url) == before
    source.close()
