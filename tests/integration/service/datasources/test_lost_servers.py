"""Servers that disappear while a query runs, and leave its connection open."""

from __future__ import annotations

import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import psutil
import pytest

from airflow_provider_pushmetrics.service.datasources.base import Source, SourceError, Stopper
from airflow_provider_pushmetrics.service.datasources.drivers.mysql import MySqlSource
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from tests.fakes.datasources import fetch_rows
from tests.fakes.flight_sql import FlightSqlServer
from tests.fakes.relay import Relay
from tests.fakes.waiting import wait_until
from tests.integration.service.templates.sources import open_flight_sql, open_server

ENDLESS = "SELECT sleep(3600) AS v"
RUNNING = "SELECT count(*) AS n FROM information_schema.processlist WHERE info = {}"


def read_all(source: Source, sql: str, stopper: Stopper) -> None:
    with source.query(BoundSql((sql,), ()), stopper, limits=DEFAULT_LIMITS, time_zone="UTC") as rows:
        for _ in rows.batches:
            pass


@pytest.mark.slow
@pytest.mark.mariadb
def test_stopped_query_of_mariadb_ends_although_no_answer_comes_any_more(
    mariadb: MySqlSource, mariadb_url: str, tmp_path: Path
) -> None:
    with Relay.open(mariadb_url) as relay, ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        stack.callback(relay.break_all)
        stopper = Stopper()
        running = pool.submit(read_all, open_server(relay.url, tmp_path), ENDLESS, stopper)
        wait_until(lambda: fetch_rows(mariadb, RUNNING, ENDLESS) == [{"n": 1}], "the query")
        relay.silence()

        def stop() -> bool:
            stopper.stop("it was stopped.")
            return running.done()

        wait_until(stop, "the end of the query")
        with pytest.raises(SourceError, match=r"^it was stopped\.$"):
            running.result()


ROWS = "SELECT range AS n FROM range(1000000000)"


@pytest.mark.slow
@pytest.mark.parametrize("sql", [BoundSql((ROWS,), ()), BoundSql((f"{ROWS} WHERE range >= ", ""), (0,))])
@pytest.mark.parametrize("is_silent", [True, False])
def test_query_of_flight_sql_ends_with_its_server(
    sql: BoundSql, flight_sql_server: FlightSqlServer, tmp_path: Path, *, is_silent: bool
) -> None:
    url = f"flightsql://127.0.0.1:{flight_sql_server.port}"
    with Relay.open(url) as relay, ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        stack.callback(relay.break_all)
        stopper, has_rows = Stopper(), Event()

        def read() -> None:
            source = open_flight_sql(relay.listener.getsockname()[1], tmp_path)
            with source.query(sql, stopper, limits=DEFAULT_LIMITS, time_zone="UTC") as rows:
                for _ in rows.batches:
                    has_rows.set()

        running = pool.submit(read)
        wait_until(has_rows.is_set, "the first rows")
        if is_silent:
            relay.silence()
        else:
            relay.break_all()

        def stop() -> bool:
            if is_silent:
                stopper.stop("it was stopped.")
            return running.done()

        wait_until(stop, "the end of the query")
        with pytest.raises(SourceError, match=r"^it was stopped\.$" if is_silent else "FlightSQL|EOF|rpc"):
            running.result()


def read_options(port: int) -> dict[str, int]:
    """Read the options of this process's connection to a port."""
    (found,) = [
        connection
        for connection in psutil.Process().net_connections("tcp")
        if connection.raddr and connection.raddr.port == port
    ]
    with socket.socket(fileno=os.dup(found.fd)) as copy:
        names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        options = {name: copy.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names}
        return {**options, "SO_KEEPALIVE": copy.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other options")
@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgres_server_url", marks=pytest.mark.postgres),
        pytest.param("mariadb_url", marks=pytest.mark.mariadb),
    ],
)
def test_system_notices_that_the_server_of_a_query_has_disappeared(
    url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with Relay.open(request.getfixturevalue(url)) as relay:
        source = open_server(relay.url, tmp_path)
        sql = BoundSql(("SELECT 1 AS v",), ())
        with source.query(sql, Stopper(), limits=DEFAULT_LIMITS, time_zone="UTC") as rows:
            options = read_options(relay.listener.getsockname()[1])
            assert [batch.to_pylist() for batch in rows.batches] == [[{"v": 1}]]
        source.close()
    assert options == {
        "TCP_KEEPIDLE": 10,
        "TCP_KEEPINTVL": 5,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 30_000,
        "SO_KEEPALIVE": 1,
    }
