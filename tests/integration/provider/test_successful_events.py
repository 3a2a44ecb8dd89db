"""Assets that only runs update which succeeded: the events do not say it, so the API is asked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from starlette.responses import Response

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.triggers.event_stream import EventProducer
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsEventTrigger
from tests.fakes.airflow_versions import needs_airflow
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.waiting import until
from tests.integration.provider.conftest import Connect
from tests.integration.provider.test_triggers import AT_ONCE, take
from tests.integration.provider.test_triggers import open_events as open_timed_events

pytestmark = pytest.mark.usefixtures("quick_worker")


open_events = partial(open_timed_events, timing=AT_ONCE)


def build(**kwargs: Any) -> PushMetricsEventTrigger:
    return PushMetricsEventTrigger(only_successful=True, **kwargs)


def build_watcher(name: str, **kwargs: Any) -> PushMetricsEventTrigger:
    """Build the trigger of an asset."""
    (watcher,) = build_run_asset(name, report_id=1, **kwargs).watchers
    trigger: Any = watcher.trigger
    return PushMetricsEventTrigger(**trigger.serialize()[1])  # as Airflow does


async def test_only_runs_that_ended_well_update_the_asset(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.outcomes = ["failed", "success", "cancelled", "success", "failed"]
    for _ in range(5):
        pushmetrics.start_run()
    async with open_events(build()) as events:
        assert await take(events, 2) == [2, 4]
    async with open_events(PushMetricsEventTrigger()) as events:
        assert await take(events, 5) == [1, 2, 3, 4, 5]


async def test_a_run_that_nobody_can_tell_about_does_not_update_the_asset(
    pushmetrics: FakePushMetrics,
) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    pushmetrics.runs.pop(0)
    event = pushmetrics.build_event(pushmetrics.runs[0])
    pushmetrics.inbox.add({**event, "report_notebook_outputs": "https://evil.example/api/reports/1/run/9"})
    pushmetrics.inbox.add({"event": "report.run", "report_id": 1})
    pushmetrics.start_run()
    async with open_events(build()) as events:
        assert await take(events, 3) == [2, 3, 6]


@needs_airflow("3.0")
@pytest.mark.parametrize("change", [{"only_successful": True}, {"pushmetrics_conn_id": "other"}])
async def test_changed_asset_continues_at_its_position_and_others_begin_with_the_oldest_event(
    pushmetrics: FakePushMetrics, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", os.environ["AIRFLOW_CONN_PUSHMETRICS_DEFAULT"])
    for _ in range(2):
        pushmetrics.start_run()
    async with open_events(build_watcher("delays")) as events:
        assert await take(events, 2) == [1, 2]
        pushmetrics.start_run()
        assert await take(events, 1) == [3]  # the position is stored when the next one is taken
    async with open_events(build_watcher("delays", **change)) as events:
        assert await take(events, 1) == [3]
    async with open_events(build_watcher("other", **change)) as events:
        assert await take(events, 3) == [1, 2, 3]


@needs_airflow("3.0")
async def test_asset_may_be_updated_by_an_event_of_a_change(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.start_run()
    pushmetrics.inbox.add({"event": "report.updated", "report_id": 1, "report_name": "Delays"})
    async with open_events(build_watcher("edited", event="report.updated")) as events:
        assert await take(events, 1) == [2]


async def test_an_event_waits_while_pushmetrics_is_away(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.start_run()
    pushmetrics.api_outages = 7
    async with open_events(build()) as events:
        assert await take(events, 1) == [1]


@pytest.mark.parametrize("status", [200, 302, 404])
async def test_an_event_waits_while_a_proxy_answers_in_the_place_of_pushmetrics(
    pushmetrics: FakePushMetrics, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """A page for maintenance, or a redirect to another host: it says nothing of the run."""
    pushmetrics.start_run()
    pushmetrics.page_status = status
    async with open_events(build()) as events:
        waiting = asyncio.ensure_future(take(events, 1))
        await until(lambda: "cannot be read" in caplog.text)
        pushmetrics.page_status = None
        assert await waiting == [1]


@pytest.mark.parametrize(
    ("path", "status"), [("user/current", 200), ("security/exchange", 405), ("hidden", 403)]
)
async def test_an_event_whose_run_alone_is_refused_holds_up_no_other(
    pushmetrics: FakePushMetrics, path: str, status: int
) -> None:
    """Such as that of another workspace, which this API token may not see."""
    pushmetrics.start_run()
    pushmetrics.results["/api/v1/hidden"] = Response("{}", status)
    event = pushmetrics.build_event(pushmetrics.runs[0])
    pushmetrics.inbox.add({**event, "report_notebook_outputs": f"{pushmetrics.url}/api/v1/{path}"})
    pushmetrics.start_run()
    async with open_events(build()) as events:
        assert await take(events, 2) == [1, 3]


@pytest.mark.parametrize(("password", "words"), [(None, "has no API token"), ("a-wrong-api-token", "401")])
async def test_an_event_waits_while_the_api_token_is_missing_or_wrong_and_the_log_says_so(
    connect_whole: Connect,
    pushmetrics: FakePushMetrics,
    caplog: pytest.LogCaptureFixture,
    password: str | None,
    words: str,
) -> None:
    connect_whole(password=password)
    pushmetrics.start_run()
    async with open_events(build()) as events:
        waiting = asyncio.ensure_future(take(events, 1))
        await until(lambda: words in caplog.text)
        assert pushmetrics.inbox.stored == []
        connect_whole()
        assert await waiting == [1]


async def read_all(pushmetrics: FakePushMetrics, *outcomes: str) -> tuple[EventProducer, list[int]]:
    """Read until nothing is left, and confirm nothing."""
    pushmetrics.outcomes = list(outcomes)
    for _ in outcomes:
        pushmetrics.start_run()
    producer = EventProducer(build().serialize()[1], timing=AT_ONCE)
    ids: list[int] = []
    stream = producer.open_stream()
    reading = asyncio.ensure_future(collect(stream, ids))
    await until(lambda: pushmetrics.inbox.waiting == 1)
    reading.cancel()
    await asyncio.wait([reading])
    return producer, ids


async def collect(stream: AsyncIterator[tuple[Any, Any]], ids: list[int]) -> None:
    async for _, event_id in stream:
        ids.append(event_id)


async def test_the_position_moves_over_events_that_are_passed_over(pushmetrics: FakePushMetrics) -> None:
    producer, ids = await read_all(pushmetrics, "failed", "failed")
    assert ids == []
    assert list(pushmetrics.inbox.positions.values()) == [2]
    await producer.aclose()


async def test_the_position_moves_over_no_event_that_airflow_has_not_stored(
    pushmetrics: FakePushMetrics,
) -> None:
    producer, ids = await read_all(pushmetrics, "success", "failed", "success", "failed")
    assert ids == [1, 3]
    assert pushmetrics.inbox.positions == {}
    await producer.store_position(1)
    assert list(pushmetrics.inbox.positions.values()) == [1]
    await producer.store_position(3)  # and the one behind it, which was passed over
    assert list(pushmetrics.inbox.positions.values()) == [4]
    await producer.aclose()
