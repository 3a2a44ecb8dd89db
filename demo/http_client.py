"""HTTP to the service and to Airflow, which may not be up yet."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import httpx

from demo.errors import DemoError

WRITE_ATTEMPTS = 6


class JsonClient:
    """Talks to one server on the loopback interface: no proxy, no redirect."""

    def __init__(self, base_url: str, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=15, trust_env=False)

    def find(self, path: str, **query: Any) -> Any:
        """Get the JSON at this path; None while the server is not up, is too busy, or has nothing there."""
        try:
            answer = self._client.get(path, params=query or None)
        except httpx.TransportError:
            return None
        return None if answer.status_code == 404 or answer.is_server_error else _read(answer)

    def post(self, path: str, body: object) -> Any:
        """
        Post JSON and get the JSON answered; None if the server has it already.

        It is sent again while the server has an error. On SQLite, Airflow answers 500 and rolls back when
        another of its processes has changed the database in the meantime ("database is locked"). SQLite does
        not wait in this case, whatever the timeout: https://www.sqlite.org/rescode.html#busy_snapshot
        """
        for _ in range(WRITE_ATTEMPTS):
            try:
                answer = self._client.post(path, json=body)
            except httpx.TransportError as error:  # it may have been done
                raise DemoError(f"POST {self._client.base_url}{path} was not answered: {error!r}") from error
            if not answer.is_server_error:
                break
            time.sleep(0.5)
        return None if answer.status_code == 409 else _read(answer)

    def close(self) -> None:
        self._client.close()


def _read(answer: httpx.Response) -> Any:
    if answer.is_success and "json" in answer.headers.get("Content-Type", ""):
        return answer.json()
    what = f"{answer.request.method} {answer.request.url}"
    raise DemoError(f"{what} was answered with {answer.status_code}: {answer.text[:500]}")


class DagRun(NamedTuple):
    """One run of a Dag, as Airflow's API has it."""

    dag_id: str
    run_id: str
    state: str = "queued"
    run_type: str = "manual"

    @property
    def path(self) -> str:
        """Where it is in the API."""
        return f"/api/v2/dags/{self.dag_id}/dagRuns/{quote(self.run_id, safe='')}"


class AirflowClient(JsonClient):
    """Airflow's public REST API."""

    def find_health(self) -> bool | None:
        """Find out whether all components are healthy; None while they are not."""
        parts = (self.find("/api/v2/monitor/health") or {"none": None}).values()
        return all(part and part["status"] == "healthy" for part in parts) or None

    def log_in(self, username: str, password: str) -> None:
        """Get a token for all further requests."""
        answer = self.post("/auth/token", {"username": username, "password": password})
        self._client.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def trigger_dag(self, dag_id: str, conf: Mapping[str, Any]) -> DagRun:
        """Start one run of a Dag, with these values for its params."""
        run = DagRun(dag_id, f"demo_{uuid4()}")
        body = {"dag_run_id": run.run_id, "logical_date": None, "conf": dict(conf)}
        self.post(f"/api/v2/dags/{dag_id}/dagRuns", body)  # 409: an attempt that failed had created the run
        return run

    def find_runs(self, dag_id: str) -> list[DagRun]:
        """Find the newest runs of a Dag, the newest first."""
        answer = self.find(f"/api/v2/dags/{dag_id}/dagRuns", order_by="-run_after", limit=50)
        return [_parse_run(row) for row in answer["dag_runs"]] if answer else []

    def find_finished_run(self, run: DagRun) -> DagRun | None:
        """Find a run that has ended; None while it runs, or while Airflow is too busy to say."""
        row = self.find(run.path)
        return _parse_run(row) if row and row["state"] in ("success", "failed") else None


def _parse_run(row: Mapping[str, Any]) -> DagRun:
    return DagRun(row["dag_id"], row["dag_run_id"], row["state"], row["run_type"])
