"""Trying again: how long, how often, and how a process that stops leaves its work."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from airflow_provider_pushmetrics.service.worker.retry_loop import (
    FAULT_PAUSES_SECONDS,
    LONGEST_RETRY_SECONDS,
    RetryLoop,
    WorkInterruptedError,
)

AWAY = OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly"))


class Work:
    """
    Fails as it is told, and then succeeds.

    :param faults: What it raises, one after the other.
    """

    def __init__(self, *faults: Exception, stop_after: int | None = None) -> None:
        self.faults = list(faults)
        self.waits: list[float] = []
        self.stop_after = stop_after
        self.is_done = False

    def do(self) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.is_done = True

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return len(self.waits) == self.stop_after


def test_work_waits_for_a_database_that_is_away_for_an_hour() -> None:
    work = Work(*[AWAY] * 300)
    RetryLoop(work.wait).do(work.do)
    assert work.is_done
    assert sum(work.waits) > 3600
    assert work.waits[:3] == [0.2, 0.4, 0.8]
    assert max(work.waits) == LONGEST_RETRY_SECONDS


@pytest.mark.parametrize("fault", [ValueError("ours"), IntegrityError("INSERT", {}, Exception("unique"))])
def test_other_faults_end_the_work_after_a_few_times(fault: Exception) -> None:
    work = Work(*[fault] * 5)
    with pytest.raises(type(fault)):
        RetryLoop(work.wait).do(work.do)
    assert work.waits == list(FAULT_PAUSES_SECONDS)


def test_outage_does_not_count_as_a_fault() -> None:
    fault, busy = ValueError("ours"), PoolTimeoutError("no connection is free")
    work = Work(fault, AWAY, busy, fault, AWAY, fault, fault)
    RetryLoop(work.wait).do(work.do)
    assert work.is_done


@pytest.mark.parametrize("fault", [AWAY, ValueError("ours")])
def test_process_that_stops_leaves_its_work_as_it_is(fault: Exception) -> None:
    work = Work(*[fault] * 9, stop_after=2)
    with pytest.raises(WorkInterruptedError):
        RetryLoop(work.wait).do(work.do)
    assert not issubclass(WorkInterruptedError, Exception), "what is one ends a workflow"
