"""Events in every order, and several in one second: a wait's result does not depend on either (proof 3)."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import pytest

from airflow_provider_pushmetrics.client import waits
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import FeedEvent
from airflow_provider_pushmetrics.client.protocol import Call
from airflow_provider_pushmetrics.client.wait_budget import WaitBudget
from airflow_provider_pushmetrics.client.waits import RunTarget
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.triggers.hub.hub_waits import wait_for_event_in_hub, wait_for_run_in_hub
from airflow_provider_pushmetrics.triggers.hub.wait_index import PendingWait, WaitIndex
from tests.fakes.pushmetrics import FakePushMetrics, FakeRun
from tests.fakes.waiting import LIMIT_SECONDS, until
from tests.integration.provider.conftest import Connect
from tests.integration.provider.test_sensor import run_sensor

CONN = "pushmetrics_default"
SAMPLES = 12
"""How many of the orders of six events the sensor itself goes through, of 720."""


def build_events(fake: FakePushMetrics) -> list[dict[str, Any]]:
    """Build six events that all happened in the same second, two of them of the wanted run."""
    wanted = fake.build_event(FakeRun(7, "1", {}))
    return [
        wanted,
        {**wanted, "report_name": "Sent again by hand"},
        fake.build_event(FakeRun(6, "1", {})),
        fake.build_event(FakeRun(8, "1", {})),
        fake.build_event(FakeRun(7, "2", {})),
        {**wanted, "event": "report.updated"},
    ]


@pytest.fixture(autouse=True)
def quick_worker(monkeypatch: pytest.MonkeyPatch, connect_whole: Connect) -> None:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "-1")
    monkeypatch.setenv("AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "0")
    connect_whole(password=None)


def arrive(fake: FakePushMetrics, order: tuple[dict[str, Any], ...]) -> None:
    fake.inbox.events.clear()
    for event in order:
        fake.inbox.add(event)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
async def test_a_wait_finds_its_run_in_every_order_of_events(
    pushmetrics: FakePushMetrics, count: int
) -> None:
    events = build_events(pushmetrics)
    for order in itertools.permutations(events[:1] + events[6 - count + 1 :]):
        arrive(pushmetrics, order)
        wanted = EventFilter("report.run", report_id=1, run_id=7)
        found = await wait_for_event_in_hub(CONN, wanted, after=0, budget=WaitBudget())
        assert found is not None
        assert (found.body["event"], found.body["report_id"]) == ("report.run", 1)
        assert found.body["report_notebook_outputs"].endswith("/api/reports/1/run/7")


async def test_waits_for_all_orders_of_six_events_at_once_find_their_run() -> None:
    """The decision alone, without a server: every one of the 720 orders."""
    fake = FakePushMetrics("https://pushmetrics.example")
    for order in itertools.permutations(build_events(fake)):
        assert await find_in_order(fake, order) == "https://pushmetrics.example/api/reports/1/run/7"


async def find_in_order(fake: FakePushMetrics, order: tuple[dict[str, Any], ...]) -> str:
    waiters = WaitIndex()
    target = RunTarget("1", 7, 0)
    waiter = PendingWait(
        waits.build_run_filter(target),
        0,
        WaitBudget(),
        poll_once=refuse_to_poll,
        read_event=waits.RunReader(target, Credentials(fake.url)).read_event,
    )
    waiters.add(waiter)
    waiters.dispatch(FeedEvent(id=number, body=body) for number, body in enumerate(order, start=1))
    finished = await waiter.found
    assert (finished.report_id, finished.run_id) == ("1", 7)
    return str(finished.outputs_url)


def refuse_to_poll(credentials: Credentials) -> Call[Any]:
    raise AssertionError("nobody needs to ask")


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_sensor_returns_the_same_run_in_every_order(
    pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    orders = random.Random(7).sample(list(itertools.permutations(build_events(pushmetrics))), SAMPLES)
    for order in orders:
        arrive(pushmetrics, order)
        body = run_sensor(report_id=1, run_id=7, deferrable=deferrable)["body"]
        assert (body["event"], body["report_id"]) == ("report.run", 1)
        assert body["report_notebook_outputs"].endswith("/api/reports/1/run/7")


async def test_events_that_arrive_while_a_wait_goes_on_may_come_in_any_order(
    pushmetrics: FakePushMetrics,
) -> None:
    orders = random.Random(8).sample(list(itertools.permutations(build_events(pushmetrics))), SAMPLES)
    for order in orders:
        pushmetrics.inbox.events.clear()
        waiting = asyncio.create_task(wait_for_run_in_hub(CONN, RunTarget("1", 7, 0), budget=WaitBudget()))
        await until(lambda: pushmetrics.inbox.waiting > 0)
        arrive(pushmetrics, order)
        finished = await asyncio.wait_for(waiting, LIMIT_SECONDS)
        assert finished is not None
        assert (finished.report_id, finished.run_id) == ("1", 7)
