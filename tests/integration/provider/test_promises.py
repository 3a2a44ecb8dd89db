"""Promises of the provider that belong to no single module: see the table in docs/architecture.md."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from starlette.responses import JSONResponse, Response, StreamingResponse

from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.hooks.results import FORMATS
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.triggers.pushmetrics import (
    PushMetricsEventTrigger,
    PushMetricsRunTrigger,
    PushMetricsSensorTrigger,
)
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.supervisor import FakeTaskInstance
from tests.fakes.waiting import LIMIT_SECONDS
from tests.integration.provider.conftest import Connect
from tests.integration.provider.test_operator import run_task
from tests.integration.provider.test_sensor import run_sensor

MODES = [False, True]
NO_RECEIVER: dict[str, Any] = {"receiver_url": None, "receiver_token": None}


pytestmark = pytest.mark.usefixtures("quick_worker")


# A blip


class Blip:
    """Answers badly a few times, and then as the fake does."""

    def __init__(self, app: Any, *answers: Response | None) -> None:
        self.app = app
        self.answers = list(answers)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_look = scope["type"] == "http" and scope["path"].startswith("/api/v1/noteflow_run/1")
        if not (is_look and self.answers):
            await self.app(scope, receive, send)
        elif answer := self.answers.pop(0):
            await answer(scope, receive, send)
        else:
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"99")]}
            )
            await send({"type": "http.response.body", "body": b"{", "more_body": False})


@pytest.mark.parametrize("deferrable", MODES)
def test_a_blip_while_waiting_costs_neither_the_task_nor_a_second_run(
    connect_whole: Connect, pushmetrics: FakePushMetrics, server: Any, deferrable: bool
) -> None:
    connect_whole(**NO_RECEIVER)
    again = {"Retry-After": "0"}
    bad = [JSONResponse({"message": "Oops"}, status, again) for status in (500, 502, 503, 504, 429)]
    blip = server.app = Blip(server.app, None, *bad)
    pushmetrics.looks = 1
    assert run_task(deferrable=deferrable)["status"] == "success"
    assert blip.answers == []
    assert len(pushmetrics.triggered) == len(pushmetrics.runs) == 1


# A paused Dag


def test_events_that_come_while_a_dag_is_paused_wait_for_its_next_runs(pushmetrics: FakePushMetrics) -> None:
    """Airflow starts no runs of a paused Dag; the inbox keeps the events, each for one run."""
    pushmetrics.start_run()
    taken = [run_sensor(ti=FakeTaskInstance(run_id="before"), consumer="a_dag", deferrable=True)]
    for _ in range(3):
        pushmetrics.start_run()  # while it is paused
    for number in range(3):
        ti = FakeTaskInstance(run_id=f"after_{number}")
        taken.append(run_sensor(ti=ti, consumer="a_dag", deferrable=True))
    assert [event["id"] for event in taken] == [1, 2, 3, 4]


# A blocked event loop


class LoopWatch:
    """Keeps what blocks in the thread of an event loop: files, sleep, name servers, programs."""

    blocking = (
        "open",
        "time.sleep",
        "socket.getaddrinfo",
        "subprocess.Popen",
        "sqlite3.connect",
        "os.system",
    )

    def __init__(self) -> None:
        self.thread: int | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.thread is None or threading.get_ident() != self.thread or event not in self.blocking:
            return
        if event == "open" and str(arguments[0]).endswith((".py", ".pyc")):
            return  # a first import, which no later trigger pays for
        self.seen.append(f"{event} {arguments}")


def is_traced() -> bool:
    """
    Return whether coverage is measured by a CPython that cannot trace a new thread while an audit hook runs.

    No hook can be removed: the next tests of this process would lose threads, and wait for them.
    """
    return sys.version_info < (3, 12) and sys.gettrace() is not None


@pytest.fixture(scope="module")
def watch() -> LoopWatch:
    if is_traced():
        pytest.skip("runs in a process without coverage: test_what_needs_an_audit_hook_runs_without_coverage")
    return LoopWatch()


def test_what_needs_an_audit_hook_runs_without_coverage() -> None:
    if not is_traced():
        pytest.skip("the tests themselves run")
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COV_", "COVERAGE_", "PYTEST_"))
    }
    tests = ["-k", "blocks_the_event_loop or finds_a_blocked_loop", __file__]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout
    assert f"{len(TRIGGERS) + 3} passed" in done.stdout


@pytest.fixture
def watched_loop(watch: LoopWatch) -> Iterator[LoopWatch]:
    watch.seen.clear()
    watch.thread = threading.get_ident()
    yield watch
    watch.thread = None


def is_wanted(body: dict[str, Any]) -> bool:
    return bool(body["report_id"] == 1)


async def take(trigger: Any) -> Any:
    async with aclosing(trigger.run()) as events:
        return (await anext(events)).payload


TRIGGERS: list[Any] = [
    PushMetricsRunTrigger(report_id="1", run_id=1, after_cursor=0),
    PushMetricsSensorTrigger(event="report.run", event_filter=f"{__name__}.is_wanted"),
    PushMetricsEventTrigger(report_id=1),
]


@pytest.mark.parametrize(
    ("trigger", "changes"),
    [*((trigger, {}) for trigger in TRIGGERS), *((trigger, NO_RECEIVER) for trigger in TRIGGERS[:2])],
    ids=lambda value: type(value).__name__ if not isinstance(value, dict) else "-".join(value) or "whole",
)
async def test_no_trigger_blocks_the_event_loop_of_all(
    connect_whole: Connect,
    pushmetrics: FakePushMetrics,
    watched_loop: LoopWatch,
    trigger: Any,
    changes: dict[str, Any],
) -> None:
    connect_whole(**changes, verify=True)
    pushmetrics.start_run()
    assert await asyncio.wait_for(take(trigger), LIMIT_SECONDS)
    if isinstance(trigger, PushMetricsRunTrigger):
        await trigger.on_kill()
    assert watched_loop.seen == []


async def test_the_detector_finds_a_blocked_loop(watched_loop: LoopWatch, tmp_path: Path) -> None:
    watched_loop.seen.clear()
    (tmp_path / "a_file").write_bytes(b"")
    assert len(watched_loop.seen) == 1
    await asyncio.to_thread((tmp_path / "a_file").read_bytes)
    assert len(watched_loop.seen) == 1


# A large result


def test_a_large_result_is_never_in_memory(pushmetrics: FakePushMetrics, tmp_path: Path) -> None:
    pieces, piece = 256, b"x" * 262_144

    async def write() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield piece

    pushmetrics.results[FORMATS["csv"]] = StreamingResponse(write(), media_type="text/csv")
    hook, url = PushMetricsHook(), pushmetrics.build_result_url(pushmetrics.start_run())
    assert hook.settings
    tracemalloc.start()
    try:
        size = hook.save_query_result(url, tmp_path / "result.csv")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == pieces * len(piece) == 64 * 1024 * 1024
    assert peak < 16 * 1024 * 1024


def test_what_a_task_returns_does_not_grow_with_its_results(pushmetrics: FakePushMetrics) -> None:
    assert len(json.dumps(run_task())) < 1000


# Settings that the triggerer needs


def defer(operator: Any) -> dict[str, Any]:
    context: Any = {"ti": FakeTaskInstance()}
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(context)
    written: dict[str, Any] = json.loads(json.dumps(deferral.value.trigger.serialize()[1]))
    return written


def test_what_an_operator_is_told_about_waiting_reaches_the_trigger(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.outcomes = ["running"]
    written = defer(
        PushMetricsTriggerReportOperator(
            task_id="a_task",
            report_id=1,
            deferrable=True,
            timeout=60,
            poll_interval=7.5,
            cancel_on_kill=False,
            defer_after=0,
        )
    )
    assert (written["poll_interval_seconds"], written["cancel_on_kill"]) == (7.5, False)
    assert written["pushmetrics_conn_id"] == "pushmetrics_default"
    assert PushMetricsRunTrigger(**written).serialize()[1] == written


def test_no_parameter_of_a_building_block_about_waiting_is_forgotten() -> None:
    """Whoever adds one adds it to the trigger, or here with the reason."""
    on_the_worker = {
        PushMetricsTriggerReportOperator: {
            "parameters",  # is sent before any wait
            "wait_for_completion",  # nobody waits without it
            "timeout",  # as a deadline
            "poll_interval",  # as poll_interval_seconds
            "on_ambiguous",  # is decided before the wait
            "on_unknown",  # is decided before the wait
            "require_outcome",  # is decided after the wait
            "strict_parameters",  # is decided before the run
            "deferrable",
            "defer_after",  # is about the wait before
            "partition_by",  # is about asset events, after the wait
        },
        PushMetricsRunSensor: {
            "consumer",  # as a cursor
            "deferrable",
            "start_from_trigger",  # is about who starts the trigger
            "partition_by",  # is about asset events, after the wait
        },
    }
    triggers = {
        PushMetricsTriggerReportOperator: PushMetricsRunTrigger,
        PushMetricsRunSensor: PushMetricsSensorTrigger,
    }
    for block, trigger in triggers.items():
        ours = set(inspect.signature(block).parameters) - {"kwargs"}
        theirs = set(inspect.signature(trigger).parameters)
        assert ours - theirs == on_the_worker[block]
