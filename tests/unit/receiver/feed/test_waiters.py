from __future__ import annotations

import asyncio
import threading
import time
from contextlib import ExitStack

from airflow_provider_pushmetrics.event_matching import EventFilter, Subject
from airflow_provider_pushmetrics.receiver.feed.waiters import Notifier

REPORT_1 = Subject("demo", "report.run", 1, None, 7)
LONG = 10.0


async def test_waiter_is_woken_from_another_thread_by_what_it_wants() -> None:
    notifier = Notifier()
    with notifier.wait_for(EventFilter(report_id=1)) as waiter:
        thread = threading.Thread(target=notifier.announce, args=([REPORT_1],))
        thread.start()
        assert await waiter.wait(LONG)
        thread.join()


async def test_waiter_sleeps_through_what_it_does_not_want() -> None:
    notifier = Notifier()
    with notifier.wait_for(EventFilter(report_id=2)) as other, notifier.wait_for(EventFilter()) as anything:
        notifier.announce([REPORT_1])
        assert await anything.wait(LONG)
        assert not await other.wait(0)


async def test_wake_before_the_wait_is_not_lost() -> None:
    notifier = Notifier()
    with notifier.wait_for(EventFilter()) as waiter:
        waiter.clear()
        notifier.announce([REPORT_1])
        await asyncio.sleep(0)
        assert await waiter.wait(LONG)


async def test_closing_wakes_everyone() -> None:
    notifier = Notifier()
    with notifier.wait_for(EventFilter(event="never")) as waiter:
        notifier.close()
        assert await waiter.wait(LONG)
    assert notifier.is_closed


async def test_waiters_are_counted_while_they_wait() -> None:
    notifier = Notifier()
    with notifier.wait_for(EventFilter()), notifier.wait_for(EventFilter()):
        assert notifier.count_waiters() == notifier.count_waiters(asyncio.get_running_loop()) == 2
    assert notifier.count_waiters() == notifier.count_waiters(asyncio.get_running_loop()) == 0


def test_waiter_of_a_closed_loop_harms_nobody() -> None:
    notifier = Notifier()
    loop = asyncio.new_event_loop()

    async def leave_waiting() -> None:
        notifier.wait_for(EventFilter()).__enter__()

    loop.run_until_complete(leave_waiting())
    loop.close()
    notifier.announce([REPORT_1])


async def test_waiters_of_many_shapes_are_each_found_by_what_they_asked_for() -> None:
    notifier = Notifier()
    filters = [
        EventFilter(),
        EventFilter(event="report.run"),
        EventFilter(event="report.run", run_id=7),
        EventFilter(event="report.run", run_id=8),
        EventFilter(source="demo", report_id=1),
        EventFilter(query_id=1),
    ]
    with ExitStack() as stack:
        waiters = [stack.enter_context(notifier.wait_for(wanted)) for wanted in filters]
        notifier.announce([REPORT_1])
        await asyncio.sleep(0)
        assert [await waiter.wait(0) for waiter in waiters] == [True, True, True, False, True, False]
    assert notifier.count_waiters() == 0


async def test_announcement_to_ten_thousand_others_takes_no_time() -> None:
    notifier = Notifier()
    with ExitStack() as stack:
        for number in range(10_000):
            stack.enter_context(notifier.wait_for(EventFilter(event="report.run", run_id=number + 100)))
        started = time.perf_counter()
        for _ in range(100):
            notifier.announce([REPORT_1])
        await asyncio.sleep(0)
        assert time.perf_counter() - started < 1  # 100 looks at each of them would take ten


async def test_generation_changes_with_each_announcement() -> None:
    notifier = Notifier()
    assert notifier.get_generation() == 0
    with notifier.wait_for(EventFilter()):
        notifier.announce([REPORT_1])
        notifier.wake_all()
        await asyncio.sleep(0)
        assert notifier.get_generation() == 2
