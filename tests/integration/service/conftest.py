from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from airflow_provider_pushmetrics.service.accounts.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.datasources.duckdb.pool import open_duckdb_pool
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS
from airflow_provider_pushmetrics.service.demo_report import FLIGHTS_FILE, find_flights_data, load_flights
from airflow_provider_pushmetrics.service.runtime import ServiceParts, assemble
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.database import Database
from tests.fakes.flight_sql import FlightSqlServer, run_flight_sql
from tests.fakes.postgres import make_database
from tests.fakes.service_process import API_TOKEN, UNFIT, ServiceProcess, run_ready_service
from tests.fakes.service_reports import MadeReport, make_report
from tests.fakes.service_subscriber import Subscriber, listen

BASE_URL = "http://service.test"


SELDOM_ON_POSTGRESQL = {
    "datasources/test_catalogs.py",
    "web/test_block_results.py",
    "web/test_pages.py",
    "worker/test_fairness.py",
}
"""What hardly depends on the service's own database: on PostgreSQL, `make test-slow` runs it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        callspec = getattr(item, "callspec", None)
        kind = callspec.params.get("database_kind") if callspec else None
        if kind == "postgres" and "/".join(item.path.parts[-2:]) in SELDOM_ON_POSTGRESQL:
            item.add_marker(pytest.mark.slow)


@contextmanager
def run_parts(data_dir: Path, **settings: Any) -> Iterator[ServiceParts]:
    """Run a service in this process, with a worker, until the end of the block."""
    # What a test started and did not wait for may take long on a busy machine.
    settings = {"bootstrap_token": API_TOKEN, "shutdown_seconds": 120, **settings}
    parts = assemble(ServiceSettings(data_dir, **settings))
    parts.start()
    try:
        yield parts
    finally:
        assert parts.stop()
        assert list_orphans(parts.settings) == []


def list_orphans(settings: ServiceSettings) -> list[object]:
    """List the rows in SQLite whose parents are missing; PostgreSQL has none."""
    if settings.database_url:
        return []
    with closing(sqlite3.connect(settings.database_file)) as connection:
        return connection.execute("PRAGMA foreign_key_check").fetchall()


def open_client(app: FastAPI, token: str | None = API_TOKEN, *, raises: bool = True) -> httpx.AsyncClient:
    """
    Open a client of a service in this process.

    :param token: The API token; None for none.
    :param raises: Whether an error of the service is raised here; its users see the status 500.
    """
    transport = httpx.ASGITransport(app, raise_app_exceptions=raises)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers)


@pytest.fixture(autouse=True)
def every_answer_fits_its_schema(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which the service logged that an answer does not fit its schema."""
    yield
    lines = [record.getMessage() for when in ("setup", "call") for record in caplog.get_records(when)]
    assert [line for line in lines if line.startswith(UNFIT)] == []


@pytest.fixture(scope="session")
def flights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the flights in DuckDB, loaded once."""
    path = tmp_path_factory.mktemp("flights") / FLIGHTS_FILE
    load_flights(find_flights_data(), path)
    return path


@pytest.fixture(scope="session")
def duckdb_pool() -> Iterator[ChildPool]:
    """Give the processes that run DuckDB, the same for all tests."""
    pool = open_duckdb_pool(DEFAULT_LIMITS)
    yield pool
    pool.close()


@pytest.fixture
def flight_sql_server() -> Iterator[FlightSqlServer]:
    with run_flight_sql() as server:
        yield server


ON_BOTH = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))


@pytest.fixture(scope="module", params=ON_BOTH)
def database_kind(request: pytest.FixtureRequest) -> str:
    """Name the kind of the service's database: whatever uses it runs on both."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="module")
def shared_database_url(database_kind: str, request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Give the setting for an empty database of a module's own; None stands for SQLite."""
    if database_kind == "sqlite":
        yield None
        return
    with make_database(request.getfixturevalue("postgres_server_url")) as url:
        yield url


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest) -> str | None:
    """Give the setting for an empty database of a test's own; None stands for SQLite."""
    return None if database_kind == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def url(database_url: str | None, tmp_path: Path) -> str:
    """Give the URL of an empty database of a test's own."""
    return database_url or f"sqlite:///{tmp_path}/service.db"


@pytest.fixture
def database(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Give a database of a test's own, with the first workspace."""
    database = Database(url)
    database.migrate()
    bootstrap(database, tmp_path_factory.mktemp("data"), API_TOKEN)
    yield database
    database.close()


@pytest.fixture(scope="module")
def parts(
    tmp_path_factory: pytest.TempPathFactory, flights_file: Path, shared_database_url: str | None
) -> Iterator[ServiceParts]:
    """Give a service with the demo, working, one for all tests of a module."""
    data_dir = tmp_path_factory.mktemp("service")
    (data_dir / "sources").mkdir()
    shutil.copy(flights_file, data_dir / "sources")
    with run_parts(
        data_dir,
        database_url=shared_database_url,
        source_dirs=(tmp_path_factory.getbasetemp(),),
        public_url=BASE_URL,
        demo=True,
    ) as parts:
        yield parts


@pytest.fixture(scope="module")
def app(parts: ServiceParts) -> FastAPI:
    return build_app(parts)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client with the first API token."""
    async with open_client(app) as client:
        yield client


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with listen() as subscriber:
        yield subscriber


def read_accepted(answer: httpx.Response) -> dict[str, Any]:
    """Return the body of an answer, which must be a success."""
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json()
    return body


def read_result(answer: httpx.Response) -> dict[str, Any]:
    """Return the row in an answer, which must be a success."""
    row: dict[str, Any] = read_accepted(answer)["result"]
    return row


@dataclass(frozen=True)
class Api:
    """The steps that most tests take."""

    client: httpx.AsyncClient
    parts: ServiceParts

    async def get_trigger_token(self, report_id: int = 1) -> str:
        """Read the token of a report's first trigger."""
        rows = (await self.client.get("/api/v1/webhook/", params={"q": "(page_size:100)"})).json()["result"]
        webhook_id = next(row["id"] for row in rows if row["report_id"] == report_id)
        answer = await self.client.get(f"/api/v1/webhook/{webhook_id}")
        token: str = answer.json()["result"]["token"]
        return token

    async def trigger(self, report_id: int, body: Any = None, **query: str) -> int:
        """Trigger a report that must accept it, and give the run."""
        token = await self.get_trigger_token(report_id)
        answer = await self.client.post(
            f"/api/v1/report/{report_id}/webhook", params={"token": token, **query}, json=body or {}
        )
        return int(read_accepted(answer)["run_id"])

    async def wait_for(self, url: str, timeout_seconds: float = 120.0) -> httpx.Response:
        """Read a result as soon as it is there."""
        deadline, pause = time.monotonic() + timeout_seconds, 0.02
        while (answer := await self.client.get(url)).status_code == 202:
            assert answer.headers["retry-after"] == "1"
            assert time.monotonic() < deadline
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.25)  # a look costs more than most runs
        return answer

    async def run(self, report_id: int, body: Any = None, **query: str) -> dict[str, Any]:
        """Trigger a report and give the outputs of its run."""
        run_id = await self.trigger(report_id, body, **query)
        outputs: dict[str, Any] = (await self.wait_for(f"/api/reports/{report_id}/run/{run_id}")).json()
        return outputs

    async def run_by_api(self, report_id: int, **body: Any) -> dict[str, Any]:
        """Run a report by the API and give the outputs of its run."""
        answer = await self.client.post(f"/api/v1/report/{report_id}/run/noteflow", json=body)
        run_id = read_accepted(answer)["result"]["run_id"]
        outputs: dict[str, Any] = (await self.wait_for(f"/api/reports/{report_id}/run/{run_id}")).json()
        return outputs

    async def run_block(self, block: str | int, **body: Any) -> int:
        """Start a run of a block by itself."""
        return int(read_accepted(await self.client.post(f"/api/v1/block/{block}/run", json=body))["run_id"])

    async def fetch_rows(self, outputs: dict[str, Any], name: str) -> list[dict[str, Any]]:
        """Read the rows of one query of a run."""
        url = next(query["query_result"] for query in outputs["queries"] if query["query_name"] == name)
        rows: list[dict[str, Any]] = (await self.client.get(url)).json()["data"]
        return rows

    def make_report(self, **blocks: tuple[str, dict[str, Any]]) -> MadeReport:
        """Make a report with these blocks."""
        return make_report(self.parts.database, self.parts.cipher, self.parts.settings.data_dir, **blocks)

    async def create_report(self, *blocks: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Create a report by the API."""
        body = {"name": "Made", **fields, "blocks": blocks}
        return read_result(await self.client.post("/api/v1/report/", json=body))

    async def add_database(self, url: str, **query: Any) -> dict[str, Any]:
        """Add a database that must be accepted."""
        body = {"database_name": f"d-{uuid4()}", "sqlalchemy_uri": url}
        return read_result(await self.client.post("/api/v1/database/", json=body, params=query))

    async def subscribe(self, url: str, *events: str) -> dict[str, Any]:
        """Subscribe to events."""
        body = {"name": "test", "url": url, "events": list(events)}
        return read_accepted(await self.client.post("/api/v1/webhook_subscription/", json=body))


@pytest.fixture
def api(client: httpx.AsyncClient, parts: ServiceParts) -> Api:
    return Api(client, parts)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, flights_file: Path) -> Iterator[ServiceProcess]:
    """Give a real ``pushmetrics service`` with the demo, one for all tests that only use it."""
    data_dir = tmp_path_factory.mktemp("served")
    (data_dir / "sources").mkdir()
    shutil.copy(flights_file, data_dir / "sources")
    with run_ready_service(data_dir, "--demo") as service:
        yield service
