"""A real Airflow of the installed version, beside the service and the receiver, for acceptance tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.fakes.airflow_processes import AirflowProcesses
from tests.fakes.airflow_versions import AIRFLOW_VERSION
from tests.fakes.receiver_server import READER_TOKEN, ReceiverServer, start_receiver
from tests.fakes.service_process import API_TOKEN, ServiceProcess, run_service
from tests.fakes.waiting import LIMIT_SECONDS

DEADLY = () if AIRFLOW_VERSION >= (3, 1) else ("example_pushmetrics_approval.py",)
"""Dags whose import of what only newer versions have ends the Dag processor of Airflow 3.0."""


@dataclass
class System:
    """All that runs; only the Airflow is started by the test."""

    airflow: AirflowProcesses
    service: ServiceProcess
    receiver: ReceiverServer
    trigger_url: str
    results: Path

    def run_report(self) -> None:
        """Run the report as somebody else would: its webhook tells the receiver."""
        self.service.client.post(self.trigger_url, json={"month": 1}).raise_for_status()

    def count_runs(self) -> int:
        """Count the runs of the report, each of which the receiver is told of once."""
        return int(self.service.client.get("/api/v1/noteflow_run/").json()["count"])

    def fetch_run(self, run_id: int) -> dict[str, Any]:
        """Fetch a run of a report from PushMetrics."""
        run: dict[str, Any] = self.service.client.get(f"/api/v1/noteflow_run/{run_id}").json()["result"]
        return run

    def fetch_reader(self, path: str) -> int:
        """Fetch a position from the receiver."""
        with self.receiver.open_reader() as reader:
            answer = reader.get(path).json()
        return int(answer.get("cursor", answer.get("position")))

    def list_polled(self) -> set[int]:
        """List the runs whose results the Dag without a receiver has saved."""
        return {int(path.name) for path in (self.results / "without_receiver").glob("*")}

    def list_handled(self) -> set[int]:
        """List the events whose results the continuous Dag has saved."""
        return {int(path.name) for path in (self.results / "webhook_receiver_continuous").glob("*")}

    def read_notes(self, folder: str) -> list[Any]:
        """Read what the tasks of a test's Dag have written down, in the order of their names."""
        return [json.loads(path.read_text()) for path in sorted((self.results / folder).glob("*.json"))]

    def open_api(self, login: Mapping[str, str] | None = None) -> httpx.Client:
        """Open Airflow's API as one of its users; as its only one if every user is an admin."""
        url = f"http://127.0.0.1:{self.airflow.port}"
        with httpx.Client(base_url=url, timeout=LIMIT_SECONDS) as client:
            by_password = partial(client.post, json=dict(login or {}))
            answer = (by_password if login else client.get)("/auth/token")
            assert answer.is_success, answer.text
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return httpx.Client(base_url=url, headers=headers, timeout=LIMIT_SECONDS)


@contextmanager
def prepare_system(folder: Path, *dags: Path, **more: str) -> Iterator[System]:
    """
    Run the service and the receiver, and build an Airflow, which is stopped at the end.

    :param folder: An empty folder.
    :param dags: The folders of the Dags.
    :param more: More of the environment of Airflow.
    """
    with (
        start_receiver(f"sqlite:///{folder}/inbox.db") as receiver,
        run_service(folder / "service", "--demo") as service,
    ):
        service.wait_until_ready()
        service.subscribe(receiver.delivery_url)
        token = service.find_trigger_token()
        connection = {"conn_type": "pushmetrics", "host": str(service.client.base_url), "password": API_TOKEN}
        extra = {
            "trigger_tokens": {"1": token},
            "receiver_url": receiver.url,
            "receiver_token": READER_TOKEN,
        }
        environment = {
            "AIRFLOW_CONN_PUSHMETRICS_DEFAULT": json.dumps({**connection, "extra": extra}),
            "AIRFLOW_CONN_PUSHMETRICS_API_ONLY": json.dumps(connection),
            "PUSHMETRICS_EXAMPLE_OUTPUT": str(folder / "results"),
            **more,
        }
        (folder / "airflow").mkdir()
        for source in dags:
            ignored = shutil.ignore_patterns("__pycache__", *DEADLY)
            shutil.copytree(source, folder / "dags", dirs_exist_ok=True, ignore=ignored)
        airflow = AirflowProcesses(folder / "airflow", folder / "dags", environment)
        try:
            yield System(
                airflow, service, receiver, f"/api/v1/report/1/webhook?token={token}", folder / "results"
            )
        finally:
            airflow.stop()
