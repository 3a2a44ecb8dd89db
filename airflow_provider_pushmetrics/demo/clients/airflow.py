"""What the demo asks of Airflow, over its public REST API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import requests
import tenacity

from airflow_provider_pushmetrics.demo.clients.http import LocalServer
from airflow_provider_pushmetrics.exceptions import DemoError

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
SHOWN_LOG_LINES = 20
WRITE_ATTEMPTS = 6
WRITE_RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class DagRun:
    """
    One run of a Dag.

    :param dag_id: The Dag.
    :param run_id: Airflow's id of the run.
    :param state: Such as ``running``, ``success`` or ``failed``.
    :param run_type: What started it: ``manual``, ``scheduled``, ``asset_triggered``.
    """

    dag_id: str
    run_id: str
    state: str
    run_type: str

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in {"success", "failed"}

    @property
    def path(self) -> str:
        """Where it is in the API."""
        return f"/api/v2/dags/{quote(self.dag_id, safe='')}/dagRuns/{quote(self.run_id, safe='')}"


class AirflowApi(LocalServer):
    """
    Airflow's REST API.

    :param base_url: Where Airflow's API server is.
    :param username: Who asks.
    :param password: That user's password.
    """

    def __init__(self, base_url: str, username: str, password: str) -> None:
        super().__init__("Airflow", base_url)
        self._login = {"username": username, "password": password}

    def find_health(self) -> bool | None:
        """Find out whether all components are healthy; None while they are not."""
        health = self.find("/api/v2/monitor/health")
        healthy = health and all((health.get(name) or {}).get("status") == "healthy" for name in COMPONENTS)
        return True if healthy else None

    def log_in(self) -> None:
        """Get a token for all further requests."""
        self.use_bearer(self.post("/auth/token", self._login)["access_token"])

    def find_dag(self, dag_id: str) -> Mapping[str, Any] | None:
        """Find a Dag that has been parsed."""
        dag: Mapping[str, Any] | None = self.find(f"/api/v2/dags/{quote(dag_id, safe='')}")
        return dag

    def require_no_import_errors(self) -> None:
        """
        Check that every Dag file could be parsed.

        :raises DemoError: if one could not. It names the file.
        """
        for fault in self.fetch("/api/v2/importErrors")["import_errors"]:
            raise DemoError(f"Airflow cannot read {fault['filename']}.", log=fault["stack_trace"])

    def trigger_dag(self, dag_id: str, conf: Mapping[str, Any]) -> DagRun:
        """Start one run of a Dag, with these values for its params."""
        run = DagRun(dag_id, f"demo_{uuid4()}", "queued", "manual")
        body = {"dag_run_id": run.run_id, "logical_date": None, "conf": dict(conf)}
        answer = self._try("POST", f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns", json=body)
        if (
            answer.status_code == 409
        ):  # an earlier attempt was answered with an error, but had created the run
            return _parse_run(self.fetch(run.path))
        return _parse_run(self._read(answer))

    def find_run(self, run: DagRun) -> DagRun | None:
        """Find a run as it is now; None while Airflow is too busy to say."""
        row = self.find(run.path)
        return row and _parse_run(row)

    def find_runs(self, dag_id: str) -> list[DagRun]:
        """Find the newest runs of a Dag, the newest first."""
        path = f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns"
        answer = self.find(path, order_by="-run_after", limit=50)
        return [_parse_run(row) for row in answer["dag_runs"]] if answer else []

    def fetch_task_instances(self, run: DagRun) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = self.fetch(f"{run.path}/taskInstances")["task_instances"]
        return rows

    def fetch_starting_events(self, run: DagRun) -> list[Mapping[str, Any]]:
        """Fetch the asset events that started a run."""
        events: list[Mapping[str, Any]] = self.fetch(f"{run.path}/upstreamAssetEvents")["asset_events"]
        return events

    def require_success(self, run: DagRun) -> None:
        """
        Check that a finished run succeeded.

        :raises DemoError: if not. It names the task, and carries the end of that task's log.
        """
        if run.state == "success":
            return
        for task in self.fetch_task_instances(run):
            if task["state"] == "failed":
                raise DemoError(
                    f"task {task['task_id']!r} of Dag {run.dag_id!r} failed.", log=self._fetch_log(run, task)
                )
        raise DemoError(
            f"Dag {run.dag_id!r} ended with status {run.state!r}, though none of its tasks failed."
        )

    def _try(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """
        Send a request; send a POST again while Airflow answers with a server error.

        On SQLite, Airflow answers 500 and rolls back when another of its processes has changed the database
        in the meantime ("database is locked"). SQLite does not wait in this case, whatever the timeout:
        https://www.sqlite.org/rescode.html#busy_snapshot
        """
        send = super()._try
        if method != "POST":
            return send(method, path, **arguments)
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda answer: answer.status_code >= 500),
            stop=tenacity.stop_after_attempt(WRITE_ATTEMPTS),
            wait=tenacity.wait_fixed(WRITE_RETRY_SECONDS),
            retry_error_callback=_get_last_answer,
        )
        return attempts(send, method, path, **arguments)

    def _fetch_log(self, run: DagRun, task: Mapping[str, Any]) -> str:
        path = f"{run.path}/taskInstances/{quote(task['task_id'], safe='')}/logs/{task['try_number']}"
        answer = self.find(path, full_content=True, map_index=task["map_index"]) or {}
        return format_log(answer.get("content") or [])


def format_log(content: list[Any]) -> str:
    """Write the end of a task's log as text: Airflow answers a list of lines, or of records."""
    lines: list[str] = []
    for record in content:
        if isinstance(record, str):
            lines.append(record)
        else:
            lines.append(str(record.get("event", "")))
            lines += [
                f"{fault['exc_type']}: {fault['exc_value']}" for fault in record.get("error_detail") or []
            ]
    printed = [line for event in lines for line in event.splitlines() if line.strip()]
    return "\n".join(printed[-SHOWN_LOG_LINES:])


def _get_last_answer(state: tenacity.RetryCallState) -> requests.Response:
    assert state.outcome is not None
    answer: requests.Response = state.outcome.result()
    return answer


def _parse_run(row: Mapping[str, Any]) -> DagRun:
    return DagRun(row["dag_id"], row["dag_run_id"], row["state"], row["run_type"])
