"""Starts Dags and runs of the report as people and other systems do, and answers what a Dag asks people."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from demo.errors import DemoError
from demo.settings import AIRFLOW_USER, REPORT_ID
from tests.chaos.schedule import Start
from tests.chaos.system import System

WATCHED_DAG = "example_pushmetrics_without_receiver"
PAUSED_DAGS = (WATCHED_DAG, "example_pushmetrics_webhook_receiver_continuous")
"""The example Dags that are paused when they are made."""
APPROVAL = "/api/v2/dags/example_pushmetrics_approval/dagRuns/~/hitlDetails"
REQUEST_SECONDS = 15
LIMIT_SECONDS = 180
PAUSE_SECONDS = 1.0
PROBE_SECONDS = 20.0


class Caller:
    """
    Sends requests through the balancer, again until they are answered: what is sent may be sent twice.

    :param url: Where to.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=REQUEST_SECONDS, trust_env=False)

    def log_in(self, password: str) -> None:
        """Get a token of Airflow for all further requests."""
        answer = self.call("POST", "/auth/token", {"username": AIRFLOW_USER, "password": password})
        self._client.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """
        Send a request, and return the JSON of the answer; None if the server has it already.

        :raises DemoError: if it is refused, or not answered in time.
        """
        deadline = time.monotonic() + LIMIT_SECONDS
        while True:
            answer = self._try(method, path, body, headers)
            if answer is not None and answer.status_code == 409:
                return None
            if answer is not None and answer.is_success:
                return answer.json()
            refused = answer is not None and answer.is_client_error
            if refused or time.monotonic() > deadline:
                what = answer.status_code if answer is not None else "nothing"
                raise DemoError(f"{method} {path.partition('?')[0]} was answered by {what}.")
            time.sleep(PAUSE_SECONDS)

    def _try(self, method: str, path: str, body: Any, headers: dict[str, str]) -> httpx.Response | None:
        try:
            return self._client.request(method, path, json=body, headers=headers)
        except httpx.TransportError:
            return None


@dataclass
class Load:
    """
    Works through the starts of a schedule.

    :param called: The runs that calls of the trigger have started, by idempotency key.
    :param fault: Why it had to give up.
    """

    system: System
    called: dict[str, int] = field(default_factory=dict)
    fault: Exception | None = None
    _next_probe: float = 0.0

    def __post_init__(self) -> None:
        self._airflow = Caller(self.system.get_url("api-server"))
        self._service = Caller(self.system.get_url("web"))

    def prepare(self, is_watched: Callable[[], bool]) -> None:
        """Unpause the Dags that are paused, and run the report until its events start Dags."""
        self._airflow.log_in(self.system.credentials.airflow_password)
        for dag_id in PAUSED_DAGS:
            self.system.wait_for(dag_id, lambda: self._unpause(dag_id))  # noqa: B023 - called at once
        self.system.wait_for("a Dag run of each Dag that events start", lambda: self._probe(is_watched))

    def _probe(self, is_watched: Callable[[], bool]) -> bool:
        """Run the report, unless that was only just done: who does not watch yet may never hear of a run."""
        if time.monotonic() >= self._next_probe:
            self._next_probe = time.monotonic() + PROBE_SECONDS
            self._call_trigger(f"probe-{len(self.called)}")
        return is_watched()

    def _unpause(self, dag_id: str) -> bool:
        """Unpause a Dag once it has been read, and have it read again: a watcher comes with the reading."""
        known = self._airflow.call("GET", f"/api/v2/dags?dag_id_pattern={dag_id}")["dags"]
        for dag in known:
            self._airflow.call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})
            self._airflow.call("PUT", f"/api/v2/parseDagFile/{dag['file_token']}")
        return bool(known)

    def start(self, starts: Sequence[Start]) -> threading.Thread:
        """Begin, in a thread of its own."""
        thread = threading.Thread(target=self._work, args=(starts,), daemon=True)
        thread.start()
        return thread

    def _work(self, starts: Sequence[Start]) -> None:
        began = time.monotonic()
        try:
            for start in starts:
                while time.monotonic() - began < start.at:
                    self.approve()
                    time.sleep(PAUSE_SECONDS)
                if start.dag_id:
                    self._run_dag(start)
                else:
                    self._call_trigger(start.key)
        except Exception as error:  # whoever waits for the thread raises it
            self.fault = error

    def _run_dag(self, start: Start) -> None:
        body = {"dag_run_id": start.key, "logical_date": None}
        self._airflow.call("POST", f"/api/v2/dags/{start.dag_id}/dagRuns", body)

    def _call_trigger(self, key: str) -> None:
        path = f"/api/v1/report/{REPORT_ID}/webhook?token={self.system.credentials.trigger_token}"
        answer = self._service.call("POST", path, {}, **{"Idempotency-Key": key})
        self.called[key] = int(answer["run_id"])

    def approve(self) -> None:
        """Answer what Dags ask people."""
        for row in self._airflow.call("GET", f"{APPROVAL}?response_received=false")["hitl_details"]:
            task = row["task_instance"]
            path = f"/api/v2/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances"
            answer = {"chosen_options": ["Approve"], "params_input": {}}
            self._airflow.call("PATCH", f"{path}/{task['task_id']}/{task['map_index']}/hitlDetails", answer)
