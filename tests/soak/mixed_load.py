"""Callers, pages and a consumer of a service and its receiver, at a bounded rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import httpx

from airflow_provider_pushmetrics.service.results.encoders.formats import FORMATS
from tests.fakes.receiver_server import ReceiverServer
from tests.fakes.service_process import API_TOKEN, ServiceProcess
from tests.fakes.service_reports import TRIGGER_TOKEN, MadeReport
from tests.fakes.waiting import LIMIT_SECONDS

CALLERS = 3
CALL_SECONDS = 1.0
FAILURE_SECONDS = 5.0
VISIT_SECONDS = 2.0
FEED_SECONDS = 1.0
EVENT_LIMIT_SECONDS = 600.0
"""How long the event of a run may take, on a machine that does much else."""

DELIVERIES = "/api/v1/webhook_delivery/?q=(page_size:25)"
LISTS = (
    "/api/v1/noteflow_run/?q=(page_size:25)",
    "/api/v1/noteflow_run_log/?q=(page_size:25)",
    "/api/v1/report/",
    DELIVERIES,
)
PAGES = (
    "/app/",
    "/app/assets/app.js",
    "/app/session",
    "/app/activity/reports",
    "/app/activity/subscriptions",
)


@dataclass
class MixedLoad:
    """
    What is done to a service and a receiver that its events are delivered to.

    :param report: Has the parameter ``n`` and the queries ``rows`` and ``total``.
    :param failing: A report whose query fails.
    """

    service: ServiceProcess
    receiver: ReceiverServer
    report: MadeReport
    failing: MadeReport
    statuses: dict[int, str] = field(default_factory=dict)
    requests: int = 0
    streams: int = 0
    is_ended: threading.Event = field(default_factory=threading.Event)
    _formats: Iterator[str] = field(default_factory=lambda: cycle(FORMATS))

    def list_tasks(self) -> list[Callable[[], None]]:
        """List what has to be called in a thread each."""
        calls = [lambda: self._repeat(self._call, CALL_SECONDS)] * CALLERS
        return [
            *calls,
            lambda: self._repeat(self._call_failing, FAILURE_SECONDS),
            lambda: self._repeat(self._visit, VISIT_SECONDS),
            self._follow,
        ]

    def count_runs(self) -> int:
        """Count the runs that have been started."""
        return len(self.statuses)

    @contextmanager
    def open_service(self) -> Iterator[httpx.Client]:
        """Open a client of the service, which accepts no status from 400 up."""
        with self._open(self.service.client.base_url, API_TOKEN) as client:
            yield client

    @contextmanager
    def open_feed(self) -> Iterator[httpx.Client]:
        """Open a client of the receiver, as strict."""
        token = self.receiver.reader_headers["authorization"].partition(" ")[2]
        with self._open(httpx.URL(self.receiver.url), token) as client:
            yield client

    @contextmanager
    def _open(self, url: httpx.URL, token: str) -> Iterator[httpx.Client]:
        def check(answer: httpx.Response) -> None:
            self.requests += 1
            answer.raise_for_status()

        with httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=LIMIT_SECONDS,
            limits=httpx.Limits(keepalive_expiry=2),  # less than the servers' 5 s
            event_hooks={"response": [check]},
            trust_env=False,
        ) as client:
            yield client

    def _repeat(self, act: Callable[[httpx.Client, httpx.Client, int], None], seconds: float) -> None:
        """Do something again and again, at most once in so many seconds."""
        number = 0
        with self.open_service() as service, self.open_feed() as feed:
            while not self.is_ended.is_set():
                number += 1
                began = time.monotonic()
                act(service, feed, number)
                self.is_ended.wait(max(0.0, seconds - (time.monotonic() - began)))

    def _call(self, service: httpx.Client, feed: httpx.Client, number: int) -> None:
        """Trigger the report, wait for the event, and read what a Dag and a person would."""
        run_id = self._trigger(service, self.report, "success", number)
        event = wait_for_event(service, feed, run_id)
        service.get(httpx.URL(event["report_notebook_outputs"]).path)
        for query in event["queries"]:
            path = httpx.URL(query["query_result"]).path
            content = service.get(path, headers={"Accept": next(self._formats)}).content
            assert content
        service.get(f"/api/v1/noteflow_run/{run_id}")
        service.get(f"/api/v1/noteflow_run/{run_id}/get_task_results")
        service.get(LISTS[number % len(LISTS)])

    def _call_failing(self, service: httpx.Client, feed: httpx.Client, number: int) -> None:
        run_id = self._trigger(service, self.failing, "failed", number)
        outputs = service.get(
            httpx.URL(wait_for_event(service, feed, run_id)["report_notebook_outputs"]).path
        ).json()
        assert outputs["status"] == "failed"

    def _trigger(self, service: httpx.Client, report: MadeReport, status: str, number: int) -> int:
        path = f"/api/v1/report/{report.id}/webhook"
        answer = service.post(path, params={"token": TRIGGER_TOKEN}, json={"n": number})
        run_id: int = answer.json()["run_id"]
        self.statuses[run_id] = status
        return run_id

    def _visit(self, service: httpx.Client, feed: httpx.Client, number: int) -> None:
        """Open pages by new connections, and leave them while the server writes to them."""
        with self.open_service() as browser:
            with browser.stream("GET", "/app/changes") as stream:
                self.streams += 1
                lines = stream.iter_lines()
                next(lines)
                for path in (*PAGES, f"/app/notebook/{self.report.id}"):
                    service.get(path)
                next((line for line in lines if line.startswith("data:")), None)  # runs have changed
            last = max(self.statuses, default=None)
            if last is not None:
                browser.get(f"/app/activity/run/{last}")

    def _follow(self) -> None:
        """Follow the receiver's feed as a consumer does, and leave long polls too early."""
        cursor, number = 0, 0
        with self.open_feed() as feed:
            while not self.is_ended.is_set():
                number += 1
                cursor = feed.get("/events", params={"after": cursor, "wait": 2}).json()["cursor"]
                feed.put("/consumers/soak", json={"position": cursor, "only_forwards": True})
                if number % 5 == 0:
                    feed.get("/metrics")
                    with self.open_feed() as impatient, suppress(httpx.ReadTimeout):
                        impatient.get("/events", params={"wait": 30, "run_id": 2**40}, timeout=0.3)
                self.is_ended.wait(FEED_SECONDS)


def wait_for_event(service: httpx.Client, feed: httpx.Client, run_id: int) -> dict[str, Any]:
    """Wait for the event of a run by long polls."""
    deadline = time.monotonic() + EVENT_LIMIT_SECONDS
    while time.monotonic() < deadline:
        page = feed.get("/events", params={"run_id": run_id, "event": "report.run", "wait": 30}).json()
        if page["events"]:
            body: dict[str, Any] = page["events"][0]["body"]
            return body
    run = service.get(f"/api/v1/noteflow_run/{run_id}").json()
    deliveries = service.get(DELIVERIES).json()
    raise AssertionError(f"no event in {EVENT_LIMIT_SECONDS} s of {run}; the newest deliveries: {deliveries}")
