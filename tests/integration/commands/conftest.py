"""The reference service as a process, and the command as a user runs it: both work on every Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.airflow_versions import AIRFLOW_VERSION
from tests.fakes.service_process import API_TOKEN, COMMAND, ServiceProcess, run_service
from tests.fakes.waiting import LIMIT_SECONDS

ROOT = Path(__file__).parents[3]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass
class Reports:
    """Creates reports; each has a trigger, whose token is in the connection."""

    service: ServiceProcess
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return str(self.service.client.base_url).rstrip("/")

    @property
    def connection(self) -> str:
        return json.dumps(
            {
                "conn_type": "pushmetrics",
                "host": self.url,
                "password": API_TOKEN,
                "extra": {"trigger_tokens": self.tokens},
            }
        )

    def request(self, method: str, path: str, body: object = None) -> Any:
        answer = self.service.client.request(method, f"/api/v1/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def find_token(self, report_id: int) -> str:
        """Find the token of the only trigger of a report."""
        of_report = f"(filters:!((col:report_id,opr:eq,value:{report_id})))"
        rows = self.request("GET", f"webhook/?q={of_report}")["result"]
        shown = [self.request("GET", f"webhook/{row['id']}")["result"] for row in rows]
        (token,) = [row["token"] for row in shown if row["report_id"] == report_id]
        return str(token)

    def add(
        self, name: str, parameters: dict[str, dict[str, Any]] | None = None, **queries: str
    ) -> dict[str, Any]:
        """Create a report; return it with its webhook."""
        database = self.request("GET", "database/")["result"][0]["id"]
        blocks = [
            {"type": "parameter", "name": parameter, "content": content}
            for parameter, content in (parameters or {}).items()
        ]
        blocks += [
            {"type": "sql", "name": query, "content": {"sql": sql, "database_id": database}}
            for query, sql in queries.items()
        ]
        report: dict[str, Any] = self.request("POST", "report/", {"name": name, "blocks": blocks})["result"]
        webhook = self.request("POST", "webhook/", {"report_id": report["id"]})["result"]
        self.tokens[str(report["id"])] = webhook["token"]
        return {**report, "webhook": webhook}


@pytest.fixture(name="reports", scope="module")
def run_reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reports]:
    with run_service(tmp_path_factory.mktemp("service") / "data", "--demo") as service:
        service.wait_until_ready()
        yield Reports(service)


@pytest.fixture(name="home", scope="module")
def make_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder of an Airflow that has no database yet."""
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()  # where ``dag.test()`` looks
    return home


@pytest.fixture(name="airflow_home", scope="module")
def make_database(home: Path) -> Path:
    """Make the database of the Airflow, which takes seconds; give its folder."""
    airflow = Path(sys.executable).with_name("airflow")
    subprocess.run(
        [airflow, "db", "migrate"], env=build_environment(home), check=True, capture_output=True, timeout=600
    )
    return home


def build_environment(home: Path) -> dict[str, str]:
    folders = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"), "HOME": str(home)}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, **folders, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PYTHONPATH": path}


def is_of_airflow(line: str) -> bool:
    """Whether a line says what ``dag.test()`` of Airflow 3.0 is about to mask: secrets of a connection."""
    return AIRFLOW_VERSION == (3, 0) and "Sending request" in line and "MaskSecret" in line


@pytest.fixture(name="run")
def build_run(reports: Reports, home: Path, tmp_path: Path) -> Run:
    """Run ``pushmetrics`` with arguments, or another program."""

    def run(*arguments: str | Path, code: str = COMMAND, **environ: str) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=tmp_path,
            env={
                **build_environment(home),
                "AIRFLOW_CONN_PUSHMETRICS_DEFAULT": reports.connection,
                **environ,
            },
            capture_output=True,
            text=True,
            timeout=2 * LIMIT_SECONDS,
            check=False,
        )
        secrets = [API_TOKEN, *reports.tokens.values()]
        lines = (ended.stdout + ended.stderr).splitlines()
        assert not [line for line in lines if any(s in line for s in secrets) and not is_of_airflow(line)]
        return ended

    return run
