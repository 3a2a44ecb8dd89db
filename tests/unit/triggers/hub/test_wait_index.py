from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from airflow_provider_pushmetrics.client.models import FeedEvent, Run, RunStatus
from airflow_provider_pushmetrics.client.wait_budget import WaitBudget
from airflow_provider_pushmetrics.client.waits import RunTarget, read_run
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import PushMetricsNotFoundError
from airflow_provider_pushmetrics.triggers.hub.wait_index import PendingWait, WaitIndex

RUN = {
    "event": "report.run",
    "report_id": 1,
    "report_notebook_outputs": "https://h/api/reports/1/run/7",
}
QUERY = {
    "event": "query.run",
    "query_id": 5,
    "report_id": "1",
    "query_result": "https://h/api/reports/1/queries/5/run/9",
}


def build_waiter(after: int = 0, asks_for: int | None = None, **wanted: Any) -> PendingWait:
    def poll_once(credentials: Any) -> Any:
        raise AssertionError("nobody looks here")

    return PendingWait(
        EventFilter(**wanted), after, WaitBudget(), poll_once, lambda event: event, run_id=asks_for
    )


async def test_run_of_another_report_ends_the_wait_for_it_alone() -> None:
    waiters = WaitIndex()
    ours, other = build_waiter(asks_for=7), build_waiter(asks_for=7)
    ours.read_run, other.read_run = (partial(read_run, RunTarget(report, 7)) for report in ("1", "2"))
    for waiter in (ours, other):
        waiters.add(waiter)
    for waiter in waiters.find_by_run(7):
        waiter.offer_run(Run(id=7, report_id=2, status=RunStatus.SUCCESS))
    assert (await other.found).run_id == 7
    with pytest.raises(PushMetricsNotFoundError, match="one of report 2"):
        await ours.found


def build_event(body: dict[str, Any], event_id: int = 3) -> FeedEvent:
    return FeedEvent(id=event_id, body=body)


@pytest.mark.parametrize(
    ("wanted", "body", "is_wanted"),
    [
        ({}, RUN, True),
        ({"event": "report.run"}, RUN, True),
        ({"event": "query.run"}, RUN, False),
        ({"event": "report.run", "report_id": 1, "run_id": 7}, RUN, True),
        ({"event": "report.run", "report_id": 2}, RUN, False),
        ({"run_id": 8}, RUN, False),
        ({"query_id": 5}, RUN, False),
        ({"event": "query.run", "report_id": 1, "query_id": 5, "run_id": 9}, QUERY, True),
        ({"report_id": 1}, {"report_id": True}, False),
        ({"run_id": 7}, {"report_notebook_outputs": 7, "query_result": []}, False),
    ],
)
async def test_an_event_finds_those_who_want_it(
    wanted: dict[str, Any], body: dict[str, Any], is_wanted: bool
) -> None:
    waiters, waiter = WaitIndex(), build_waiter(**wanted)
    waiters.add(waiter)
    assert waiters.find_by_event(build_event(body)) == ((waiter,) if is_wanted else ())


async def test_an_event_from_before_a_wait_is_not_for_it() -> None:
    waiters = WaitIndex()
    waiters.add(build_waiter(after=3))
    assert waiters.find_by_event(build_event(RUN, 3)) == ()
    assert len(waiters.find_by_event(build_event(RUN, 4))) == 1


async def test_whoever_goes_leaves_no_trace() -> None:
    waiters, waiter = WaitIndex(), build_waiter(event="report.run", asks_for=7)
    waiters.add(waiter)
    assert (waiters.list_runs(), waiters.find_by_run(7)) == ({7}, (waiter,))
    waiters.remove(waiter)
    assert (len(waiters), waiters.list_runs(), waiters.find_by_run(7)) == (0, set(), ())
    assert waiters.find_common_event() is None


async def test_the_run_of_a_wait_that_is_over_is_polled_no_more_although_it_has_not_left() -> None:
    """After its deadline, a wait polls once itself: until its turn comes, nobody does."""
    waiters, over, goes_on = WaitIndex(), build_waiter(asks_for=7), build_waiter(asks_for=8)
    waiters.add(over)
    waiters.add(goes_on)
    over.found.cancel()
    assert (waiters.list_runs(), waiters.find_by_run(7)) == ({8}, ())


async def test_the_feed_is_narrowed_to_what_all_want() -> None:
    waiters = WaitIndex()
    waiters.add(build_waiter(event="report.run", report_id=1))
    waiters.add(build_waiter(event="report.run", report_id=2))
    assert waiters.find_common_event() == "report.run"
    waiters.add(build_waiter(event="query.run"))
    assert waiters.find_common_event() is None


async def test_only_the_first_event_counts() -> None:
    waiters, waiter = WaitIndex(), build_waiter()
    waiters.add(waiter)
    waiters.dispatch([build_event(RUN, 3), build_event(RUN, 4)])
    assert (await waiter.found).id == 3


async def test_each_wait_ends_with_an_error_of_its_own() -> None:
    error, waiters = ValueError("broken"), [build_waiter(), build_waiter()]
    for waiter in waiters:
        waiter.fail(error)
    raised = [waiter.found.exception() for waiter in waiters]
    assert {str(found) for found in raised} == {"broken"}
    assert len({id(found) for found in [*raised, error]}) == 3


async def test_an_error_that_nobody_waits_for_is_not_reported() -> None:
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    waiter = build_waiter()
    waiter.fail(ValueError("broken"))
    waiter.close()
    del waiter
    await asyncio.sleep(0)
    assert reported == []
