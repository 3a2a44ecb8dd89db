"""Watchers on a connection with only an API token: the list of runs is polled."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from airflow_provider_pushmetrics.events import ReportRun, parse_event
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.triggers.event_stream import (
    StreamTiming,
    build_position_name,
    build_stream_name,
)
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsEventTrigger
from airflow_provider_pushmetrics.triggers.run_position import RunPosition, VariableStore
from tests.fakes.airflow_versions import AIRFLOW_VERSION, needs_airflow
from tests.fakes.pushmetrics import FakePushMetrics, FakeRun
from tests.fakes.supervisor import FakeSupervisor, FakeTaskInstance, talk_to
from tests.fakes.waiting import LIMIT_SECONDS, until
from tests.integration.provider.conftest import Connect

pytestmark = needs_airflow("3.0")


class QuickTrigger(PushMetricsEventTrigger):
    timing = StreamTiming(0.0, retry_seconds=0.02, min_poll_seconds=0.01, overlap_seconds=0.05)


def quick(**kwargs: Any) -> QuickTrigger:
    """Build a watcher that polls often."""
    return QuickTrigger(**{"poll_interval_seconds": 0.02, **kwargs})


@pytest.fixture(autouse=True)
def without_receiver(connect_whole: Connect, pushmetrics: FakePushMetrics) -> None:
    connect_whole(receiver_url=None, receiver_token=None)
    pushmetrics.delivers = False


@pytest.fixture(autouse=True)
def supervisor(monkeypatch: pytest.MonkeyPatch) -> FakeSupervisor:
    supervisor = FakeSupervisor()
    talk_to(supervisor, monkeypatch)
    return supervisor


class Watcher:
    """Takes the events of a watcher, as Airflow does."""

    def __init__(self, events: AsyncIterator[TriggerEvent]) -> None:
        self._events = events
        self._next: asyncio.Future[TriggerEvent] | None = None

    def ask(self) -> asyncio.Future[TriggerEvent]:
        """Ask for the next event, which also confirms the one before."""
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._events))
        return self._next

    async def take(self, count: int) -> list[int]:
        """Take some events, and return the numbers of their runs."""
        taken = []
        for _ in range(count):
            taken.append((await asyncio.wait_for(self.ask(), LIMIT_SECONDS)).payload["id"])
            self._next = None
        return taken

    async def close(self) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait([self._next])
        await self._events.aclose()  # type: ignore[attr-defined]


@asynccontextmanager
async def watch(trigger: PushMetricsEventTrigger, asset: str = "ran") -> AsyncIterator[Watcher]:
    """Run a watcher in a triggerer that lives as long as the block."""
    if AIRFLOW_VERSION >= (3, 3):
        from airflow.sdk import Asset
        from airflow.sdk.execution_time.context import AssetStateStoreAccessors

        trigger.asset_state_store = AssetStateStoreAccessors([Asset(asset)])
        trigger.shared_stream_key()
    watcher = Watcher(trigger.run())
    try:
        yield watcher
    finally:
        await watcher.close()


async def begin(watcher: Watcher) -> None:
    """Let a new watcher look at the runs that exist, and keep its position."""
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    supervisor: Any = SUPERVISOR_COMMS
    kept = supervisor.asset_store if AIRFLOW_VERSION >= (3, 3) else supervisor.variables
    before = len(kept)
    watcher.ask()
    await until(lambda: len(kept) > before)


def count_lists(pushmetrics: FakePushMetrics) -> int:
    return sum(request.path.endswith("/noteflow_run/") for request in pushmetrics.seen)


def count_path(pushmetrics: FakePushMetrics, path: str) -> int:
    return sum(request.path == path for request in pushmetrics.seen)


def count_outputs(pushmetrics: FakePushMetrics, run_id: int) -> int:
    return sum(
        "/api/reports/" in request.path and request.path.endswith(f"/run/{run_id}")
        for request in pushmetrics.seen
    )


def is_kept(supervisor: FakeSupervisor, run_id: int) -> bool:
    return any(
        run_id in value["handled"] or value["floor"] >= run_id for value in supervisor.asset_store.values()
    )


async def test_a_run_that_ends_fires_an_event_like_that_of_its_webhook(pushmetrics: FakePushMetrics) -> None:
    async with watch(quick()) as watcher:
        await begin(watcher)
        run = pushmetrics.start_run()
        found = (await asyncio.wait_for(watcher.ask(), LIMIT_SECONDS)).payload
    assert set(found) == {"id", "source", "received_at", "body"}
    assert (found["id"], found["source"]) == (run.id, "api")
    of_webhook = pushmetrics.build_event(run)
    missing = {"workspace_id", "workspace_name", "timestamp"}
    changed = {"report_name"}  # the fake's outputs have no name
    same = of_webhook.keys() - missing - changed
    assert {name: found["body"][name] for name in same} == {name: of_webhook[name] for name in same}
    event = parse_event(found["body"])
    assert isinstance(event, ReportRun)
    assert event.run_id == run.id


async def test_a_new_watcher_begins_with_the_runs_that_have_not_ended(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.start_run()
    pushmetrics.outcomes = ["running"]
    old = pushmetrics.start_run()
    pushmetrics.outcomes = ["success"]
    pushmetrics.start_run()
    async with watch(quick()) as watcher:
        await begin(watcher)
        old.status = "success"
        assert await watcher.take(1) == [old.id]
        newest = pushmetrics.start_run()
        assert await watcher.take(1) == [newest.id]


@pytest.mark.parametrize("page_size", [25, 5000])
async def test_a_new_watcher_fires_no_old_run_however_few_runs_a_page_has(
    pushmetrics: FakePushMetrics, page_size: int
) -> None:
    pushmetrics.max_run_page_size = page_size
    for _ in range(200):
        pushmetrics.start_run()
    async with watch(quick()) as watcher:
        await begin(watcher)
        new = pushmetrics.start_run()
        assert await watcher.take(1) == [new.id]


async def test_a_new_watcher_fires_no_old_run_of_a_server_that_shows_one_page_only(
    pushmetrics: FakePushMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    pushmetrics.runs += [FakeRun(number, "1", {}) for number in range(1, 200)]
    page = {"result": [{"id": number, "status": "success", "report_id": 1} for number in (199, 198)]}
    pushmetrics.list_answers = [JSONResponse(page) for _ in range(2)]
    async with watch(quick()) as watcher:
        await begin(watcher)
        new = pushmetrics.start_run()
        assert await watcher.take(1) == [new.id]
    assert "runs may have been missed" not in caplog.text


async def test_runs_may_end_in_any_order(pushmetrics: FakePushMetrics) -> None:
    async with watch(quick()) as watcher:
        await begin(watcher)
        pushmetrics.outcomes = ["running"]
        runs = [pushmetrics.start_run() for _ in range(5)]
        taken = []
        for run in (runs[3], runs[1], runs[4], runs[0], runs[2]):
            await asyncio.sleep(0.1)  # beyond the overlap, so that the floor rises
            run.status = "success"
            taken += await watcher.take(1)
    assert taken == [4, 2, 5, 1, 3]


async def test_a_run_that_appears_after_a_newer_one_is_found(pushmetrics: FakePushMetrics) -> None:
    trigger = quick()
    trigger.timing = StreamTiming(0.0, retry_seconds=0.02, min_poll_seconds=0.01)
    async with watch(trigger) as watcher:
        await begin(watcher)
        late = FakeRun(1, "1", {})
        pushmetrics.runs.append(FakeRun(2, "1", {}))
        assert await watcher.take(1) == [2]
        pushmetrics.runs.append(late)
        assert await watcher.take(1) == [1]


async def test_many_runs_between_two_polls_are_all_found_page_by_page(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.max_run_page_size = 7
    async with watch(quick()) as watcher:
        await begin(watcher)
        for _ in range(50):
            pushmetrics.start_run()
        assert await watcher.take(50) == list(range(1, 51))


async def test_a_server_that_shows_one_page_only_is_an_error_in_the_log(
    pushmetrics: FakePushMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    async with watch(quick()) as watcher:
        await begin(watcher)
        pushmetrics.runs += [FakeRun(number, "1", {}) for number in range(1, 300)]
        page = {"result": [{"id": number, "status": "success", "report_id": 1} for number in (299, 298)]}
        pushmetrics.list_answers = [JSONResponse(page) for _ in range(2)]
        await watcher.take(2)
    assert "runs may have been missed" in caplog.text


async def test_a_restarted_watcher_goes_on_where_it_was(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor
) -> None:
    async with watch(quick()) as watcher:
        await begin(watcher)
        pushmetrics.outcomes = ["running"]
        slow = pushmetrics.start_run()
        pushmetrics.outcomes = ["success"]
        pushmetrics.start_run()
        pushmetrics.start_run()
        assert await watcher.take(2) == [2, 3]
        watcher.ask()
        await asyncio.sleep(0.2)  # the position is kept, and the floor rises over the slow run
    slow.status = "success"
    pushmetrics.start_run()
    async with watch(quick()) as watcher:
        assert await watcher.take(2) == [1, 4]
    kept = supervisor.asset_store if AIRFLOW_VERSION >= (3, 3) else supervisor.variables
    assert len(kept) == 1


async def test_a_watcher_that_died_before_its_first_event_misses_nothing(
    pushmetrics: FakePushMetrics,
) -> None:
    async with watch(quick()) as watcher:
        await begin(watcher)
    pushmetrics.start_run()
    async with watch(quick()) as watcher:
        assert await watcher.take(1) == [1]


async def test_an_event_that_airflow_has_not_confirmed_comes_again(pushmetrics: FakePushMetrics) -> None:
    async with watch(quick()) as watcher:
        await begin(watcher)
        pushmetrics.start_run()
        pushmetrics.start_run()
        assert await watcher.take(2) == [1, 2]
    async with watch(quick()) as watcher:
        assert await watcher.take(1) == [2]


async def test_an_old_unfinished_run_that_left_the_list_is_asked_for_by_its_number(
    pushmetrics: FakePushMetrics,
) -> None:
    pushmetrics.outcomes = ["running"]
    old = pushmetrics.start_run()
    gone = pushmetrics.start_run()
    pushmetrics.outcomes = ["success"]
    for _ in range(150):
        pushmetrics.start_run()
    async with watch(quick()) as watcher:
        await begin(watcher)
        pushmetrics.runs.remove(gone)
        old.status = "failed"
        assert await watcher.take(1) == [old.id]
        pushmetrics.runs.append(FakeRun(500, "1", {}))
        assert await watcher.take(1) == [500]


async def test_all_watchers_of_a_connection_share_one_poll(pushmetrics: FakePushMetrics) -> None:
    triggers = [quick(consumer=f"c{number}", poll_interval_seconds=2.0) for number in range(20)]
    began = time.monotonic()
    watchers = [Watcher(trigger.run()) for trigger in triggers]
    try:
        for watcher in watchers:
            watcher.ask()
        await until(lambda: count_lists(pushmetrics) >= 2)  # the runs that exist, and those after them
        pushmetrics.start_run()
        assert [await watcher.take(1) for watcher in watchers] == [[1]] * len(watchers)
        assert count_lists(pushmetrics) <= 3 + (time.monotonic() - began) / 2.0
        outputs = [request for request in pushmetrics.seen if "/api/reports/" in request.path]
        assert len(outputs) == 1
    finally:
        for watcher in watchers:
            await watcher.close()


async def test_runs_of_other_reports_do_not_count(pushmetrics: FakePushMetrics) -> None:
    async with watch(quick(report_id=2)) as watcher:
        await begin(watcher)
        for report_id in ("1", "2", "1"):
            pushmetrics.start_run(report_id)
        assert await watcher.take(1) == [2]


async def test_a_report_is_recognized_in_a_list_that_has_only_uids(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.names_report, pushmetrics.outputs_name_report = ("report_uid",), False
    pushmetrics.reports = 2
    async with watch(quick(report_id=2)) as watcher, watch(quick(consumer="other"), "other") as any_report:
        await begin(watcher)
        await begin(any_report)
        for report_id in ("1", "2", "1"):
            pushmetrics.start_run(report_id)
        found = (await asyncio.wait_for(watcher.ask(), LIMIT_SECONDS)).payload
        first = (await asyncio.wait_for(any_report.ask(), LIMIT_SECONDS)).payload
    assert (found["id"], found["body"]["report_id"]) == (2, 2)
    assert (first["id"], first["body"]["report_id"]) == (1, 1)
    assert count_path(pushmetrics, "/api/v1/report/rEp1") == 1
    assert count_path(pushmetrics, "/api/v1/report/rEp2") == 1


@pytest.mark.parametrize("report_id", [1, None])
async def test_a_run_of_which_pushmetrics_does_not_say_the_report_is_logged_and_delays_no_other(
    pushmetrics: FakePushMetrics, caplog: pytest.LogCaptureFixture, report_id: int | None
) -> None:
    async with watch(quick(report_id=report_id)) as watcher:
        await begin(watcher)
        pushmetrics.names_report = ()
        pushmetrics.start_run()
        watcher.ask()
        await until(lambda: "Run 1 updates no asset: PushMetrics says neither" in caplog.text)
        pushmetrics.names_report = ("report_id",)
        pushmetrics.start_run()
        assert await watcher.take(1) == [2]


async def test_a_report_that_cannot_be_read_for_a_while_loses_no_run(
    pushmetrics: FakePushMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    pushmetrics.names_report, pushmetrics.outputs_name_report = ("report_uid",), False
    pushmetrics.reports = 0
    async with watch(quick(report_id=1)) as watcher:
        await begin(watcher)
        pushmetrics.start_run()
        watcher.ask()
        await until(lambda: "Report rEp1 cannot be read, and is tried again" in caplog.text)
        pushmetrics.reports = 1
        assert await watcher.take(1) == [1]


async def test_failed_runs_fire_too_unless_only_successful_ones_count(
    pushmetrics: FakePushMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        watch(quick()) as every,
        watch(quick(only_successful=True), "good") as good,
    ):
        await begin(every)
        await begin(good)
        pushmetrics.outcomes = ["success", "failed", "cancelled", "success"]
        for _ in range(4):
            pushmetrics.start_run()
        assert await every.take(4) == [1, 2, 3, 4]
        assert await good.take(2) == [1, 4]
    assert caplog.text.count("Run 2 updates no asset: its status is failed") == 1


async def test_a_run_whose_outputs_are_not_available_yet_is_not_lost(pushmetrics: FakePushMetrics) -> None:
    async with watch(quick()) as watcher:
        await begin(watcher)
        pushmetrics.pending_outputs = {1}
        pushmetrics.start_run()
        pushmetrics.start_run()
        assert await watcher.take(1) == [2]
        pushmetrics.pending_outputs = set()
        assert await watcher.take(1) == [1]


async def test_an_outage_delays_events_and_is_logged_once_a_minute(
    connect_whole: Connect, pushmetrics: FakePushMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    async with watch(quick()) as watcher:
        await begin(watcher)
        connect_whole(receiver_url=None, receiver_token=None, password="wrong-api-token")
        pushmetrics.list_answers = [JSONResponse({"message": "Not authorized"}, 401)]
        await until(lambda: "cannot be read" in caplog.text)
        pushmetrics.start_run()
        await asyncio.sleep(0.3)  # some tries
        connect_whole(receiver_url=None, receiver_token=None)
        assert await watcher.take(1) == [1]
    assert caplog.text.count("cannot be read") == 1
    assert "wrong-api-token" not in caplog.text


async def test_retry_after_is_honored_by_all_watchers(pushmetrics: FakePushMetrics) -> None:
    async with watch(quick()) as first, watch(quick(consumer="other"), "other") as second:
        await begin(first)
        await begin(second)
        pushmetrics.list_answers = [JSONResponse({"message": "slow down"}, 429, {"Retry-After": "3"})]
        await until(lambda: not pushmetrics.list_answers)
        before = count_lists(pushmetrics)
        await asyncio.sleep(1.5)
        assert count_lists(pushmetrics) == before
        pushmetrics.start_run()
        assert await first.take(1) == await second.take(1) == [1]


async def test_a_page_in_place_of_a_run_loses_no_run(pushmetrics: FakePushMetrics) -> None:
    async with watch(quick()) as watcher:
        await begin(watcher)
        pushmetrics.page_status = 404
        pushmetrics.start_run()
        await asyncio.sleep(0.3)
        pushmetrics.page_status = None
        assert await watcher.take(1) == [1]


UNREADABLE: dict[int, Response] = {
    1: HTMLResponse("<html>Back soon</html>"),
    2: RedirectResponse("/login"),
    3: HTMLResponse("<html>No such page</html>", 404),
    4: JSONResponse({"message": "Forbidden"}, 403),
    5: JSONResponse({"message": "Broken"}, 500),
}


@pytest.mark.slow
async def test_a_run_that_cannot_be_read_for_a_while_delays_no_other_and_is_not_lost(
    pushmetrics: FakePushMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        watch(quick()) as watcher,
        watch(quick(report_id=2), "other") as other,
    ):
        await begin(watcher)
        await begin(other)
        pushmetrics.outputs_answers.update(UNREADABLE)
        for _ in UNREADABLE:
            pushmetrics.start_run()
        pushmetrics.start_run("2")
        assert await watcher.take(1) == await other.take(1) == [6]
        watcher.ask()
        await until(lambda: all(count_outputs(pushmetrics, number) >= 2 for number in UNREADABLE))
        pushmetrics.start_run("2")
        assert await watcher.take(1) == await other.take(1) == [7]
        pushmetrics.outputs_answers.clear()
        assert sorted(await watcher.take(len(UNREADABLE))) == list(UNREADABLE)
    assert caplog.text.count("cannot be read, and is tried again") == 1, "one line a minute"


async def test_a_run_that_is_refused_for_ever_is_given_up_with_a_warning(
    pushmetrics: FakePushMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    trigger = quick()
    trigger.timing = StreamTiming(0.0, 0.02, 0.01, overlap_seconds=0.05, refusal_seconds=1.0)
    async with watch(trigger) as watcher:
        await begin(watcher)
        pushmetrics.outputs_answers[1] = JSONResponse({"message": "Forbidden"}, 403)
        pushmetrics.start_run()
        watcher.ask()
        await until(lambda: "Run 1 updates no asset" in caplog.text)
        asked = count_outputs(pushmetrics, 1)
        pushmetrics.outputs_answers.clear()
        pushmetrics.start_run()
        assert await watcher.take(1) == [2]
    assert count_outputs(pushmetrics, 1) == asked > 1
    assert "Forbidden" in caplog.text


async def test_an_old_run_that_cannot_be_read_for_a_while_is_not_lost(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.outcomes = ["running"]
    old = pushmetrics.start_run()
    pushmetrics.outcomes = ["success"]
    for _ in range(150):
        pushmetrics.start_run()
    async with watch(quick()) as watcher, watch(quick(consumer="other"), "other") as other:
        pushmetrics.runs.remove(old)
        pushmetrics.runs.append(old)
        await begin(watcher)
        await begin(other)
        pushmetrics.runs.remove(old)
        watcher.ask()
        other.ask()
        await until(lambda: count_path(pushmetrics, "/api/v1/noteflow_run/1") >= 2)
        old.status = "success"
        pushmetrics.runs.append(old)
        assert await watcher.take(1) == await other.take(1) == [1]


async def test_an_unexpected_error_does_not_end_a_watcher(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor.breaks = True
    async with watch(quick()) as watcher:
        watcher.ask()
        await until(lambda: "The pipe is broken" in caplog.text)
        supervisor.breaks = False
        await begin(watcher)
        pushmetrics.start_run()
        assert await watcher.take(1) == [1]
    assert caplog.text.count("cannot be read, and are tried again") == 1


async def test_position_that_cannot_be_read_is_not_taken_for_none(supervisor: FakeSupervisor) -> None:
    """A watcher without a position begins at the newest runs."""
    store = VariableStore("any")
    assert await store.load() is None
    await store.save(RunPosition(7))
    supervisor.breaks = True
    with pytest.raises(RuntimeError, match="The pipe is broken"):
        await store.load()
    supervisor.breaks = False
    assert await store.load() == RunPosition(7)


async def test_only_the_last_of_many_runs_is_delayed(pushmetrics: FakePushMetrics) -> None:
    trigger = quick()
    trigger.timing = StreamTiming(2.0, retry_seconds=0.02, min_poll_seconds=0.01, overlap_seconds=0.05)
    async with watch(trigger) as watcher:
        await begin(watcher)
        pushmetrics.hides_runs = True
        for _ in range(5):
            pushmetrics.start_run()
        began = time.monotonic()
        pushmetrics.hides_runs = False
        assert await watcher.take(4) == [1, 2, 3, 4]
        assert await watcher.take(1) == [5]
    assert 2.0 <= time.monotonic() - began < 6.0


@pytest.mark.parametrize(
    "arguments", [{"event": "query.run"}, {"event": "query.run", "query_id": 2}, {"event": "report.updated"}]
)
async def test_what_the_api_cannot_answer_is_an_error_with_the_way_out(
    arguments: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with watch(quick(**arguments)) as watcher:
        watcher.ask()
        await until(lambda: "the API lists only the runs of reports" in caplog.text)
    trigger = quick(**arguments)
    trigger.task_instance = FakeTaskInstance()  # type: ignore[assignment]
    with pytest.raises(PushMetricsParameterError, match="has no receiver"):
        await anext(trigger.run())


@needs_airflow("3.3")
async def test_a_position_that_airflow_does_not_keep_is_kept_later(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor, caplog: pytest.LogCaptureFixture
) -> None:
    async with watch(quick()) as watcher:
        await begin(watcher)
        supervisor.refuses_asset_store = True
        pushmetrics.start_run()
        pushmetrics.start_run()
        assert await watcher.take(2) == [1, 2]
        watcher.ask()
        await until(lambda: "cannot be kept" in caplog.text)
        supervisor.refuses_asset_store = False
        await until(lambda: is_kept(supervisor, 2))
    async with watch(quick()) as watcher:
        pushmetrics.start_run()
        assert await watcher.take(1) == [3]


@needs_airflow("3.3")
async def test_a_position_of_an_older_airflow_is_continued(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor
) -> None:
    name = build_stream_name(quick().serialize()[1])
    supervisor.variables[f"pushmetrics_runs_{name}"] = json.dumps({"floor": 0, "handled": [1], "open": []})
    pushmetrics.start_run()
    pushmetrics.start_run()
    async with watch(quick()) as watcher:
        assert await watcher.take(1) == [2]
        assert is_kept(supervisor, 1)
    assert supervisor.variables == {}  # an asset that is created again would begin there


@needs_airflow("3.3")
async def test_a_changed_interval_misses_no_run(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor
) -> None:
    async with watch(quick()) as watcher:
        await begin(watcher)
        pushmetrics.start_run()
        assert await watcher.take(1) == [1]
        watcher.ask()
        await until(lambda: is_kept(supervisor, 1))
    pushmetrics.start_run()
    async with watch(quick(poll_interval_seconds=0.03)) as watcher:
        assert await watcher.take(1) == [2]


@needs_airflow("3.3")
async def test_watchers_with_other_intervals_do_not_take_over_each_others_position(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor
) -> None:
    key = f"pushmetrics_runs_{build_position_name(quick().serialize()[1])}"
    for asset, handled in (("far", [1, 2]), ("near", [1])):
        supervisor.asset_store[asset, key] = {"floor": 0, "handled": handled, "open": []}
    for _ in range(3):
        pushmetrics.start_run()
    async with watch(quick(), "far") as far, watch(quick(poll_interval_seconds=0.03), "near") as near:
        assert (await far.take(1), await near.take(2)) == ([3], [2, 3])


@needs_airflow("3.3")
@pytest.mark.parametrize("value", [{"floor": 1, "handled": "23", "open": []}, [1], "{"])
async def test_a_damaged_position_is_an_error_with_the_way_out_until_it_is_deleted(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    key = f"pushmetrics_runs_{build_position_name(quick().serialize()[1])}"
    supervisor.asset_store["ran", key] = value
    async with watch(quick()) as watcher:
        watcher.ask()
        await until(lambda: "is damaged" in caplog.text)
        assert key in caplog.text
        assert "Traceback" not in caplog.text
        supervisor.asset_store.clear()
        await begin(watcher)
        pushmetrics.start_run()
        assert await watcher.take(1) == [1]


async def test_the_interval_has_a_lower_bound() -> None:
    with pytest.raises(PushMetricsParameterError, match="at least 5 seconds"):
        PushMetricsEventTrigger(poll_interval_seconds=1)


async def test_no_line_of_the_log_is_written_by_a_poll(
    pushmetrics: FakePushMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "airflow_provider_pushmetrics"):
        async with watch(quick()) as watcher:
            await begin(watcher)
            await until(lambda: count_lists(pushmetrics) > 5)
    assert not [record for record in caplog.records if record.name.startswith("airflow_provider_pushmetrics")]
