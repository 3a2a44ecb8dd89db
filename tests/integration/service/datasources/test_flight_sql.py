"""A Flight SQL server as a database of a workspace, by the driver that its extra installs."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import adbc_driver_flightsql
import adbc_driver_manager
import pytest

from airflow_provider_pushmetrics.service.datasources.base import Source, SourceError, Stopper
from airflow_provider_pushmetrics.service.datasources.drivers.adbc import AdbcSession, LazyDatabase
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from tests.fakes.certificates import make_tls
from tests.fakes.datasources import fetch_rows, stopping_after
from tests.fakes.flight_sql import FlightSqlServer, run_flight_sql
from tests.integration.service.conftest import Api
from tests.integration.service.templates.sources import open_flight_sql

PASSWORD = "p@ss/word"
HOSTILE = "it's \\' -- \"`$$ /* #;\n or 1=1"


@pytest.fixture
def source(flight_sql_server: FlightSqlServer, tmp_path: Path) -> Iterator[Source]:
    source = open_flight_sql(flight_sql_server.port, tmp_path)
    yield source
    source.close()


@pytest.fixture(scope="module")
def database_kind() -> str:
    """Run these tests on one kind of database of the service."""
    return "sqlite"


async def save(api: Api, port: int, password: str) -> Any:
    url = f"flightsql://reader:{password}@127.0.0.1:{port}"
    body = {"database_name": f"flights {password}", "sqlalchemy_uri": url}
    return await api.client.post("/api/v1/database/", json=body)


async def test_saved_report_binds_values_and_says_what_was_cut(api: Api) -> None:
    with run_flight_sql(("reader", PASSWORD)) as server:
        saved = await save(api, server.port, "p%40ss%2Fword")
        assert saved.status_code == 201, saved.text
        sql = "select {{ x }} as v, '{{ x }}!' as w, 1.10::decimal(4, 2) as d"
        many = "select range as n from range(1000000000000)"
        database_id = saved.json()["id"]
        blocks = [
            {"type": "parameter", "name": "x", "content": {"type": "text"}},
            {"type": "sql", "name": "q", "content": {"sql": sql, "database_id": database_id}},
            {
                "type": "sql",
                "name": "cut",
                "content": {"sql": many, "database_id": database_id, "limit": 5},
            },
        ]
        report = await api.create_report(*blocks)
        outputs = await api.run_by_api(report["id"], parameters={"x": HOSTILE})
        assert await api.fetch_rows(outputs, "q") == [{"v": HOSTILE, "w": f"{HOSTILE}!", "d": 1.1}]
        assert await api.fetch_rows(outputs, "cut") == [{"n": number} for number in range(5)]
        assert [query["is_truncated"] for query in outputs["queries"]] == [False, True]


async def test_wrong_password_is_refused_when_the_database_is_saved(api: Api) -> None:
    with run_flight_sql(("reader", PASSWORD)) as server:
        answer = await save(api, server.port, "hunter22")
    assert (answer.status_code, "the login is not known" in answer.text) == (422, True)
    assert "hunter22" not in answer.text


@pytest.mark.parametrize("flag", ["true", "TRUE", "True", "1"])
async def test_server_without_tls_gets_no_password_if_tls_is_wanted(api: Api, flag: str) -> None:
    with run_flight_sql(("reader", PASSWORD)) as server:
        url = f"flightsql://reader:p%40ss%2Fword@127.0.0.1:{server.port}?tls={flag}"
        body = {"database_name": f"tls {flag}", "sqlalchemy_uri": url}
        answer = await api.client.post("/api/v1/database/", json=body)
    assert (answer.status_code, "TLS handshake" in answer.text) == (422, True), answer.text


QUERY_BY_NAME = """
import sys
from pathlib import Path
from sqlalchemy.engine import make_url
from airflow_provider_pushmetrics.service.datasources.connection_check import check_connection
from airflow_provider_pushmetrics.service.datasources.drivers.adbc_drivers import AdbcSource
from airflow_provider_pushmetrics.service.datasources.hosts import HostGuard
from airflow_provider_pushmetrics.service.egress.rules import EgressRules

guard = HostGuard(EgressRules(allow_loopback=True), make_url("sqlite://"))
check_connection(AdbcSource(guard.pin(make_url(sys.argv[1])), Path(sys.argv[2])))
"""
"""It trusts the file of the environment, which the driver reads once in a process."""


@pytest.mark.parametrize(
    ("name", "certified", "problem"),
    [
        ("localhost", "localhost", ""),
        ("127.0.0.1", "127.0.0.1", ""),
        ("localhost", "other.example", "certificate is valid for other.example, not localhost"),
        ("127.0.0.1", "localhost", "doesn't contain any IP SANs"),
    ],
)
def test_server_proves_its_name_by_an_ordinary_certificate(
    name: str, certified: str, problem: str, tmp_path: Path
) -> None:
    make_tls(tmp_path, certified)
    certificate, begin, key = (tmp_path / "server.pem").read_bytes().partition(b"-----BEGIN PRIVATE")
    with run_flight_sql(tls=(certificate, begin + key)) as server:
        url = f"flightsql://{name}:{server.port}?tls=true"
        result = subprocess.run(
            [sys.executable, "-c", QUERY_BY_NAME, url, str(tmp_path)],
            env={**os.environ, "SSL_CERT_FILE": str(tmp_path / "server.pem")},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (result.returncode == 0, problem in result.stderr) == (not problem, True), result.stderr


def test_database_is_closed_after_its_last_query(flight_sql_server: FlightSqlServer) -> None:
    opened: list[adbc_driver_manager.AdbcDatabase] = []

    def connect() -> adbc_driver_manager.AdbcDatabase:
        opened.append(adbc_driver_flightsql.connect(f"grpc://127.0.0.1:{flight_sql_server.port}"))
        return opened[-1]

    database = LazyDatabase(connect, ())
    for count in (1, 2):  # the second by who found it before it was closed
        with AdbcSession(database, Stopper(), has_transactions=False) as session:
            database.close()
            assert session.fetch("SELECT 1 AS v").to_pylist() == [{"v": 1}]
        assert len(opened) == count
        with pytest.raises(adbc_driver_manager.Error):
            adbc_driver_manager.AdbcConnection(opened[-1])


@pytest.mark.parametrize(
    "value",
    [
        HOSTILE,
        2**62,
        -1.5,
        True,
        None,
        dt.date(2020, 1, 2),
        dt.time(1, 2, 3),
        dt.datetime(2020, 1, 2, 3, 4, 5, 6),
        dt.datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
        Decimal("12345678901234567890.123"),
        b"\0\xff",
    ],
)
def test_bound_value_comes_back_as_it_was(source: Source, value: Any) -> None:
    assert fetch_rows(source, "SELECT {} AS v", value) == [{"v": value}]


def test_error_is_the_message_of_the_server(source: Source) -> None:
    with pytest.raises(
        SourceError, match=r"^Catalog Error: Table with name nowhere does not exist!"
    ) as raised:
        fetch_rows(source, "SELECT * FROM nowhere")
    assert "Detail" not in str(raised.value)
    assert "FlightSQL" not in str(raised.value)


def test_unreachable_server_is_an_error(flight_sql_server: FlightSqlServer, tmp_path: Path) -> None:
    flight_sql_server.shutdown()
    source = open_flight_sql(flight_sql_server.port, tmp_path)
    with pytest.raises(SourceError, match="connection refused"):
        fetch_rows(source, "SELECT 1 AS v")


def test_value_above_the_limit_fails_the_query(source: Source) -> None:
    with pytest.raises(SourceError, match="column 'v', row 1"):
        fetch_rows(source, "SELECT repeat('x', 20000) AS v", limits=QueryLimits(max_value_bytes=10_000))


def test_endless_result_is_stopped(source: Source) -> None:
    bound = BoundSql(("SELECT range AS n FROM range(1000000000000)",), ())
    with (
        stopping_after(0.5) as stopper,
        pytest.raises(SourceError, match=r"^it was stopped\.$"),
        source.query(bound, stopper, limits=QueryLimits(max_rows=10**13), time_zone="UTC") as rows,
    ):
        for _ in rows.batches:
            pass
