"""Many deferred waits on one connection, against the fakes over real HTTP."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Coroutine
from typing import Any

import pytest
from starlette.responses import JSONResponse

from airflow_provider_pushmetrics.client.models import RunStatus
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT, RetryPolicy
from airflow_provider_pushmetrics.client.run_polling import RunPoll, RunSnapshot
from airflow_provider_pushmetrics.client.wait_budget import WaitBudget
from airflow_provider_pushmetrics.client.waits import FinishedRun, RunTarget
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAuthError,
    PushMetricsNotFoundError,
    PushMetricsRunError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.triggers.hub.hub_waits import wait_for_event_in_hub, wait_for_run_in_hub
from airflow_provider_pushmetrics.triggers.hub.limits import HubLimits
from airflow_provider_pushmetrics.triggers.hub.wait_hub import find_hub, list_hubs
from airflow_provider_pushmetrics.triggers.hub.wait_index import PendingWait
from tests.fakes.clock import Clock
from tests.fakes.pushmetrics import FakePushMetrics, FakeRun
from tests.fakes.waiting import LIMIT_SECONDS, until
from tests.integration.provider.conftest import Connect

CONN = "pushmetrics_default"


@pytest.fixture(autouse=True)
def without_api_token(connect_whole: Connect) -> None:
    connect_whole(password=None)


def begin(wait: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.create_task(wait)


def begin_run(run_id: int, after: int = 0, poll_interval: float = 0.02) -> asyncio.Task[FinishedRun | None]:
    budget = WaitBudget(poll_interval_seconds=poll_interval)
    return begin(wait_for_run_in_hub(CONN, RunTarget("1", run_id, after), budget=budget))


def begin_event(after: int = 0, **wanted: Any) -> asyncio.Task[Any]:
    return begin(wait_for_event_in_hub(CONN, EventFilter(**wanted), after=after, budget=WaitBudget()))


async def open_hub(limits: HubLimits) -> None:
    """Open the hub that those find who wait from now on."""
    find_hub(PushMetricsHook(CONN).settings, limits)


async def finish(*waiting: asyncio.Task[Any]) -> list[Any]:
    return await asyncio.wait_for(asyncio.gather(*waiting), LIMIT_SECONDS)


async def settle(pushmetrics: FakePushMetrics) -> None:
    """Wait until the feed is open and nobody is left to be greeted."""
    await until(lambda: pushmetrics.inbox.waiting == 1)
    await asyncio.sleep(0.05)


async def test_a_thousand_waits_make_one_request_at_a_time(pushmetrics: FakePushMetrics) -> None:
    runs = [begin_run(number) for number in range(1, 501)]
    events = [begin_event(event="report.run", run_id=number) for number in range(1, 501)]
    await until(lambda: bool(list_hubs()) and list_hubs()[0].count_waits() == 1000)
    await settle(pushmetrics)
    asked = len(pushmetrics.inbox.asked)
    await asyncio.sleep(0.2)
    assert len(pushmetrics.inbox.asked) == asked  # nobody asks while nothing happens
    for _ in range(500):
        pushmetrics.start_run()
    assert [run.run_id for run in await finish(*runs) if run] == list(range(1, 501))
    assert [event.id for event in await finish(*events)] == list(range(1, 501))
    assert pushmetrics.inbox.peak == 1
    assert len(pushmetrics.inbox.asked) < 50
    assert list_hubs() == ()


@pytest.mark.parametrize("rewind_events", [1000, 0])
async def test_a_newcomer_is_told_what_the_inbox_already_has(
    pushmetrics: FakePushMetrics, rewind_events: int
) -> None:
    await open_hub(HubLimits(rewind_events=rewind_events))
    for _ in range(3):
        pushmetrics.start_run()
    first = begin_run(99)
    await settle(pushmetrics)
    (found,) = await finish(begin_run(2))
    assert found == FinishedRun("1", 2, f"{pushmetrics.url}/api/reports/1/run/2")
    assert (await finish(begin_event(after=1, event="report.run")))[0].id == 2
    await until(lambda: pushmetrics.inbox.waiting == 1)
    first.cancel()


async def test_a_wait_that_joins_while_a_page_arrives_gets_its_first_event_first(
    pushmetrics: FakePushMetrics,
) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    early = begin_event(after=3, event="report.run")
    await settle(pushmetrics)
    joined: list[asyncio.Task[Any]] = []

    def join(answered: Any) -> None:
        wanted = EventFilter("report.run")
        wait = PendingWait(wanted, 0, WaitBudget(), refuse_to_poll, lambda event: event)
        joined.append(begin(list_hubs()[0].wait(wait)))

    find_task("PushMetricsAsyncClient.call").add_done_callback(join)
    pushmetrics.start_run()
    assert (await finish(early))[0].id == 4
    assert (await finish(*joined))[0].id == 1


def refuse_to_poll(credentials: Any) -> Any:
    raise AssertionError("there is no deadline, so this wait does not poll itself")


def find_task(name: str) -> asyncio.Task[Any]:
    """Find the only task of this loop that runs a coroutine."""
    (found,) = (task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__qualname__", "") == name)
    return found


async def test_an_event_before_a_waits_cursor_is_not_for_it(pushmetrics: FakePushMetrics) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    early, late = begin_event(after=0, event="report.run"), begin_event(after=3, event="report.run")
    assert (await finish(early))[0].id == 1
    await settle(pushmetrics)
    pushmetrics.start_run()
    assert (await finish(late))[0].id == 4


async def test_waits_for_several_kinds_of_events_share_the_feed(pushmetrics: FakePushMetrics) -> None:
    run = begin_event(event="report.run", report_id=1)
    await settle(pushmetrics)
    query = begin_event(event="query.run", query_id=5)
    await settle(pushmetrics)
    assert len(list_hubs()) == 1
    pushmetrics.inbox.add({"event": "query.run", "query_id": 4, "report_id": 1, "query_result": "x"})
    pushmetrics.inbox.add({"event": "query.run", "query_id": 5, "report_id": 1, "query_result": "x"})
    pushmetrics.start_run()
    assert [event.id for event in await finish(query, run)] == [2, 3]


async def test_an_event_that_nobody_can_read_wakes_nobody(pushmetrics: FakePushMetrics) -> None:
    waiting = begin_run(1)
    await settle(pushmetrics)
    run = FakeRun(1, "1", {})
    pushmetrics.inbox.add(pushmetrics.build_event(run) | {"queries": "none"})
    url = f"{pushmetrics.url}/api/reports/1/run/1/"
    pushmetrics.inbox.add(pushmetrics.build_event(run) | {"report_notebook_outputs": url})
    (found,) = await finish(waiting)
    assert found == FinishedRun("1", 1, url)


async def test_waits_that_are_cancelled_leave_nothing_behind(pushmetrics: FakePushMetrics) -> None:
    waiting = [begin_run(number) for number in range(1, 51)]
    await settle(pushmetrics)
    await until(lambda: [one.count_waits() for one in list_hubs()] == [50])
    shared = weakref.ref(list_hubs()[0])
    for wait in waiting[:25]:
        wait.cancel()
    await asyncio.gather(*waiting[:25], return_exceptions=True)
    assert list_hubs()[0].count_waits() == 25
    for wait in waiting[25:]:
        wait.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await until(lambda: pushmetrics.inbox.waiting == 0)
    assert list_hubs() == ()
    del waiting, wait
    await until(lambda: gc.collect() >= 0 and shared() is None)


async def test_an_outage_is_borne_by_all_together(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.inbox.outages = 3
    waiting = [begin_run(1) for _ in range(10)]
    await settle(pushmetrics)
    assert len(pushmetrics.inbox.asked) <= 3 + 2
    pushmetrics.start_run()
    assert [run.run_id for run in await finish(*waiting)] == [1] * 10


async def test_a_refusal_ends_each_wait_with_an_error_of_its_own(connect_whole: Connect) -> None:
    connect_whole(password=None, receiver_token="wrong-reader-token")
    await open_hub(HubLimits(failures=ONE_ATTEMPT))
    errors = await asyncio.gather(*(begin_run(1) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in errors] == [PushMetricsAuthError] * 3
    assert len({id(error) for error in errors}) == 3
    assert list_hubs() == ()


async def test_a_refusal_ends_only_the_waits_that_need_the_server_that_refuses(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(receiver_token="wrong-reader-token")
    await open_hub(HubLimits(failures=ONE_ATTEMPT))
    pushmetrics.outcomes = ["running"]
    polled = begin_run(pushmetrics.start_run().id)
    with pytest.raises(PushMetricsAuthError):
        await finish(begin_event(event="report.run"))
    assert not polled.done()
    polled.cancel()


async def test_waits_go_on_with_a_token_that_is_changed_at_the_receiver_first(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    waiting = [begin_run(2), begin_event(event="report.run", run_id=2)]
    await settle(pushmetrics)
    pushmetrics.inbox.reader_token = "another-reader-token"
    pushmetrics.start_run()  # ends the poll that the old token has opened
    await until(lambda: pushmetrics.inbox.refused > 0)
    connect_whole(password=None, receiver_token="another-reader-token")
    pushmetrics.start_run()
    run, event = await finish(*waiting)
    assert (run.run_id, event.id) == (2, 2)
    assert list_hubs() == ()


async def test_waits_go_on_with_a_token_that_is_changed_in_the_connection_first(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(password=None, receiver_token="another-reader-token")
    waiting = [begin_run(1), begin_event(event="report.run")]
    await until(lambda: pushmetrics.inbox.refused > 0)
    pushmetrics.inbox.reader_token = "another-reader-token"
    pushmetrics.start_run()
    run, event = await finish(*waiting)
    assert (run.run_id, event.id) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("status", [404, 403, 200])
async def test_a_page_of_a_proxy_in_place_of_pushmetrics_ends_no_wait(
    connect_whole: Connect, pushmetrics: FakePushMetrics, status: int
) -> None:
    connect_whole(receiver_url=None, receiver_token=None)
    pushmetrics.outcomes = ["running"]
    run = pushmetrics.start_run()
    waiting = begin_run(run.id)
    await until(lambda: len(pushmetrics.seen) > 1)
    pushmetrics.page_status = status
    seen = len(pushmetrics.seen)
    await until(lambda: len(pushmetrics.seen) > seen + 2)  # the run, the list, and again after a pause
    pushmetrics.page_status, run.status = None, "success"
    assert (await finish(waiting))[0].status is RunStatus.SUCCESS


async def test_a_changed_connection_counts_for_those_who_come_later(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    first = begin_run(1)
    await settle(pushmetrics)
    connect_whole(password=None, trigger_tokens={"1": "another-trigger-token"})
    second = begin_run(1)
    await until(lambda: len(list_hubs()) == 2)
    pushmetrics.start_run()
    assert len(await finish(first, second)) == 2


async def test_many_runs_are_asked_for_by_one_list(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(receiver_url=None, receiver_token=None)
    pushmetrics.outcomes = ["running"]
    runs = [pushmetrics.start_run() for _ in range(50)]
    waiting = [begin_run(run.id) for run in runs]
    await until(lambda: len(pushmetrics.seen) > 5)
    for run in runs:
        run.status = "failed"
    assert {run.status for run in await finish(*waiting)} == {RunStatus.FAILED}
    singles = [seen for seen in pushmetrics.seen if not seen.path.endswith("/noteflow_run/")]
    assert len(singles) <= HubLimits().few_runs  # of the first, when the others had not come yet


async def test_runs_that_no_list_shows_are_asked_for_in_turns(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(receiver_url=None, receiver_token=None)
    await open_hub(HubLimits(single_runs=2))
    pushmetrics.hides_runs = True
    runs = [pushmetrics.start_run() for _ in range(9)]
    found = await finish(*(begin_run(run.id) for run in runs))
    assert sorted(run.run_id for run in found) == list(range(1, 10))


async def test_a_run_that_is_not_there_ends_its_own_wait_only(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(receiver_url=None, receiver_token=None)
    pushmetrics.outcomes = ["running"]
    run = pushmetrics.start_run()
    waiting = begin_run(run.id)
    with pytest.raises(PushMetricsNotFoundError):
        await begin_run(99)
    run.status = "success"
    assert (await finish(waiting))[0].status is RunStatus.SUCCESS


# One run that PushMetrics cannot show, while it answers for the others

QUICK = RetryPolicy(attempts=1_000_000, base_seconds=0.01, max_seconds=0.05)


def begin_list(report_id: int, poll_interval: float = 0.02) -> asyncio.Task[Any]:
    wanted, budget = EventFilter("report.run", report_id), WaitBudget(poll_interval_seconds=poll_interval)
    return begin(wait_for_event_in_hub(CONN, wanted, after=0, budget=budget, seen=RunSnapshot()))


def build_outage() -> JSONResponse:
    return JSONResponse({"message": "Maintenance"}, 503, {"Retry-After": "600"})


async def test_an_outage_of_the_outputs_of_one_run_slows_only_the_waits_for_it(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(receiver_url=None, receiver_token=None)
    bad = pushmetrics.start_run("1")
    pushmetrics.outputs_answers[bad.id] = build_outage()
    slowed = begin_list(1)
    await until(lambda: any(f"/run/{bad.id}" in seen.path for seen in pushmetrics.seen))
    for _ in range(3):  # each found within its own interval, and not after the ten minutes that are asked for
        good = pushmetrics.start_run("2")
        assert (await finish(begin_list(2)))[0].id == min(run.id for run in pushmetrics.runs[1:])
    assert good.id > bad.id
    assert not slowed.done()
    assert sum(f"/reports/1/run/{bad.id}" in seen.path for seen in pushmetrics.seen) == 1
    slowed.cancel()


async def test_an_outage_of_one_run_slows_only_the_waits_for_it(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(receiver_url=None, receiver_token=None)
    pushmetrics.outcomes = ["running"]
    bad, good = pushmetrics.start_run(), pushmetrics.start_run()
    pushmetrics.run_answers[bad.id] = build_outage()
    slowed = begin_run(bad.id)
    await until(lambda: any(seen.path.endswith(f"/{bad.id}") for seen in pushmetrics.seen))
    waiting = begin_run(good.id)
    await until(lambda: any(seen.path.endswith(f"/{good.id}") for seen in pushmetrics.seen))
    good.status = "success"
    assert (await finish(waiting))[0].status is RunStatus.SUCCESS
    assert sum(seen.path.endswith(f"/{bad.id}") for seen in pushmetrics.seen) == 1
    slowed.cancel()


async def test_waits_for_a_run_go_on_after_its_outage(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(receiver_url=None, receiver_token=None)
    await open_hub(HubLimits(failures=QUICK))
    first, second = pushmetrics.start_run(), pushmetrics.start_run("2")
    pushmetrics.run_answers[first.id] = pushmetrics.outputs_answers[second.id] = JSONResponse({}, 503)
    waiting = [begin_run(first.id, poll_interval=3600), begin_list(2, poll_interval=3600)]
    await until(lambda: sum(seen.path.endswith(f"/{first.id}") for seen in pushmetrics.seen) > 2)
    await until(lambda: sum(seen.path.endswith(f"/run/{second.id}") for seen in pushmetrics.seen) > 2)
    pushmetrics.run_answers.clear()
    pushmetrics.outputs_answers.clear()
    run, event = await finish(*waiting)
    assert (run.run_id, event.id) == (first.id, second.id)


async def test_an_outage_of_one_run_that_lasts_ends_only_the_waits_for_it(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(receiver_url=None, receiver_token=None)
    await open_hub(HubLimits(failures=ONE_ATTEMPT))
    pushmetrics.outcomes = ["success", "success", "running"]
    first, second, good = (pushmetrics.start_run(report) for report in ("1", "2", "1"))
    pushmetrics.run_answers[first.id] = pushmetrics.outputs_answers[second.id] = JSONResponse({}, 503)
    waiting = begin_run(good.id)
    errors = await asyncio.wait_for(
        asyncio.gather(begin_run(first.id), begin_list(2), return_exceptions=True), LIMIT_SECONDS
    )
    assert [type(error) for error in errors] == [PushMetricsUnavailableError] * 2
    good.status = "success"
    assert (await finish(waiting))[0].status is RunStatus.SUCCESS


async def test_an_outage_of_all_of_pushmetrics_is_borne_by_all_waits_that_poll_it(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(receiver_url=None, receiver_token=None)
    await open_hub(HubLimits(failures=ONE_ATTEMPT))
    pushmetrics.outcomes = ["running"]
    run = pushmetrics.start_run()
    waiting = [begin_run(run.id), begin_list(2)]
    await until(lambda: len(pushmetrics.seen) > 2)
    pushmetrics.run_answers[run.id] = JSONResponse({}, 503)
    pushmetrics.list_answers = [JSONResponse({}, 503) for _ in range(1000)]
    errors = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), LIMIT_SECONDS)
    assert [type(error) for error in errors] == [PushMetricsUnavailableError] * 2


async def test_a_run_that_succeeded_and_never_has_outputs_ends_its_own_wait_only(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(receiver_url=None, receiver_token=None)
    run = pushmetrics.start_run("1")
    pushmetrics.pending_outputs = {run.id}
    waiting, clock, budget = begin_list(2), Clock(), WaitBudget(poll_interval_seconds=0.02)
    wanted = EventFilter("report.run", report_id=1, run_id=run.id)
    poll = RunPoll(wanted, clock=clock)
    wait = PendingWait(wanted, 0, budget, poll.poll, lambda event: event, run_poll=poll)
    await until(lambda: bool(list_hubs()))
    ended = begin(list_hubs()[0].wait(wait))
    # The second request shows that the answer to the first was read, at the clock's first time.
    await until(lambda: sum(seen.path.endswith(f"/reports/1/run/{run.id}") for seen in pushmetrics.seen) > 1)
    clock.now += 600
    with pytest.raises(PushMetricsRunError, match="its outputs are not available after 600 s"):
        await finish(ended)
    found = pushmetrics.start_run("2")
    assert (await finish(waiting))[0].id == found.id
