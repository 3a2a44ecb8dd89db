"""The whole system on one machine: the PushMetrics service, and Airflow with the provider and its plugin."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from airflow_provider_pushmetrics.demo import environment
from airflow_provider_pushmetrics.demo.clients.airflow import AirflowApi, DagRun
from airflow_provider_pushmetrics.demo.clients.service import ServiceApi
from airflow_provider_pushmetrics.demo.credentials import AIRFLOW_USER, DemoCredentials, ReportAccess
from airflow_provider_pushmetrics.demo.folder import DemoFolder
from airflow_provider_pushmetrics.demo.processes.children import ProcessFamily
from airflow_provider_pushmetrics.demo.processes.ports import HOST, DemoPorts
from airflow_provider_pushmetrics.demo.processes.waiting import ConditionPoller
from airflow_provider_pushmetrics.exceptions import DemoError
from airflow_provider_pushmetrics.redaction import redact

TRIGGER_DAG = "example_pushmetrics_trigger_report"
SENSOR_DAG = "example_pushmetrics_sensor"
WEBHOOK_DAG = "example_pushmetrics_webhook_receiver"
ASSET_TRIGGERED = "asset_triggered"

AIRFLOW_PARTS = frozenset({"scheduler", "dag-processor", "api-server", "api_server", "triggerer"})
"""What ``airflow standalone`` starts: it does not notice when one of them ends."""

SERVICE_TIMEOUT_SECONDS = 120
AIRFLOW_TIMEOUT_SECONDS = 300
DAGS_TIMEOUT_SECONDS = 90
RUN_TIMEOUT_SECONDS = 180


class DemoSystem:
    """
    Starts the parts, talks to them, and stops them.

    :param folder: The demo's folder; prepared by its ``claim`` and ``clear``.
    :param ports: The ports of the servers.
    :param dags: The folder of the Dags.
    :param environ: The environment on which those of the processes are based.
    """

    def __init__(
        self, folder: DemoFolder, ports: DemoPorts, dags: Path, environ: Mapping[str, str] = os.environ
    ) -> None:
        self.folder = folder
        self.ports = ports
        self.dags = dags
        self.credentials = DemoCredentials.generate()
        self.family = ProcessFamily()
        self.service = ServiceApi(ports.service_url, self.credentials.api_token)
        self.airflow = AirflowApi(ports.airflow_url, AIRFLOW_USER, self.credentials.airflow_password)
        self.waiter = ConditionPoller(watch=self.family.require_alive)
        self._access: ReportAccess | None = None
        self._programs = Path(sys.executable).parent
        self._base = environment.build_base_environment(environ, folder, self._programs)

    @property
    def access(self) -> ReportAccess:
        """The credentials of the flights report; available after ``open_report``."""
        if self._access is None:
            raise DemoError("the report is not open yet: call open_report first.")
        return self._access

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secrets that no log may contain."""
        mine = self.credentials
        given = (self._access.trigger_token, self._access.signing_secret) if self._access else ()
        return (mine.api_token, mine.reader_token, mine.airflow_password, mine.airflow_jwt_secret, *given)

    def redact(self, text: str) -> str:
        """Remove this system's credentials, and everything that looks like one, from a text."""
        return redact(text, *self.secrets)

    def start_service(self) -> None:
        """Start the PushMetrics service with the flights data, and wait until it is ready."""
        command = [str(self._programs / "pushmetrics"), "service", "--demo", "--host", HOST]
        command += ["--port", str(self.ports.service), "--data", str(self.folder.service_data)]
        self.family.start(
            "the PushMetrics service",
            command,
            env=environment.build_service_environment(self._base, self.credentials),
            log=self.folder.service_log,
            cwd=self.folder.root,
        )
        self.waiter.wait_for(
            "the PushMetrics service", self.service.find_readiness, timeout_seconds=SERVICE_TIMEOUT_SECONDS
        )

    def open_report(self) -> None:
        """Get the report's trigger token, and subscribe Airflow's receiver to the report's runs."""
        receiver_url = f"{self.ports.airflow_url}/pushmetrics/webhooks/{environment.SOURCE}"
        self._access = self.service.open_report(receiver_url)

    def start_airflow(self) -> None:
        """Start Airflow, wait until all its components are healthy, and log in."""
        self._write_password()
        self.family.start(
            "airflow standalone",
            [str(self._programs / "airflow"), "standalone"],
            env=self.build_airflow_environment(),
            log=self.folder.airflow_log,
            cwd=self.folder.root,
            parts=AIRFLOW_PARTS,
        )
        self.waiter.wait_for(
            "a healthy Airflow", self.airflow.find_health, timeout_seconds=AIRFLOW_TIMEOUT_SECONDS
        )
        self.airflow.log_in()

    def build_airflow_environment(self) -> dict[str, str]:
        """Build the environment for ``airflow`` commands of this system."""
        return environment.build_airflow_environment(
            self._base,
            folder=self.folder,
            ports=self.ports,
            dags=self.dags,
            credentials=self.credentials,
            access=self.access,
        )

    def wait_for_dags(self) -> None:
        """Wait until Airflow has read the Dags."""
        for dag_id in (TRIGGER_DAG, SENSOR_DAG, WEBHOOK_DAG):
            self.waiter.wait_for(
                f"Dag {dag_id!r}",
                partial(self._find_dag, dag_id),
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
            new = [run for run in runs if run.run_type == ASSET_TRIGGERED and run.run_id not in besides]
            return new[-1] if new else None

        started = self.waiter.wait_for(
            f"a run of {WEBHOOK_DAG!r}, started by the webhook", find_new, timeout_seconds=RUN_TIMEOUT_SECONDS
        )
        return self._wait_for_success(started)

    def stop(self) -> list[str]:
        """Stop everything that was started; return what had to be killed."""
        self.service.close()
        self.airflow.close()
        return self.family.stop()

    def _find_dag(self, dag_id: str) -> Mapping[str, Any] | None:
        self.airflow.require_no_import_errors()
        return self.airflow.find_dag(dag_id)

    def _wait_for_success(self, started: DagRun) -> DagRun:
        def find_finished() -> DagRun | None:
            run = self.airflow.find_run(started)
            return run if run and run.is_finished else None

        finished = self.waiter.wait_for(
            f"the end of a run of {started.dag_id!r}", find_finished, timeout_seconds=RUN_TIMEOUT_SECONDS
        )
        self.airflow.require_success(finished)
        return finished

    def _write_password(self) -> None:
        """Set Airflow's password before it starts: otherwise it prints a generated one into its log."""
        path = self.folder.passwords_file
        path.touch(mode=0o600)
        path.write_text(
            json.dumps({AIRFLOW_USER: self.credentials.airflow_password}) + "\n", encoding="utf-8"
        )
