"""Loops in the background: driven here by their events, in the thread of the test."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from airflow_provider_pushmetrics.serving.background import UNTIL_WOKEN, BackgroundLoop, ReusedThreads
from tests.fakes.threads import run_out_of_threads


class FakeEvent(threading.Event):
    """Does not wait, and remembers for how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return self.is_set()


class Work:
    """
    Work that gives what it is told, call by call, and then stops its loop.

    :param outcomes: What each call returns; an exception is raised.
    """

    def __init__(self, *outcomes: float | Exception | None) -> None:
        self._outcomes = list(outcomes)
        self.calls = 0
        self.stopping, self.awake = FakeEvent(), FakeEvent()

    def do(self) -> float | None:
        self.calls += 1
        outcome = self._outcomes.pop(0) if self._outcomes else None
        if not self._outcomes:
            self.stopping.set()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def build(self, **options: Any) -> BackgroundLoop:
        return BackgroundLoop("worker", self.do, stopping=self.stopping, awake=self.awake, **options)


def test_work_is_done_after_each_interval() -> None:
    work = Work(None, None, None)
    work.build(interval_seconds=7.0).run()
    assert work.calls == 3
    assert work.awake.waits == [7.0, 7.0, 7.0]


def test_work_can_begin_at_once() -> None:
    work = Work(None, None)
    work.build(interval_seconds=7.0, starts_at_once=True).run()
    assert work.awake.waits == [7.0]


def test_work_can_say_when_it_is_due_again() -> None:
    work = Work(0.5, UNTIL_WOKEN, 0.0, None)
    work.build(interval_seconds=7.0).run()
    assert work.awake.waits == [7.0, 0.5, None]  # and at once after the third


def test_waking_during_a_call_leads_to_another_one() -> None:
    work = Work(UNTIL_WOKEN, UNTIL_WOKEN)
    loop = work.build(starts_at_once=True)
    loop.wake()  # before the start, which clears it: the first call comes at once
    loop.run()
    assert work.calls == 2
    assert not work.awake.is_set()


def test_pause_gathers_what_wakes_the_loop() -> None:
    work = Work(None, None)
    work.build(interval_seconds=7.0, pause_seconds=0.05).run()
    assert work.stopping.waits == [0.05, 0.05]


def test_waking_does_not_shorten_the_time_after_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(ValueError("a secret"), ValueError("a secret"), None)
    loop = work.build(interval_seconds=7.0, retry_seconds=1.0)
    loop.wake()
    loop.run()
    assert work.calls == 3
    assert (work.stopping.waits, work.awake.waits) == ([1.0, 1.0], [7.0])
    (line,) = caplog.messages
    assert line.startswith("worker failed, retrying: ValueError\n")
    assert "in do" in line
    assert "secret" not in line.replace(__file__, "")


def test_failure_of_the_database_is_a_warning_in_the_driver_s_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work(OperationalError("INSERT", {"body": "a secret"}, OSError("no connection")), None)
    work.build().run()
    assert caplog.record_tuples == [
        (
            "airflow_provider_pushmetrics.serving.background",
            logging.WARNING,
            "worker failed, retrying: no connection",
        )
    ]


def test_work_can_be_done_once_more_at_the_end() -> None:
    work = Work(None)
    work.build(runs_at_end=True).run()
    assert work.calls == 2


def test_loop_starts_as_soon_as_there_are_threads_again() -> None:
    work = Work(None)
    loop = work.build(starts_at_once=True)
    with run_out_of_threads(), pytest.raises(RuntimeError):
        loop.start()
    loop.start()
    assert loop.stop(120)
    assert work.calls <= 1


def test_loop_that_is_stopped_before_it_starts_does_nothing() -> None:
    work = Work(None)
    loop = work.build(starts_at_once=True)
    assert loop.stop()
    loop.start()
    loop.run()
    assert work.calls == 0


def test_stopping_ends_a_loop_that_waits_for_ever() -> None:
    has_run = threading.Event()

    def do() -> float:
        has_run.set()
        return UNTIL_WOKEN

    loop = BackgroundLoop("worker", do, starts_at_once=True)
    loop.start()
    loop.start()  # it is started once
    assert has_run.wait(120)
    assert loop.stop(120)


def test_stopping_says_whether_the_running_call_has_ended() -> None:
    may_end, has_run = threading.Event(), threading.Event()

    def block() -> None:
        has_run.set()
        may_end.wait(120)

    stuck = BackgroundLoop("stuck", block, starts_at_once=True)
    stuck.start()
    assert has_run.wait(120)
    assert not stuck.stop(0)
    may_end.set()
    assert stuck.stop(120)


def call_and_wait(threads: ReusedThreads) -> threading.Thread:
    """Call a function in one of the threads, and give the thread when it was called."""
    found: list[threading.Thread] = []
    is_called = threading.Event()

    def call() -> None:
        found.append(threading.current_thread())
        is_called.set()

    threads.start(call)
    assert is_called.wait(120)
    return found[0]


def test_threads_are_reused_and_two_calls_at_once_have_two() -> None:
    threads, is_open, is_called = ReusedThreads("reused"), threading.Event(), threading.Event()
    used = {call_and_wait(threads) for _ in range(1000)}
    assert len(used) < 1000

    def block() -> None:
        is_called.set()
        is_open.wait(120)

    threads.start(block)
    assert is_called.wait(120)
    assert call_and_wait(threads) in used | set(threading.enumerate()), "it does not wait for the other call"
    is_open.set()


def test_threads_that_are_not_needed_end_and_no_call_is_lost() -> None:
    threads = ReusedThreads("brief", idle_seconds=0.0001)
    used = {call_and_wait(threads) for _ in range(1000)}
    for one in used:
        one.join(120)
    assert not any(one.is_alive() for one in used)
    assert call_and_wait(threads) not in used
