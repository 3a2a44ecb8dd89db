"""The whole system on one machine: the PushMetrics service, and Airflow with the provider and its plugin."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from airflow_provider_pushmetrics.serving.private_files import write_private_file
from demo.errors import DemoError
from demo.folder import DemoFolder
from demo.http_client import AirflowClient, DagRun, JsonClient
from demo.processes import DemoProcesses, read_tail
from demo.settings import (
    AIRFLOW_USER,
    HOST,
    REPORT_ID,
    SOURCE,
    DemoCredentials,
    build_airflow_environment,
    build_base_environment,
)

DAGS = Path(__file__).resolve().parents[1] / "dags"
PROGRAMS = Path(sys.executable).parent
LIMIT_SECONDS = 600
POLL_SECONDS = 0.3
Found = TypeVar("Found")


class DemoSystem:
    """
    Starts the parts, talks to them, and stops them.

    :param folder: The demo's folder; prepared by its ``clear``.
    :param dags: The folder of the Dags.
    """

    def __init__(
        self, folder: DemoFolder, service_port: int, airflow_port: int, *, dags: Path = DAGS
    ) -> None:
        self.folder = folder
        self.dags = dags
        self.credentials = DemoCredentials()
        self.service_url, self.airflow_url = (f"http://{HOST}:{one}" for one in (service_port, airflow_port))
        self.service = JsonClient(self.service_url, self.credentials.api_token)
        self.airflow = AirflowClient(self.airflow_url)
        self.processes = DemoProcesses(folder.root)
        self._ports = service_port, airflow_port
        self._base = build_base_environment(os.environ, folder, PROGRAMS)

    def start_service(self) -> None:
        """Start the PushMetrics service with the flights data, and wait until it is ready."""
        environment = {**self._base, "PUSHMETRICS_SERVICE_BOOTSTRAP_TOKEN": self.credentials.api_token}
        place = ["--host", HOST, "--port", str(self._ports[0]), "--data", str(self.folder.service_data)]
        self.start("pushmetrics", "service", "--demo", *place, env=environment)
        self.wait_for("the PushMetrics service", lambda: self.service.find("/health/ready"))

    def open_report(self) -> None:
        """Get the report's trigger token, and subscribe Airflow's receiver to the report's runs."""
        listed = self.service.find("/api/v1/webhook/")["result"]
        triggers = [self.service.find(f"/api/v1/webhook/{one['id']}")["result"] for one in listed]
        (token,) = (one["token"] for one in triggers if str(one["report_id"]) == REPORT_ID)
        url = f"{self.airflow_url}/pushmetrics/webhooks/{SOURCE}"
        body = {"name": "Airflow", "url": url, "events": ["report.run"], "active": True}
        secret = self.service.post("/api/v1/webhook_subscription/", body)["signing_secret"]
        self.credentials = replace(self.credentials, trigger_token=token, signing_secret=secret)

    def start_airflow(self) -> None:
        """Start Airflow, wait until all its components are healthy, and log in."""
        login = (AIRFLOW_USER, self.credentials.airflow_password)
        # Set before it starts: otherwise Airflow prints a generated password into its log.
        write_private_file(self.folder.airflow_home / "passwords.json", json.dumps(dict([login])))
        self.start("airflow", "standalone", env=self.build_airflow_environment())
        self.wait_for("a healthy Airflow", self.airflow.find_health)
        self.airflow.log_in(*login)

    def start(self, program: str, *arguments: str, env: Mapping[str, str]) -> None:
        """Start a program that runs until the system is stopped."""
        command, log = [str(PROGRAMS / program), *arguments], self.folder.logs / f"{program}.log"
        self.processes.start(command, env=env, log=log, cwd=self.folder.root)

    def build_airflow_environment(self) -> dict[str, str]:
        """Build the environment for ``airflow`` commands of this system."""
        return self._base | build_airflow_environment(
            self.folder, self.service_url, self._ports[1], self.dags, self.credentials
        )

    def run_dag(self, dag_id: str, conf: Mapping[str, Any]) -> DagRun:
        """Run a Dag, and wait until it succeeds."""
        return self.wait_for_success(self.airflow.trigger_dag(dag_id, conf))

    def wait_for_success(self, run: DagRun) -> DagRun:
        """Wait for the end of a run; it is an error if it fails."""
        ended = self.wait_for(f"the end of Dag {run.dag_id}", partial(self.airflow.find_finished_run, run))
        if ended.state != "success":
            logs = self.folder.airflow_home / "logs" / f"dag_id={run.dag_id}" / f"run_id={run.run_id}"
            tails = [read_tail(log) for log in sorted(logs.rglob("*.log"))]
            raise DemoError(f"Dag {run.dag_id} failed. Its logs: {logs}", log="\n".join(tails))
        return ended

    def wait_for(
        self, what: str, find: Callable[[], Found | None], *, timeout_seconds: float = LIMIT_SECONDS
    ) -> Found:
        """Call ``find`` until it returns something, as long as there is time and the processes run."""
        deadline = time.monotonic() + timeout_seconds
        while (found := find()) is None:
            self.processes.require_alive()
            if time.monotonic() >= deadline:
                raise DemoError(f"{what} did not come within {timeout_seconds:g} s. Is this machine busy?")
            time.sleep(POLL_SECONDS)
        return found

    def stop(self) -> None:
        """Stop everything that was started."""
        self.service.close()
        self.airflow.close()
        self.processes.stop()

    def list_access(self) -> dict[str, str]:
        """List the URLs and credentials that a person or a program needs to use the system."""
        return {
            "service_url": self.service_url,
            "api_token": self.credentials.api_token,
            "airflow_url": self.airflow_url,
            "airflow_user": AIRFLOW_USER,
            "airflow_password": self.credentials.airflow_password,
        }
