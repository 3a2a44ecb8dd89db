"""docs/start/tutorial.md, word by word, but for the installation and the ports."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from demo.processes import DemoProcesses
from demo.settings import find_free_ports
from tests.fakes.airflow_versions import needs_airflow
from tests.fakes.short_folder import make_short_folder
from tests.fakes.waiting import LIMIT_SECONDS, wait_until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "start" / "tutorial.md"
INSTALL, SETTINGS, SERVICE, TRIGGER_TOKEN, SUBSCRIPTION, AIRFLOW, RUN, LIST = range(8)
"""The blocks of shell commands, in the order of the page."""

pytestmark = needs_airflow("3.1")


@dataclass(frozen=True)
class Tutorial:
    """The tutorial of one home."""

    home: Path
    ports: tuple[int, int]
    processes: DemoProcesses

    @property
    def folder(self) -> Path:
        """The folder that the reader makes."""
        return self.home / "pushmetrics-tutorial"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the reader's terminals; ports are those of the page by default."""
        own = {name: value for name, value in os.environ.items() if not re.match("AIRFLOW|PUSHMETRICS", name)}
        service, airflow = map(str, self.ports)
        url = f"http://127.0.0.1:{airflow}"
        return own | {
            "HOME": str(self.home),
            "NO_PROXY": "127.0.0.1",
            "SPT_NOENV": "1",  # Airflow's processes keep the environment by which they are found
            "PUSHMETRICS_SERVICE_PORT": service,
            "AIRFLOW__API__PORT": airflow,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        }

    def read_blocks(self, language: str) -> list[str]:
        """Read the blocks of a language, with the ports of this test."""
        service, airflow = map(str, self.ports)
        text = PAGE.read_text("utf-8").replace(":8090", f":{service}").replace(":8080", f":{airflow}")
        return re.findall(rf"```{language}\n(.*?)```", text, re.S)

    def type(self, *blocks: int, has_settings: bool = False) -> str:
        """
        Type blocks into a terminal that is open in the tutorial's folder, and return what they print.

        :param has_settings: Whether an earlier block of the terminal has read the settings.
        """
        commands = ". ./settings.sh\n" if has_settings else ""
        commands += "".join(self.read_blocks("bash")[block] for block in blocks)
        ended = subprocess.run(
            ["bash", "-e", "-c", commands],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def start(self, block: int) -> None:
        """Type a block whose last command goes on."""
        *lines, last = self.read_blocks("bash")[block].strip().splitlines()
        command = "\n".join([*lines, f"exec {last}"])
        log = self.home / f"{block}.log"
        shell = ["bash", "-e", "-c", command]
        self.processes.start(shell, env=self.environment, log=log, cwd=self.folder)

    def query(self, statement: str) -> list[str]:
        """Query the first column in Airflow's database; nothing before there is one."""
        path = self.folder / "airflow" / "airflow.db"
        try:
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
                return [row[0] for row in database.execute(statement)]
        except sqlite3.OperationalError:
            return []

    def is_ready(self, url: str) -> bool:
        """Return whether a server answers."""
        self.processes.require_alive()
        try:
            return httpx.get(url, timeout=LIMIT_SECONDS, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def tutorial() -> Iterator[Tutorial]:
    """Install by a link: the packages of the tests are those of the page."""
    with make_short_folder() as home:
        service, airflow = find_free_ports(2)
        tutorial = Tutorial(home, (service, airflow), DemoProcesses(home))
        tutorial.folder.mkdir()
        (tutorial.folder / "venv").symlink_to(sys.prefix)
        try:
            yield tutorial
        finally:
            tutorial.processes.stop()


def count_reactions(tutorial: Tutorial, wanted: int) -> bool:
    statement = "SELECT state FROM dag_run WHERE dag_id = 'react_to_delays'"
    return tutorial.query(statement) == ["success"] * wanted


def test_a_reader_who_follows_the_tutorial_has_a_dag_that_an_event_starts(tutorial: Tutorial) -> None:
    service, airflow = (f"http://127.0.0.1:{port}" for port in tutorial.ports)
    tutorial.type(SETTINGS)
    tutorial.start(SERVICE)
    wait_until(lambda: tutorial.is_ready(f"{service}/health/ready"), "the service")
    tutorial.type(TRIGGER_TOKEN, SUBSCRIPTION)
    (dags,) = tutorial.read_blocks("python")
    (tutorial.folder / "airflow" / "dags").mkdir(parents=True)
    (tutorial.folder / "airflow" / "dags" / "tutorial.py").write_text(dags)
    tutorial.start(AIRFLOW)
    wait_until(lambda: tutorial.is_ready(f"{airflow}/api/v2/monitor/health"), "Airflow", 600)
    wait_until(lambda: len(tutorial.query("SELECT dag_id FROM dag")) == 2, "the Dags", 600)
    found = tutorial.type(RUN)
    assert "ok       receiver" in found
    assert "failed   " not in found
    wait_until(lambda: count_reactions(tutorial, 1), "the Dag that the event starts", 600)
    assert tutorial.query("SELECT state FROM dag_run WHERE dag_id = 'run_delays'") == ["success"]
    *_, listed = tutorial.type(LIST, has_settings=True).partition("react_to_delays")
    assert {"by_carrier.json", "by_day.json", "worst.json"} <= set(listed.split())
    token = re.findall(r"BOOTSTRAP_TOKEN=(\S+)", (tutorial.folder / "settings.sh").read_text("utf-8"))[0]
    again = httpx.post(
        f"{service}/api/v1/report/1/run/noteflow",
        headers={"Authorization": f"Bearer {token}"},
        timeout=LIMIT_SECONDS,
        trust_env=False,
    )
    assert again.is_success
    wait_until(lambda: count_reactions(tutorial, 2), "the Dag, by a run that no Dag started", 600)
