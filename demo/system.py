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

from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.serving.private_files import create_private_file
from demo.errors import DemoError
from demo.http_clients import AirflowClient, DagRun, JsonClient
from demo.processes import DemoProcesses
from demo.settings import (
    AIRFLOW_USER,
    HOST,
    REPORT_ID,
    SOURCE,
    DemoCredentials,
    build_airflow_environment,
    build_base_environment,
)
from demo.state import DemoFolder

DAGS = Path(__file__).resolve().parents[1] / "dags"
TRIGGER_DAG = "example_pushmetrics_trigger_report"
SENSOR_DAG = "example_pushmetrics_sensor"
WEBHOOK_DAG = "example_pushmetrics_webhook_receiver"

SERVICE_TIMEOUT_SECONDS = 120
AIRFLOW_TIMEOUT_SECONDS = 300
DAGS_TIMEOUT_SECONDS = 90
RUN_TIMEOUT_SECONDS = 600
POLL_SECONDS = 0.3

Found = TypeVar("Found")


class DemoSystem:
    """
    Starts the parts, talks to them, and stops them.

    :param folder: The demo's folder; prepared by its ``clear``.
    :param service_port: The port of the service.
    :param airflow_port: The port of Airflow's API server.
    :param dags: The folder of the Dags.
    :param environ: The environment on which those of the processes are based.
    """

    def __init__(
        self,
        folder: DemoFolder,
        service_port: int,
        airflow_port: int,
        *,
        dags: Path = DAGS,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.folder = folder
        self.dags = dags
        self.credentials = DemoCredentials()
        self.service_url = f"http://{HOST}:{service_port}"
        self.airflow_url = f"http://{HOST}:{airflow_port}"
        self.service = JsonClient("the PushMetrics service", self.service_url, self.credentials.api_token)
        self.airflow = AirflowClient(self.airflow_url)
        self.processes = DemoProcesses(folder.root)
        self._ports = service_port, airflow_port
        self._programs = Path(sys.executable).parent
        self._base = build_base_environment(environ, folder, self._programs)

    def redact(self, text: str) -> str:
        """Remove this system's credentials, and everything that looks like one, from a text."""
        return redact(text, *self.credentials.list_secrets())

    def start_service(self) -> None:
        """Start the PushMetrics service with the flights data, and wait until it is ready."""
        arguments = ["service", "--demo", "--host", HOST, "--port", str(self._ports[0])]
        self.processes.start(
            "the PushMetrics service",
            [str(self._programs / "pushmetrics"), *arguments, "--data", str(self.folder.service_data)],
            env={**self._base, "PUSHMETRICS_SERVICE_BOOTSTRAP_TOKEN": self.credentials.api_token},
            log=self.folder.logs / "service.log",
            cwd=self.folder.root,
        )
        self.wait_for(
            "the PushMetrics service",
            lambda: self.service.find("/health/ready"),
            timeout_seconds=SERVICE_TIMEOUT_SECONDS,
        )

    def open_report(self) -> None:
        """
        Get the report's trigger token, and subscribe Airflow's receiver to the report's runs.

        :raises DemoError: if the report has no enabled trigger.
        """
        token = self._fetch_trigger_token()
        url = f"{self.airflow_url}/pushmetrics/webhooks/{SOURCE}"
        answer = self.service.post(
            "/api/v1/webhook_subscription/",
            {"name": "Airflow", "url": url, "events": ["report.run"], "active": True},
        )
        secret = (answer or {})["signing_secret"]
        self.credentials = replace(self.credentials, trigger_token=token, signing_secret=secret)

    def _fetch_trigger_token(self) -> str:
        for listed in self.service.fetch("/api/v1/webhook/")["result"]:
            trigger = self.service.fetch(f"/api/v1/webhook/{listed['id']}")["result"]
            if str(trigger["report_id"]) == REPORT_ID and trigger["active"]:
                return str(trigger["token"])
        raise DemoError(
            f"report {REPORT_ID} has no enabled trigger, and `pushmetrics service --demo` makes one."
        )

    def start_airflow(self) -> None:
        """Start Airflow, wait until all its components are healthy, and log in."""
        # Set before it starts: otherwise Airflow prints a generated password into its log.
        passwords = self.folder.airflow_home / "passwords.json"
        create_private_file(passwords)
        passwords.write_text(
            json.dumps({AIRFLOW_USER: self.credentials.airflow_password}) + "\n", encoding="utf-8"
        )
        self.start_airflow_command("standalone")
        self.wait_for("a healthy Airflow", self.airflow.find_health, timeout_seconds=AIRFLOW_TIMEOUT_SECONDS)
        self.airflow.log_in(AIRFLOW_USER, self.credentials.airflow_password)

    def start_airflow_command(self, *arguments: str) -> None:
        """Start an ``airflow`` command that runs until the system is stopped."""
        self.processes.start(
            f"airflow {arguments[0]}",
            [str(self._programs / "airflow"), *arguments],
            env=self.build_airflow_environment(),
            log=self.folder.logs / "airflow.log",
            cwd=self.folder.root,
        )

    def build_airflow_environment(self) -> dict[str, str]:
        """Build the environment for ``airflow`` commands of this system."""
        return self._base | build_airflow_environment(
            self.folder, self.service_url, self._ports[1], self.dags, self.credentials
        )

    def wait_for_dags(self) -> None:
        """Wait until Airflow has read the Dags."""
        for dag_id in (TRIGGER_DAG, SENSOR_DAG, WEBHOOK_DAG):
            self.wait_for(
                f"Dag {dag_id!r}",
                partial(self.airflow.find_dag, dag_id),
                timeout_seconds=DAGS_TIMEOUT_SECONDS,
            )

    def run_dag(self, dag_id: str, conf: Mapping[str, Any]) -> DagRun:
        """
        Run a Dag, and wait for its end.

        :raises DemoError: if it does not succeed.
        """
        return self._wait_for_success(self.airflow.trigger_dag(dag_id, conf))

    def find_webhook_run_ids(self) -> set[str]:
        """Find the current runs of the webhook's Dag."""
        return {run.run_id for run in self.airflow.find_runs(WEBHOOK_DAG)}

    def wait_for_webhook_run(self, besides: set[str]) -> DagRun:
        """
        Wait for a run of the webhook's Dag that an asset event started, and for its end.

        :param besides: The runs that existed before.
        :raises DemoError: if there is none in time, or if it does not succeed.
        """

        def find_new() -> DagRun | None:
            runs = self.airflow.find_runs(WEBHOOK_DAG)
            new = [run for run in runs if run.run_type == "asset_triggered" and run.run_id not in besides]
            return new[-1] if new else None

        what = f"a run of {WEBHOOK_DAG!r}, started by the webhook"
        return self._wait_for_success(self.wait_for(what, find_new, timeout_seconds=RUN_TIMEOUT_SECONDS))

    def _wait_for_success(self, started: DagRun) -> DagRun:
        finished = self.wait_for(
            f"the end of a run of {started.dag_id!r}",
            partial(self.airflow.find_finished_run, started),
            timeout_seconds=RUN_TIMEOUT_SECONDS,
        )
        self.airflow.require_success(finished)
        return finished

    def wait_for(
        self,
        what: str,
        find: Callable[[], Found | None],
        *,
        timeout_seconds: float,
        poll_seconds: float = POLL_SECONDS,
    ) -> Found:
        """
        Call ``find`` until it returns something, as long as the started processes run.

        :param what: What is waited for, for the error message.
        :raises DemoError: on a timeout, or if a process ends.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            self.processes.require_alive()
            if (found := find()) is not None:
                return found
            if time.monotonic() >= deadline:
                raise DemoError(
                    f"{what} did not come within {timeout_seconds:g} s. If this machine is busy, try again"
                    " later."
                )
            time.sleep(poll_seconds)

    def keep(self) -> None:
        """Leave the system running when the demo ends, and save its URLs and credentials."""
        self.folder.write_access(
            {
                "service_url": self.service_url,
                "api_token": self.credentials.api_token,
                "airflow_url": self.airflow_url,
                "airflow_user": AIRFLOW_USER,
                "airflow_password": self.credentials.airflow_password,
            }
        )

    def stop(self) -> list[str]:
        """Stop everything that was started; return what had to be killed."""
        self.service.close()
        self.airflow.close()
        return self.processes.stop()
