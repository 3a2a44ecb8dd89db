from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from demo.display import Display
from demo.folder import DemoFolder
from demo.http_client import DagRun
from demo.main_job import MainJobOutcome, run_main_job, start_everything
from demo.settings import find_free_ports
from demo.system import DAGS, DemoSystem
from tests.fakes.short_folder import make_short_folder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.fakes.browser import Visit
    from tests.fakes.service_process import ServiceProcess
    from tests.fakes.service_subscriber import Subscriber


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "acceptance" in item.path.parts:
            item.add_marker(pytest.mark.acceptance)
            item.add_marker(pytest.mark.slow)  # a real Airflow or a browser: minutes


@pytest.fixture(name="display", scope="package")
def make_display() -> Display:
    return Display(Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with make_short_folder() as folder:
        yield folder


@pytest.fixture(scope="module", name="data_dir")
def make_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a module's service."""
    return tmp_path_factory.mktemp("service") / "data"


@pytest.fixture(scope="module", name="service")
def start_service(data_dir: Path) -> Iterator[ServiceProcess]:
    """Start a service with the demo for all tests of a module, which may have another one of its own."""
    from tests.fakes.service_process import run_ready_service

    with run_ready_service(data_dir, "--demo") as service:
        yield service


@pytest.fixture(name="subscriber")
def start_subscriber() -> Iterator[Subscriber]:
    """Start an endpoint for events."""
    from tests.fakes.service_subscriber import listen

    with listen() as subscriber:
        yield subscriber


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from tests.fakes.browser import open_browser  # an old Airflow's environment has no browser

    with open_browser() as browser:
        yield browser


@pytest.fixture
def visit(service: ServiceProcess, browser: Browser) -> Iterator[Visit]:
    """Give a page of the browser in front of the test's service."""
    from tests.fakes.browser import visit_service

    with visit_service(browser, service) as visit:
        yield visit


class TracedSystem(DemoSystem):
    """Its Airflow writes lineage to a file."""

    def build_airflow_environment(self) -> dict[str, str]:
        lineage = {"type": "file", "log_file_path": str(self.folder.logs / "lineage.json"), "append": True}
        return {
            **super().build_airflow_environment(),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(lineage),
        }


@pytest.fixture(name="system", scope="package")
def start_system(display: Display) -> Iterator[DemoSystem]:
    """One service and one real Airflow, for all tests that only look at it or run Dags in it."""
    with make_short_folder() as parent:
        folder = DemoFolder(parent / "demo")
        folder.clear()
        dags = parent / "dags"
        for source in (DAGS, Path(__file__).with_name("more_dags")):
            shutil.copytree(source, dags, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        system = TracedSystem(folder, *find_free_ports(2), dags=dags)
        try:
            start_everything(system, display)
            yield system
        finally:
            system.stop()


@pytest.fixture(name="outcome", scope="package")
def do_job(system: DemoSystem, display: Display) -> MainJobOutcome:
    """The main job, done once."""
    return run_main_job(system, display)


@pytest.fixture(name="api_server_run", scope="package")
def find_api_server_run(system: DemoSystem, outcome: MainJobOutcome) -> DagRun:
    """The run of the Dag that the API server starts, by the first event of the main job."""

    def find_run() -> DagRun | None:
        runs = system.airflow.find_runs("starts_by_api_server")
        return system.airflow.find_finished_run(runs[-1]) if runs else None

    return system.wait_for("the Dag that the API server starts", find_run, timeout_seconds=120)


@pytest.fixture(name="page")
def open_signed_in_page(system: DemoSystem, browser: Browser) -> Iterator[Page]:
    """A page of the browser, signed in to Airflow."""
    from tests.acceptance.signed_in import sign_in  # an old Airflow's environment has no browser

    page = browser.new_page()
    sign_in(page, system)
    yield page
    page.close()
