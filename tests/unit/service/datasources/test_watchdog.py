"""Stopping queries."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_pushmetrics.service.datasources.base import Stopper
from airflow_provider_pushmetrics.service.datasources.watchdog import watch
from tests.fakes.waiting import wait_until


def test_query_is_interrupted_for_the_first_reason_and_not_after_its_end() -> None:
    stopper, calls = Stopper(), list[int]()
    stopper.register(lambda: calls.append(1))
    stopper.stop("first")
    stopper.stop("second")
    stopper.register(None)
    stopper.stop("third")
    assert (stopper.reason, calls) == ("first", [1, 1])


def test_watch_stops_what_takes_too_long() -> None:
    interrupted = threading.Event()
    with watch(0.01, lambda: None) as stopper:
        stopper.register(interrupted.set)
        assert interrupted.wait(120)
    assert stopper.reason == "the query took longer than 0.01 s and was stopped."


def test_what_ends_soon_is_not_checked_and_what_goes_on_is() -> None:
    checked: list[str] = []
    interrupted = threading.Event()

    def find_reason(name: str) -> str | None:
        checked.append(name)
        return "the run was cancelled" if name == "long" else None

    for _ in range(3):
        with watch(3600, lambda: find_reason("short")):
            pass
    with watch(3600, lambda: find_reason("long")) as stopper:
        stopper.register(interrupted.set)
        assert interrupted.wait(120)
    assert stopper.reason == "the run was cancelled"
    assert set(checked) == {"long"}


def test_query_has_its_timeout_and_its_end_while_nobody_tells_whether_it_must_stop() -> None:
    """The service's own database may be silent for a minute: that is not the database of the query."""
    asked, interrupted, answered = threading.Event(), threading.Event(), threading.Event()

    def find_reason() -> str:
        asked.set()
        assert answered.wait(120)
        return "too late"

    with watch(1.2, find_reason) as stopper:
        stopper.register(interrupted.set)
        assert asked.wait(120)
        assert interrupted.wait(120)
    assert not answered.is_set()
    reason, stopper.reason = stopper.reason, None
    assert reason == "the query took longer than 1.2 s and was stopped."
    answered.set()
    wait_until(lambda: not [one for one in threading.enumerate() if one.name == "query-watch"])
    assert stopper.reason is None, "the next query is not stopped"


def test_driver_that_fails_to_interrupt_a_query_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    calls, interrupted = list[int](), threading.Event()

    def interrupt() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("the server does not answer")
        interrupted.set()

    with watch(0.01, lambda: None) as stopper:
        stopper.register(interrupt)
        assert interrupted.wait(120)
    assert "cannot interrupt a query" in caplog.text


def test_query_has_its_timeout_although_the_check_of_its_run_fails(caplog: pytest.LogCaptureFixture) -> None:
    checked, interrupted = threading.Event(), threading.Event()

    def fail() -> None:
        checked.set()
        raise KeyError("a column of the next version")

    with watch(1.2, fail) as stopper:
        stopper.register(interrupted.set)
        assert interrupted.wait(120)
    assert checked.is_set()
    assert stopper.reason == "the query took longer than 1.2 s and was stopped."
    assert "cannot check whether a query must stop: KeyError" in caplog.text
