"""HTTP to the service and to Airflow, which may not be up yet."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from airflow_provider_pushmetrics.redaction import redact
from demo.errors import DemoError

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
SHOWN_LOG_LINES = 20
WRITE_ATTEMPTS = 6
WRITE_RETRY_SECONDS = 0.5


class JsonClient:
    """
    Talks to one server on the loopback interface: no proxy, no redirect, no credential in a message.

    :param name: A readable name of the server.
    :param base_url: Its URL.
    :param token: The token of all requests, if there is one already.
    """

    def __init__(self, name: str, base_url: str, token: str = "") -> None:
        self.name = name
        self._client = httpx.Client(base_url=base_url, timeout=15, trust_env=False)
        if token:
            self.use_bearer(token)

    def use_bearer(self, token: str) -> None:
        """Send this token with every request from now on."""
        self._client.headers["Authorization"] = f"Bearer {token}"

    def find(self, path: str, **query: Any) -> Any | None:
        """Get the JSON at this path; None while the server is not up, is too busy, or has nothing there."""
        try:
            answer = self._client.get(path, params=query or None)
        except httpx.TransportError:
            return None
        return None if answer.status_code == 404 or answer.is_server_error else self._read(answer)

    def fetch(self, path: str, **query: Any) -> Any:
        """
        Get the JSON at this path.

        :raises DemoError: if there is none.
        """
        found = self.find(path, **query)
        if found is None:
            raise DemoError(
                f"{self.name} has no answer to GET {path}: it is down, too busy, or has no such page."
            )
        return found

    def post(self, path: str, body: object) -> Any | None:
        """
        Post JSON and get the JSON answered; None if the server has it already.

        It is sent again while the server has an error. On SQLite, Airflow answers 500 and rolls back when
        another of its processes has changed the database in the meantime ("database is locked"). SQLite does
        not wait in this case, whatever the timeout: https://www.sqlite.org/rescode.html#busy_snapshot

        :raises DemoError: if the server refuses it.
        """
        for _ in range(WRITE_ATTEMPTS):
            try:
                answer = self._client.post(path, json=body)
            except httpx.TransportError as error:
                raise DemoError(f"{self.name} does not answer POST {path}: {redact(str(error))}") from None
            if not answer.is_server_error:
                break
            time.sleep(WRITE_RETRY_SECONDS)
        return None if answer.status_code == 409 else self._read(answer)

    def close(self) -> None:
        self._client.close()

    def _read(self, answer: httpx.Response) -> Any:
        what = f"{answer.request.method} {answer.request.url.path}"
        if answer.status_code == 401:
            raise DemoError(
                f"{self.name} does not know the demo's credentials ({what}). Does another program listen at"
                f" {self._client.base_url}? Then stop it, or choose another port."
            )
        try:
            if answer.is_success:
                return answer.json()
        except ValueError:
            pass
        raise DemoError(f"{self.name} answered {answer.status_code} to {what}: {redact(answer.text[:500])}")


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
        return f"{_get_dag_path(self.dag_id)}/dagRuns/{quote(self.run_id, safe='')}"


class AirflowClient(JsonClient):
    """
    Airflow's public REST API.

    :param base_url: Where Airflow's API server is.
    """

    def __init__(self, base_url: str) -> None:
        super().__init__("Airflow", base_url)

    def find_health(self) -> bool | None:
        """Find out whether all components are healthy; None while they are not."""
        health = self.find("/api/v2/monitor/health")
        healthy = health and all((health.get(name) or {}).get("status") == "healthy" for name in COMPONENTS)
        return True if healthy else None

    def log_in(self, username: str, password: str) -> None:
        """Get a token for all further requests."""
        answer = self.post("/auth/token", {"username": username, "password": password})
        self.use_bearer((answer or {}).get("access_token", ""))

    def find_dag(self, dag_id: str) -> Mapping[str, Any] | None:
        """
        Find a Dag that has been parsed.

        :raises DemoError: if a Dag file could not be parsed. It names the file.
        """
        for fault in (self.find("/api/v2/importErrors") or {}).get("import_errors", ()):
            raise DemoError(f"Airflow cannot read {fault['filename']}.", log=fault["stack_trace"])
        dag: Mapping[str, Any] | None = self.find(_get_dag_path(dag_id))
        return dag

    def trigger_dag(self, dag_id: str, conf: Mapping[str, Any]) -> DagRun:
        """Start one run of a Dag, with these values for its params."""
        run = DagRun(dag_id, f"demo_{uuid4()}", "queued", "manual")
        # None if an earlier attempt was answered with an error, but had created the run.
        self.post(
            f"{_get_dag_path(dag_id)}/dagRuns",
            {"dag_run_id": run.run_id, "logical_date": None, "conf": dict(conf)},
        )
        return run

    def find_run(self, run: DagRun) -> DagRun | None:
        """Find a run as it is now; None while Airflow is too busy to say."""
        row = self.find(run.path)
        return row and _parse_run(row)

    def find_finished_run(self, run: DagRun) -> DagRun | None:
        """Find a run that has ended; None while it runs."""
        found = self.find_run(run)
        return found if found and found.is_finished else None

    def find_runs(self, dag_id: str) -> list[DagRun]:
        """Find the newest runs of a Dag, the newest first."""
        answer = self.find(f"{_get_dag_path(dag_id)}/dagRuns", order_by="-run_after", limit=50)
        return [_parse_run(row) for row in answer["dag_runs"]] if answer else []

    def require_success(self, run: DagRun) -> None:
        """
        Check that a finished run succeeded.

        :raises DemoError: if not. It names the task, and carries the end of that task's log.
        """
        if run.state == "success":
            return
        for task in self.fetch(f"{run.path}/taskInstances")["task_instances"]:
            if task["state"] == "failed":
                raise DemoError(
                    f"task {task['task_id']!r} of Dag {run.dag_id!r} failed.", log=self._fetch_log(run, task)
                )
        raise DemoError(
            f"Dag {run.dag_id!r} ended with status {run.state!r}, though none of its tasks failed."
        )

    def _fetch_log(self, run: DagRun, task: Mapping[str, Any]) -> str:
        path = f"{run.path}/taskInstances/{quote(task['task_id'], safe='')}/logs/{task['try_number']}"
        answer = self.find(path, full_content=True, map_index=task["map_index"]) or {}
        lines: list[str] = []
        for record in answer.get("content") or []:
            lines += str(record.get("event", "")).splitlines()
            lines += [
                f"{fault['exc_type']}: {fault['exc_value']}" for fault in record.get("error_detail") or []
            ]
        return "\n".join([line for line in lines if line.strip()][-SHOWN_LOG_LINES:])


def _get_dag_path(dag_id: str) -> str:
    return f"/api/v2/dags/{quote(dag_id, safe='')}"


def _parse_run(row: Mapping[str, Any]) -> DagRun:
    return DagRun(row["dag_id"], row["dag_run_id"], row["state"], row["run_type"])
