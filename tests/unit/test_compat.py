from __future__ import annotations

import ast
import asyncio
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync

import airflow_provider_pushmetrics
from airflow_provider_pushmetrics import compat
from airflow_provider_pushmetrics.compat import read_version, require_airflow, run_in_thread
from airflow_provider_pushmetrics.exceptions import PushMetricsAirflowVersionError, PushMetricsError

PACKAGE = Path(airflow_provider_pushmetrics.__file__).parent


@pytest.mark.parametrize(
    ("text", "version"),
    [("2.11.2", (2, 11)), ("3.0.6", (3, 0)), ("3.3.0rc1", (3, 3)), ("3.10.0.dev0+local.1", (3, 10))],
)
def test_a_version_is_compared_by_its_first_two_numbers(text: str, version: tuple[int, int]) -> None:
    assert read_version(text) == version


@pytest.mark.parametrize("version", ["3.1.0", "3.1.0rc1", "3.9.1", "3.10.0", "4.0.0"])
def test_an_airflow_that_is_new_enough_is_left_alone(version: str) -> None:
    require_airflow("3.1", "The page", "Use the command.", version=version)


@pytest.mark.parametrize("version", ["2.11.2", "3.0.6"])
def test_an_airflow_that_is_too_old_is_told_what_is_missing_since_when_and_what_to_do(version: str) -> None:
    with pytest.raises(PushMetricsAirflowVersionError) as caught:
        require_airflow("3.1", "The page", "Use the command.", version=version)
    words = f"The page needs Airflow 3.1 or later, and this is Airflow {version}. Use the command."
    assert str(caught.value) == words
    assert isinstance(caught.value, PushMetricsError)


@pytest.mark.parametrize("name", compat.__all__)
def test_every_name_is_there_on_every_airflow(name: str) -> None:
    assert hasattr(compat, name)


@pytest.mark.parametrize("name", compat.PLACES)
def test_what_airflow_has_moved_is_what_its_own_provider_finds(name: str) -> None:
    sdk = pytest.importorskip("airflow.providers.common.compat.sdk", reason="its version is too old")
    assert compat.find_name(name) is getattr(sdk, name)


def test_each_moved_name_has_its_place_before_airflow_3() -> None:
    assert compat.PLACES.keys() == compat.PLACES_BEFORE_3.keys()


class RunImports(ast.NodeVisitor):
    """The imports of a module that are made when it runs, not those for its types alone."""

    def __init__(self, path: Path) -> None:
        self.found: list[tuple[str, str]] = []
        self.visit(ast.parse(path.read_text("utf-8")))

    def visit_If(self, node: ast.If) -> None:
        """Leave out what is for the types."""
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Note the names."""
        self.found += [(node.module or "", alias.name) for alias in node.names]


def list_imports(prefix: str, *left_out: str) -> Iterator[tuple[str, str, str]]:
    """List the file, module and name of each import of modules with a prefix; not those of some folders."""
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.relative_to(PACKAGE)
        if where.parts[0] not in left_out:
            for module, name in RunImports(path).found:
                if f"{module}.".startswith(f"{prefix}."):
                    yield str(where), module, name


def test_only_what_airflows_oldest_constraints_have_is_needed_of_its_compat_provider() -> None:
    """Version 1.7.0 has no ``sdk`` and no ``connection``."""
    prefix = "airflow.providers.common.compat"
    modules = {module for _, module, _ in list_imports(prefix)}
    assert modules == {f"{prefix}.notifier", f"{prefix}.openlineage.facet"}


def test_what_runs_in_airflow_imports_what_its_sqlalchemy_has() -> None:
    """An Airflow 3.1 may have SQLAlchemy 1.4, as 2.11 and 3.0 do, where this is tested."""
    apart = ("receiver", "service", "serving", "testing")
    imports = list(list_imports("sqlalchemy", *apart))
    assert "plugins/event_starts.py" in {where for where, _, _ in imports}
    missing = [
        (where, name)
        for where, module, name in imports
        if not hasattr(import_module(module), name) and f"{module}.{name}" not in sys.modules
    ]
    assert missing == []


def test_versions_of_airflow_differ_in_one_place_only() -> None:
    """A module that tries an import of Airflow knows versions; only ``compat`` is to."""

    def tries_airflow(path: Path) -> bool:
        attempts = (
            node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Try)
        )
        imports = (statement for attempt in attempts for statement in attempt.body)
        return any(
            isinstance(statement, ast.ImportFrom) and (statement.module or "").split(".")[0] == "airflow"
            for statement in imports
        )

    found = [str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if tries_airflow(path)]
    assert found == ["compat.py"]


async def test_a_thread_that_asks_the_supervisor_knows_its_event_loop() -> None:
    """Airflow before 3.3.2 asks by ``async_to_sync``; what that runs must run in the triggerer's own loop."""

    async def ask() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert await run_in_thread(async_to_sync(ask)) is asyncio.get_running_loop()
