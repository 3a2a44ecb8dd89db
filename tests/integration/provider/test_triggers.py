"""Triggers in an event loop, against the fakes over real HTTP; watchers in Airflow's own shared streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent

from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsConfigurationError,
    PushMetricsError,
)
from airflow_provider_pushmetrics.triggers.event_stream import (
    MAX_UNSTORED_EVENTS,
    EventProducer,
    StreamTiming,
    build_position_name,
)
from airflow_provider_pushmetrics.triggers.pushmetrics import (
    PushMetricsEventTrigger,
    PushMetricsRunTrigger,
    PushMetricsSensorTrigger,
)
from tests.fakes.airflow_storage import frame_failure
from tests.fakes.inbox import FakeInbox
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.supervisor import FakeTaskInstance
from tests.fakes.triggerer import fire, fire_impatiently
from tests.fakes.waiting import LIMIT_SECONDS, until
from tests.integration.provider.conftest import Connect

pytestmark = pytest.mark.usefixtures("whole_connection")

SPACING_SECONDS = 0.3
TIMING = StreamTiming(SPACING_SECONDS)
AT_ONCE = StreamTiming(0.0, retry_seconds=0.02)


# A run


@pytest.mark.parametrize("outcome", ["success", "failed", "cancelled"])
@pytest.mark.parametrize("has_receiver", [True, False])
async def test_a_run_that_is_over_fires_one_event(
    connect_whole: Connect, pushmetrics: FakePushMetrics, outcome: str, has_receiver: bool
) -> None:
    if not has_receiver:
        connect_whole(receiver_url=None, receiver_token=None)
    pushmetrics.outcomes = [outcome]
    run = pushmetrics.start_run()
    payload = await fire(PushMetricsRunTrigger(report_id="1", run_id=run.id))
    assert (payload["status"], payload["run_id"], payload["report_id"]) == ("success", run.id, "1")
    # The API says how it ended, and the event does not; with both, the first to answer counts.
    assert payload["run_status"] == outcome or (has_receiver and payload["run_status"] is None)


async def test_a_run_is_waited_for_until_its_event_arrives(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(password=None)
    waiting = asyncio.create_task(fire(PushMetricsRunTrigger(report_id="1", run_id=1, after_cursor=0)))
    await until(lambda: pushmetrics.inbox.waiting == 1)
    run = pushmetrics.start_run()
    payload = await asyncio.wait_for(waiting, LIMIT_SECONDS)
    assert payload["outputs_url"] == f"{pushmetrics.url}/api/reports/1/run/{run.id}"
    assert payload["run_status"] is None


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"password": "wrong-api-token-123"}, "PushMetricsAuthError", "401"),
        (
            {"password": None, "receiver_url": None, "receiver_token": None},
            "PushMetricsConfigurationError",
            "there is no way to wait for the run",
        ),
    ],
)
async def test_a_wait_that_is_refused_fires_an_error_without_tokens(
    connect_whole: Connect, changes: dict[str, Any], error: str, words: str
) -> None:
    connect_whole(**changes)
    payload = await fire_impatiently(PushMetricsRunTrigger(report_id="1", run_id=1))
    assert (payload["status"], payload["error"]) == ("error", error)
    assert words in payload["message"]
    assert "wrong-api-token-123" not in payload["message"]


HARMFUL = {
    "event": "report.run",
    "report_id": 1,
    "n": 2**64,
    "a\0": "b\0",
    "\ud800": ["\udfff"],
    "__classname__": "builtins.tuple",
    "__type": "dict",
    "__var": {},
}
CLEAN = {
    "event": "report.run",
    "report_id": 1,
    "n": "18446744073709551616",
    "a\ufffd": "b\ufffd",
    "\ufffd": ["\ufffd"],
    "__classname___": "builtins.tuple",
    "__type_": "dict",
    "__var_": {},
}


async def test_an_event_that_airflow_cannot_store_is_fired_as_one_that_it_can(
    pushmetrics: FakePushMetrics,
) -> None:
    pushmetrics.inbox.add(HARMFUL)
    payload = await fire(PushMetricsSensorTrigger(event="report.run", report_id=1))
    assert payload["found"]["body"] == CLEAN


async def test_an_event_that_airflow_cannot_store_holds_up_nobody_else(pushmetrics: FakePushMetrics) -> None:
    waiting = [
        asyncio.create_task(fire(PushMetricsSensorTrigger(event=event, report_id=report_id)))
        for event, report_id in (("report.run", 1), ("query.run", 2))
    ]
    await until(lambda: pushmetrics.inbox.waiting == 1)
    pushmetrics.inbox.add(HARMFUL)
    pushmetrics.inbox.add({"event": "query.run", "report_id": 2, "n": 1})
    harmful, other = await asyncio.wait_for(asyncio.gather(*waiting), LIMIT_SECONDS)
    assert harmful["found"]["body"] == CLEAN
    assert other["found"]["body"]["n"] == 1


@pytest.mark.parametrize("conn_id", ["no_such_connection", "none\ud800"])
@pytest.mark.parametrize(
    "build",
    [
        partial(PushMetricsRunTrigger, report_id="1", run_id=7),
        partial(PushMetricsSensorTrigger, event="report.run", run_id=7),
    ],
)
async def test_an_error_that_is_none_of_ours_fires_an_error_that_can_be_stored(
    build: Callable[..., Any], conn_id: str
) -> None:
    payload = await fire(build(pushmetrics_conn_id=conn_id))
    assert (payload["status"], payload["run_id"]) == ("error", 7)
    assert payload["message"].startswith(f"{payload['error']}: ")
    assert "PushMetrics" not in payload["error"]
    payload["message"].encode("utf-8")


@pytest.mark.parametrize(
    "trigger",
    [
        PushMetricsRunTrigger(report_id="1", run_id=7, after_cursor=0),
        PushMetricsSensorTrigger(event="report.run"),
    ],
)
async def test_a_wait_that_is_cancelled_fires_nothing_and_leaves_the_receiver(
    connect_whole: Connect, pushmetrics: FakePushMetrics, trigger: Any
) -> None:
    connect_whole(password=None)
    waiting = asyncio.create_task(fire(trigger))
    await until(lambda: pushmetrics.inbox.waiting == 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(lambda: pushmetrics.inbox.waiting == 0)


async def test_an_event_is_not_fired_before_the_worker_has_reported(pushmetrics: FakePushMetrics) -> None:
    run, ti = pushmetrics.start_run(), FakeTaskInstance()
    not_before = time.time() + 0.3
    await fire(PushMetricsRunTrigger(report_id="1", run_id=run.id, not_before=not_before), ti)
    assert time.time() >= not_before
    not_before = time.time() + 0.3
    await fire(PushMetricsSensorTrigger(event="report.run", not_before=not_before), ti)
    assert time.time() >= not_before


# An event


async def test_an_event_that_is_wanted_fires(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.start_run("2")
    run = pushmetrics.start_run("1")
    payload = await fire(PushMetricsSensorTrigger(event="report.run", report_id=1, after=0))
    assert payload["status"] == "success"
    assert payload["found"]["id"] == 2
    assert payload["found"]["body"] == pushmetrics.build_event(run)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"receiver_token": "wrong-reader-token"}, "PushMetricsAuthError", "401"),
        (
            {"receiver_url": None, "receiver_token": None, "password": None},
            "PushMetricsConfigurationError",
            "neither a receiver nor an API token",
        ),
    ],
)
async def test_a_wait_for_an_event_that_is_refused_fires_an_error(
    connect_whole: Connect, changes: dict[str, Any], error: str, words: str
) -> None:
    connect_whole(**changes)
    payload = await fire_impatiently(PushMetricsSensorTrigger(event="report.run", run_id=7))
    assert (payload["status"], payload["error"], payload["run_id"]) == ("error", error, 7)
    assert words in payload["message"]
    assert "wrong-reader-token" not in payload["message"]


# An asset's watcher, on its own: the way of Airflow before 3.3


@asynccontextmanager
async def open_events(
    trigger: PushMetricsEventTrigger, *, timing: StreamTiming = TIMING
) -> AsyncIterator[AsyncIterator[TriggerEvent]]:
    trigger.timing = timing
    events = trigger.run()
    try:
        yield events
    finally:
        await events.aclose()  # type: ignore[attr-defined]


async def take(events: AsyncIterator[TriggerEvent], count: int) -> list[int]:
    """Take some events and return their ids."""
    return [(await asyncio.wait_for(anext(events), LIMIT_SECONDS)).payload["id"] for _ in range(count)]


def find_position(inbox: FakeInbox, trigger: PushMetricsEventTrigger) -> int:
    return inbox.positions.get(build_position_name(trigger.serialize()[1]), 0)


async def test_a_new_watcher_begins_with_the_oldest_event(pushmetrics: FakePushMetrics) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    async with open_events(PushMetricsEventTrigger()) as events:
        assert await take(events, 3) == [1, 2, 3]


async def test_the_last_of_several_events_keeps_its_distance(pushmetrics: FakePushMetrics) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    async with open_events(PushMetricsEventTrigger()) as events:
        await take(events, 2)
        began = time.monotonic()
        await take(events, 1)
        assert time.monotonic() - began >= SPACING_SECONDS * 0.9


async def test_an_event_that_comes_alone_is_not_held_back(pushmetrics: FakePushMetrics) -> None:
    async with open_events(PushMetricsEventTrigger()) as events:
        pushmetrics.start_run()
        await take(events, 1)
        took: list[float] = []
        while not took or min(took) >= SPACING_SECONDS * 0.9:
            assert len(took) < 50, took
            await asyncio.sleep(SPACING_SECONDS)
            began = time.monotonic()
            pushmetrics.start_run()
            await take(events, 1)
            took.append(time.monotonic() - began)


async def test_a_watchers_event_holds_the_webhooks_body(pushmetrics: FakePushMetrics) -> None:
    run = pushmetrics.start_run()
    async with open_events(PushMetricsEventTrigger()) as events:
        payload = (await anext(events)).payload
    assert payload["body"] == pushmetrics.build_event(run)
    assert set(payload) == {"id", "source", "received_at", "body"}


async def test_a_watchers_event_can_be_stored_whatever_the_webhook_says(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.inbox.add(HARMFUL)
    async with open_events(PushMetricsEventTrigger()) as events:
        assert (await anext(events)).payload["body"] == CLEAN


async def test_an_error_of_a_task_that_waits_for_events_can_be_sent_to_airflows_supervisor(
    pushmetrics: FakePushMetrics,
) -> None:
    trigger = PushMetricsEventTrigger(pushmetrics_conn_id="none\ud800")
    trigger.task_instance = FakeTaskInstance()  # type: ignore[assignment]
    async with open_events(trigger) as events:
        with pytest.raises(PushMetricsError) as caught:
            await take(events, 1)
    assert "\ufffd" in str(caught.value)
    frame_failure(caught.value)


async def test_the_position_moves_on_when_the_next_event_is_asked_for(pushmetrics: FakePushMetrics) -> None:
    trigger = PushMetricsEventTrigger()
    for _ in range(3):
        pushmetrics.start_run()
    async with open_events(trigger) as events:
        await take(events, 1)
        assert find_position(pushmetrics.inbox, trigger) == 0
        await take(events, 1)
        assert find_position(pushmetrics.inbox, trigger) == 1


async def test_a_watcher_goes_on_where_it_was(pushmetrics: FakePushMetrics) -> None:
    for _ in range(4):
        pushmetrics.start_run()
    async with open_events(PushMetricsEventTrigger()) as events:
        assert await take(events, 3) == [1, 2, 3]
    async with open_events(PushMetricsEventTrigger()) as events:
        assert await take(events, 2) == [3, 4]


async def test_the_position_passes_events_that_a_watcher_does_not_want(pushmetrics: FakePushMetrics) -> None:
    """Else a watcher of a rare report would seem to be behind, and to miss what is deleted."""
    pushmetrics.inbox.hold_seconds = 0.05
    trigger = PushMetricsEventTrigger(report_id=1)
    async with open_events(trigger) as events:
        waiting = asyncio.ensure_future(take(events, 1))
        for _ in range(3):
            pushmetrics.start_run("2")
        await until(lambda: find_position(pushmetrics.inbox, trigger) == 3)
        pushmetrics.start_run("1")
        pushmetrics.start_run("2")
        assert await asyncio.wait_for(waiting, LIMIT_SECONDS) == [4]
        await asyncio.sleep(0.3)
        assert find_position(pushmetrics.inbox, trigger) == 3, "the event is not yet stored"
        after = asyncio.ensure_future(take(events, 1))
        await until(lambda: find_position(pushmetrics.inbox, trigger) == 5)
        await settle(after)


async def test_the_position_follows_an_inbox_that_begins_anew(pushmetrics: FakePushMetrics) -> None:
    inbox, trigger = pushmetrics.inbox, PushMetricsEventTrigger(report_id=1)
    inbox.hold_seconds = 0.05
    async with open_events(trigger) as events:
        waiting = asyncio.ensure_future(take(events, 1))
        for _ in range(3):
            pushmetrics.start_run("2")
        await until(lambda: find_position(inbox, trigger) == 3)
        inbox.events.clear()
        inbox.positions.clear()
        pushmetrics.start_run("2")
        await until(lambda: find_position(inbox, trigger) == 1)
        await settle(waiting)


async def test_two_watchers_do_not_skip_each_others_events(pushmetrics: FakePushMetrics) -> None:
    for report_id in ("1", "2", "1", "2"):
        pushmetrics.start_run(report_id)
    async with (
        open_events(PushMetricsEventTrigger(report_id=1, consumer="same")) as first,
        open_events(PushMetricsEventTrigger(report_id=2, consumer="same")) as second,
    ):
        assert await take(first, 2) == [1, 3]
        assert await take(second, 2) == [2, 4]


async def test_a_position_that_cannot_be_stored_is_an_error_and_not_forgotten(
    pushmetrics: FakePushMetrics,
) -> None:
    pushmetrics.inbox.refuses_positions = True
    for _ in range(2):
        pushmetrics.start_run()
    async with open_events(PushMetricsEventTrigger()) as events:
        await take(events, 1)
        with pytest.raises(PushMetricsApiError, match="beyond the newest event"):
            await take(events, 1)


async def test_failures_of_the_receiver_before_an_event_is_passed_on_do_not_stop_a_watcher(
    pushmetrics: FakePushMetrics,
) -> None:
    """Of the places of unstored events, none is lost by any of them."""
    inbox, timing = pushmetrics.inbox, replace(AT_ONCE, fresh_seconds=0.0)
    async with open_events(PushMetricsEventTrigger(), timing=timing) as events:
        waiting = asyncio.ensure_future(take(events, 1))
        await until(lambda: inbox.waiting == 1)
        inbox.position_outages = outages = 10 * MAX_UNSTORED_EVENTS
        pushmetrics.start_run()
        await until(lambda: inbox.position_outages < outages - 6 * MAX_UNSTORED_EVENTS, "retries")
        inbox.position_outages = 0
        assert await asyncio.wait_for(waiting, LIMIT_SECONDS) == [1]


async def test_a_task_that_waits_for_events_without_a_receiver_and_a_token_fails_with_the_way_out(
    connect_whole: Connect,
) -> None:
    connect_whole(receiver_url=None, receiver_token=None, password=None)
    trigger = PushMetricsEventTrigger()
    trigger.task_instance = FakeTaskInstance()  # type: ignore[assignment]
    assert trigger.shared_stream_key() is None
    async with open_events(trigger) as events:
        with pytest.raises(PushMetricsConfigurationError, match="has no receiver and no API token"):
            await take(events, 1)


CAUSES = {
    "no connection": (None, "The conn_id `pushmetrics_default` isn't defined"),
    "no receiver": (
        {"receiver_url": None, "receiver_token": None, "password": None},
        "has no receiver and no API token",
    ),
    "wrong reader token": ({"receiver_token": "wrong-reader-token"}, "401"),
}


@pytest.mark.parametrize("cause", CAUSES)
async def test_a_watcher_waits_for_what_can_be_mended_and_says_so_once_without_a_traceback(
    connect_whole: Connect,
    pushmetrics: FakePushMetrics,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    cause: str,
) -> None:
    changes, words = CAUSES[cause]
    if changes is None:
        monkeypatch.delenv("AIRFLOW_CONN_PUSHMETRICS_DEFAULT")
    else:
        connect_whole(**changes)
    pushmetrics.start_run()
    async with open_events(PushMetricsEventTrigger(), timing=AT_ONCE) as events:
        waiting = asyncio.ensure_future(take(events, 1))
        await until(lambda: words in caplog.text)
        await asyncio.sleep(0.2)  # some tries
        assert not waiting.done()
        connect_whole()
        assert await asyncio.wait_for(waiting, LIMIT_SECONDS) == [1]
    (line,) = [record for record in caplog.records if "cannot be read" in record.getMessage()]
    assert line.exc_info is None
    assert "wrong-reader-token" not in caplog.text


async def test_a_watcher_that_tries_again_hands_over_no_event_twice(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    producer = EventProducer(PushMetricsEventTrigger(only_successful=True).serialize()[1], timing=AT_ONCE)
    pushmetrics.start_run()
    stream = producer.open_stream()
    assert (await anext(stream))[1] == 1  # Airflow has not stored it yet
    waiting = asyncio.ensure_future(anext(stream))
    pushmetrics.page_status = 404
    pushmetrics.start_run()
    await asyncio.sleep(0.2)  # some tries
    assert not waiting.done()
    pushmetrics.page_status = None
    assert (await asyncio.wait_for(waiting, LIMIT_SECONDS))[1] == 2
    await stream.aclose()  # type: ignore[attr-defined]
    await producer.aclose()


@pytest.mark.parametrize(("store_seconds", "is_stored"), [(0.05, True), (LIMIT_SECONDS, False)])
async def test_before_airflow_tells_what_it_stored_a_long_inbox_is_passed_on_in_portions(
    pushmetrics: FakePushMetrics, store_seconds: float, is_stored: bool
) -> None:
    trigger = PushMetricsEventTrigger()
    trigger.timing = replace(TIMING, spacing_seconds=0.0, store_seconds=store_seconds)
    for _ in range(MAX_UNSTORED_EVENTS + 1):
        pushmetrics.start_run()
    async with aclosing(trigger.run()) as events:  # type: ignore[type-var]
        for _ in range(MAX_UNSTORED_EVENTS):
            await asyncio.wait_for(anext(events), LIMIT_SECONDS)
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.wait([waiting], timeout=LIMIT_SECONDS if is_stored else 0.2)
        assert waiting.done() is is_stored
        await settle(waiting)


async def test_a_task_takes_one_event_and_leaves_the_others_to_those_that_follow(
    pushmetrics: FakePushMetrics,
) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    for number in (1, 2):
        trigger = PushMetricsEventTrigger()
        trigger.task_instance = FakeTaskInstance()  # type: ignore[assignment]
        events = [event.payload async for event in trigger.run()]
        assert [event["id"] for event in events] == [number]
        assert find_position(pushmetrics.inbox, trigger) == number


# An asset's watcher in Airflow's own shared stream


class WatcherTrigger(PushMetricsEventTrigger):
    timing = TIMING


class Triggerer:
    """Drives watchers through Airflow's stream manager, in the steps of its triggerer."""

    def __init__(self) -> None:
        shared_stream = pytest.importorskip("airflow.triggers.shared_stream")  # before Airflow 3.3
        self.manager: Any = shared_stream.SharedStreamManager(ack_timeout=60)
        self._watching: dict[int, tuple[PushMetricsEventTrigger, AsyncIterator[TriggerEvent]]] = {}

    def watch(self, trigger: PushMetricsEventTrigger, trigger_id: int = 1) -> None:
        key = trigger.shared_stream_key()
        assert key is not None
        stream = self.manager.subscribe(trigger_id=trigger_id, trigger=trigger, key=key)
        self._watching[trigger_id] = trigger, trigger.filter_shared_stream(stream)

    async def take(self, count: int, trigger_id: int = 1) -> list[tuple[int, int | None]]:
        """Take some events, and return the id of each and the number under which its storing is confirmed."""
        trigger, events = self._watching[trigger_id]
        taken = []
        for _ in range(count):
            event = await asyncio.wait_for(anext(events), LIMIT_SECONDS)
            key: Any = trigger.shared_stream_key()
            seq = self.manager.bind_pending_event(trigger_id=trigger_id, key=key)
            taken.append((event.payload["id"], seq))
        return taken

    def go_on(self, trigger_id: int = 1) -> asyncio.Future[TriggerEvent]:
        """Ask for the next event without waiting for it, which says that the one before is dealt with."""
        return asyncio.ensure_future(anext(self._watching[trigger_id][1]))


@pytest.fixture
async def triggerer() -> AsyncIterator[Triggerer]:
    triggerer = Triggerer()
    yield triggerer
    await triggerer.manager.stop_all()


async def settle(*pending: Awaitable[Any]) -> None:
    """Let what was asked for and did not come be forgotten."""
    for waiting in pending:
        asyncio.ensure_future(waiting).cancel()
        with suppress(asyncio.CancelledError):
            await waiting


async def test_the_position_moves_on_only_when_airflow_has_stored_the_event(
    triggerer: Triggerer, pushmetrics: FakePushMetrics
) -> None:
    trigger = WatcherTrigger()
    pushmetrics.start_run()
    triggerer.watch(trigger)
    ((event_id, seq),) = await triggerer.take(1)
    assert (event_id, seq is not None) == (1, True)
    waiting = triggerer.go_on()
    await until(lambda: pushmetrics.inbox.waiting == 1)
    await asyncio.sleep(0.05)
    assert pushmetrics.inbox.stored == []
    triggerer.manager.confirm_persisted([seq or 0])
    await until(lambda: pushmetrics.inbox.stored == [1])
    assert find_position(pushmetrics.inbox, trigger) == 1
    await settle(waiting)


async def test_an_event_that_was_not_stored_comes_again_after_a_restart(
    triggerer: Triggerer, pushmetrics: FakePushMetrics
) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    triggerer.watch(WatcherTrigger())
    taken = await triggerer.take(3)
    triggerer.manager.confirm_persisted([taken[0][1] or 0])
    await until(lambda: pushmetrics.inbox.stored == [1])
    await triggerer.manager.stop_all()

    again = Triggerer()
    again.watch(WatcherTrigger())
    assert [event_id for event_id, _ in await again.take(2)] == [2, 3]
    await again.manager.stop_all()


async def test_a_position_never_passes_an_event_that_was_not_stored(
    triggerer: Triggerer, pushmetrics: FakePushMetrics
) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    triggerer.watch(WatcherTrigger())
    taken = await triggerer.take(3)
    waiting = triggerer.go_on()
    triggerer.manager.confirm_persisted([taken[1][1] or 0, taken[2][1] or 0])
    await asyncio.sleep(0.05)
    assert pushmetrics.inbox.stored == []
    triggerer.manager.confirm_persisted([taken[0][1] or 0])
    await until(lambda: pushmetrics.inbox.stored[-1:] == [3])
    await settle(waiting)


async def test_a_long_inbox_is_passed_on_as_fast_as_airflow_stores_its_events(
    triggerer: Triggerer, pushmetrics: FakePushMetrics
) -> None:
    for _ in range(MAX_UNSTORED_EVENTS + 2):
        pushmetrics.start_run()
    triggerer.watch(WatcherTrigger())
    taken = await triggerer.take(MAX_UNSTORED_EVENTS)
    waiting = triggerer.go_on()
    await asyncio.sleep(0.2)
    assert not waiting.done()
    triggerer.manager.confirm_persisted([taken[0][1] or 0])
    assert (await asyncio.wait_for(waiting, LIMIT_SECONDS)).payload["id"] == MAX_UNSTORED_EVENTS + 1
    waiting = triggerer.go_on()
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await settle(waiting)


async def test_watchers_of_long_inboxes_share_what_airflow_has_not_stored(
    triggerer: Triggerer, pushmetrics: FakePushMetrics
) -> None:
    for _ in range(MAX_UNSTORED_EVENTS):
        pushmetrics.start_run()
    triggerer.watch(WatcherTrigger(), trigger_id=1)
    await triggerer.take(MAX_UNSTORED_EVENTS // 2, 1)
    triggerer.watch(WatcherTrigger(report_id=1), trigger_id=2)
    await triggerer.take(MAX_UNSTORED_EVENTS // 2, 2)
    waiting = triggerer.go_on(2)
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await settle(waiting)
    await triggerer.manager.unsubscribe(1, WatcherTrigger().shared_stream_key())


async def test_watchers_of_the_same_share_one_poll_and_wait_for_each_other(
    triggerer: Triggerer, pushmetrics: FakePushMetrics
) -> None:
    triggerer.watch(WatcherTrigger(), trigger_id=1)
    triggerer.watch(WatcherTrigger(), trigger_id=2)
    await until(lambda: pushmetrics.inbox.waiting == 1)
    pushmetrics.start_run()
    ((_, first),), ((_, second),) = await triggerer.take(1, 1), await triggerer.take(1, 2)
    waiting = [triggerer.go_on(1), triggerer.go_on(2)]
    triggerer.manager.confirm_persisted([first or 0])
    await asyncio.sleep(0.05)
    assert pushmetrics.inbox.stored == []
    triggerer.manager.confirm_persisted([second or 0])
    await until(lambda: pushmetrics.inbox.stored == [1])
    await settle(*waiting)


async def test_a_position_that_cannot_be_stored_ends_the_stream_so_that_airflow_begins_again(
    triggerer: Triggerer, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.inbox.refuses_positions = True
    pushmetrics.start_run()
    triggerer.watch(WatcherTrigger())
    ((_, seq),) = await triggerer.take(1)
    waiting = triggerer.go_on()
    triggerer.manager.confirm_persisted([seq or 0])
    with pytest.raises(PushMetricsApiError, match="beyond the newest event"):
        await asyncio.wait_for(waiting, LIMIT_SECONDS)


async def test_a_watcher_that_leaves_an_event_behind_ends_the_stream_instead_of_losing_it(
    triggerer: Triggerer, pushmetrics: FakePushMetrics
) -> None:
    triggerer.watch(WatcherTrigger(), trigger_id=1)
    triggerer.watch(WatcherTrigger(), trigger_id=2)
    await until(lambda: pushmetrics.inbox.waiting == 1)
    pushmetrics.start_run()
    ((_, seq),) = await triggerer.take(1, 1)
    waiting = triggerer.go_on(1)
    triggerer.manager.confirm_persisted([seq or 0])
    key: Any = WatcherTrigger().shared_stream_key()
    await triggerer.manager.unsubscribe(2, key)
    with pytest.raises(PushMetricsApiError, match="Airflow did not store an event"):
        await asyncio.wait_for(waiting, LIMIT_SECONDS)
    assert pushmetrics.inbox.stored == []


async def test_a_stream_that_ends_lets_go_of_the_receiver(
    triggerer: Triggerer, pushmetrics: FakePushMetrics
) -> None:
    triggerer.watch(WatcherTrigger())
    await until(lambda: pushmetrics.inbox.waiting == 1)
    await triggerer.manager.stop_all()
    await until(lambda: pushmetrics.inbox.waiting == 0)
