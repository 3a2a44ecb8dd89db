"""What a test of a Dag does with PushMetrics: create reports, run them, look at their runs, send events."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
import requests

from airflow_provider_pushmetrics.exceptions import PushMetricsTestingError
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.testing.ids import change_ids
from airflow_provider_pushmetrics.testing.isolation import (
    QUIET_TIMEOUT_SECONDS,
    clear_inbox,
    list_cancel_paths,
    wait_until_quiet,
)

if TYPE_CHECKING:
    from airflow_provider_pushmetrics.testing.servers import RunningReceiver, RunningService

CONNECTION_VARIABLE = "AIRFLOW_CONN_PUSHMETRICS_DEFAULT"
DATABASE_FILE = "test.duckdb"
KIT_RUN_TIMEOUT_SECONDS = 120.0
KIT_TIMEOUT_SECONDS = 60.0
KIT_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class ExampleReport:
    """
    A report of a test.

    :param id: Its id.
    :param query_ids: The ids of its queries by their names.
    :param trigger_token: The token of its trigger.
    """

    id: int
    query_ids: Mapping[str, int]
    trigger_token: str = field(repr=False)


class PushMetricsKit:
    """
    A PushMetrics of a test, and the connection ``pushmetrics_default`` to it.

    :param service: The service.
    :param receiver: The receiver, which gets the events of all reports.
    :param set_variable: Sets an environment variable until the end of the test.
    """

    def __init__(
        self,
        service: RunningService,
        receiver: RunningReceiver,
        set_variable: Callable[[str, str], None],
    ) -> None:
        self.service = service
        self.receiver = receiver
        self._set_variable = set_variable
        self._trigger_tokens: dict[str, str] = {}
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {service.api_token}"
        self._database_id: int | None = None
        self._write_connection()

    @property
    def connection(self) -> dict[str, Any]:
        """The connection to this PushMetrics, in the JSON form of Airflow."""
        return {
            "conn_type": "pushmetrics",
            "host": self.service.url,
            "password": self.service.api_token,
            "extra": {
                "trigger_tokens": dict(self._trigger_tokens),
                "receiver_url": self.receiver.url,
                "receiver_token": self.receiver.reader_token,
                "trust_env": False,  # both are on this machine: no proxy of the environment leads to them
            },
        }

    def refuse_another_connection(self) -> None:
        """
        Check that ``pushmetrics_default`` leads here, as a task finds it: else tests would run real reports.

        :raises PushMetricsTestingError: if it leads elsewhere.
        """
        url = PushMetricsHook().settings.base_url
        if url != self.service.url:
            raise PushMetricsTestingError(
                f"connection 'pushmetrics_default' leads to {url}, and not to the PushMetrics of the tests: a"
                " secrets backend has a connection with this id, and Airflow asks it before the environment."
                " Unset AIRFLOW__SECRETS__BACKEND and AIRFLOW__WORKERS__SECRETS_BACKEND for tests."
            )

    def add_report(
        self,
        name: str = "Report",
        *,
        queries: Mapping[str, str] | None = None,
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        report_id: int | None = None,
        query_ids: Mapping[str, int] | None = None,
    ) -> ExampleReport:
        """
        Create a report with an enabled trigger, whose token is added to the connection.

        :param name: The report's name.
        :param queries: The SQL of each query by its name, in DuckDB's dialect. ``SELECT error('no')`` fails.
        :param parameters: The content of each Parameter block by its name, such as
            ``{"month": {"type": "integer", "default": 1}}``.
        :param report_id: The id that the Dag names; a report of an earlier test with this id is deleted. By
            default, the next free id above 1,000,000, so that it is none that a Dag names.
        :param query_ids: The ids that the Dag names, by the names of the queries.
        :return: The report's ids and its trigger token.
        :raises PushMetricsTestingError: if the service refuses it. The message is the service's.
        """
        if unknown := sorted((query_ids or {}).keys() - (queries or {}).keys()):
            raise PushMetricsTestingError(f"query_ids names {unknown!r}, which are not in queries.")
        if len(set((query_ids or {}).values())) < len(query_ids or {}):
            raise PushMetricsTestingError("query_ids gives two queries the same id: each needs its own.")
        if report_id is not None:
            self._delete_report(report_id)
        blocks = [
            {"type": "parameter", "name": parameter, "content": dict(content)}
            for parameter, content in (parameters or {}).items()
        ]
        blocks += [
            {"type": "sql", "name": query, "content": {"sql": sql, "database_id": self._get_database_id()}}
            for query, sql in (queries or {}).items()
        ]
        created = self.request("POST", "/api/v1/report/", {"name": name, "blocks": blocks})["result"]
        ids = {block["name"]: block["query_id"] for block in created["blocks"] if block["type"] == "sql"}
        wanted = {ids[query]: query_id for query, query_id in (query_ids or {}).items()}
        if report_id is not None or wanted:
            change_ids(self.service.database, created["id"], report_id or created["id"], wanted)
        report_id = report_id or created["id"]
        trigger = self.request("POST", "/api/v1/webhook/", {"report_id": report_id})["result"]
        self._trigger_tokens[str(report_id)] = trigger["token"]
        self._write_connection()
        return ExampleReport(report_id, {**ids, **(query_ids or {})}, trigger["token"])

    def run_report(self, report: ExampleReport, /, **parameters: Any) -> dict[str, Any]:
        """
        Run a report outside of Airflow, and wait for its end.

        :param report: The report.
        :param parameters: The values of its parameters.
        :return: The outputs of the run, as ``GET /api/reports/{id}/run/{run}`` answers them.
        :raises PushMetricsTestingError: if the service refuses it, or the run does not end within 120 s.
        """
        path = f"/api/v1/report/{report.id}/run/noteflow"
        run_id = self.request("POST", path, {"parameters": parameters})["result"]["run_id"]
        return self.wait_for_run(report, run_id)

    def wait_for_run(
        self, report: ExampleReport, run_id: int, *, timeout_seconds: float = KIT_RUN_TIMEOUT_SECONDS
    ) -> dict[str, Any]:
        """
        Wait for the end of a run.

        :param report: Its report.
        :param run_id: The run's number.
        :param timeout_seconds: How long to wait; 120 s by default.
        :return: The outputs of the run.
        :raises PushMetricsTestingError: if the run does not end in time.
        """
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            answer = self._send("GET", f"/api/reports/{report.id}/run/{run_id}")
            if answer.status_code != 202:
                return self._read(answer)
            time.sleep(KIT_POLL_SECONDS)
        raise PushMetricsTestingError(
            f"run {run_id} of report {report.id} did not end within {timeout_seconds:g} s."
        )

    def list_runs(self, report: ExampleReport) -> list[dict[str, Any]]:
        """
        List the newest runs of a report, the newest first.

        :param report: The report.
        :return: At most 100 runs, as ``GET /api/v1/noteflow_run/`` answers them.
        :raises PushMetricsTestingError: if the service refuses it.
        """
        answer = self.request("GET", f"/api/v1/noteflow_run/?report_uid={report.id}&q=(page_size:100)")
        runs: list[dict[str, Any]] = answer["result"]
        return runs

    def send_event(self, event: str, **fields: Any) -> int:
        """
        Deliver a webhook to the receiver, as PushMetrics would.

        :param event: The name, such as ``report.run``.
        :param fields: The other fields of the body, such as ``report_id=1``.
        :return: The id of the event in the inbox.
        :raises PushMetricsTestingError: if the receiver refuses it.
        """
        body = {"event": event, **fields, "delivery": secrets.token_hex(8)}  # each delivery is a new event
        answer = self._session.post(self.receiver.delivery_url, json=body, timeout=KIT_TIMEOUT_SECONDS)
        event_id: int = self._read(answer)["id"]
        return event_id

    def request(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """
        Call the API of the service.

        :param method: The HTTP method, such as ``POST``.
        :param path: The path with its query, such as ``/api/v1/report/``.
        :param body: Sent as JSON.
        :return: The JSON of the answer.
        :raises PushMetricsTestingError: if the answer is not 2xx.
        """
        return self._read(self._send(method, path, body))

    def close(self, *, timeout_seconds: float = QUIET_TIMEOUT_SECONDS) -> None:
        """
        Wait until nothing is under way, and forget all events and consumers: no later test meets them.

        A run that does not end is cancelled.

        :param timeout_seconds: How long to wait for the runs; 60 s by default.
        :raises PushMetricsTestingError: if a run does not end.
        """
        try:
            wait_until_quiet(self.service.database, timeout_seconds=timeout_seconds)
        except PushMetricsTestingError:
            self._cancel_runs()
            raise
        finally:
            self._session.close()
            clear_inbox(self.receiver.inbox_url)

    def _cancel_runs(self) -> None:
        """Cancel what has not ended, and wait for the events of that: they are not of a later test."""
        for path in list_cancel_paths(self.service.database):
            self._send("POST", path)  # 409 if it has ended meanwhile
        with suppress(PushMetricsTestingError):
            wait_until_quiet(self.service.database)

    def _delete_report(self, report_id: int) -> None:
        answer = self._send("DELETE", f"/api/v1/report/{report_id}")
        if answer.status_code != 404:
            self._read(answer)

    def _get_database_id(self) -> int:
        if self._database_id is None:
            path = self.service.sources / f"{secrets.token_hex(4)}-{DATABASE_FILE}"
            duckdb.connect(str(path)).close()
            body = {"database_name": path.stem, "sqlalchemy_uri": f"duckdb:///{path.name}"}
            self._database_id = self.request("POST", "/api/v1/database/", body)["id"]
        assert self._database_id is not None
        return self._database_id

    def _write_connection(self) -> None:
        self._set_variable(CONNECTION_VARIABLE, json.dumps(self.connection))

    def _send(self, method: str, path: str, body: object = None) -> requests.Response:
        url = self.service.url + path
        return self._session.request(method, url, json=body, timeout=KIT_TIMEOUT_SECONDS)

    def _read(self, answer: requests.Response) -> dict[str, Any]:
        if not answer.ok:
            path = answer.request.path_url.partition("?")[0]
            raise PushMetricsTestingError(
                f"{answer.request.method} {path} was answered with {answer.status_code}: {answer.text[:500]}"
            )
        content: dict[str, Any] = answer.json()
        return content
