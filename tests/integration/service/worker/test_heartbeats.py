"""Who is taken for dead: not those who could not write because the database was away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from airflow_provider_pushmetrics.service.models import Worker
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.worker.heartbeats import WorkerRegistry

LEASE = 20.0


@dataclass
class Time:
    """A clock for all of them."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Shift:
    """
    Workers on one database.

    :param recovered: Whose work was taken over.
    """

    database: Database
    time: Time = field(default_factory=Time)
    recovered: list[str] = field(default_factory=list)

    def hire(self, name: str) -> WorkerRegistry:
        def recover(worker_id: str) -> int:
            self.recovered.append(worker_id)
            return 1

        worker = WorkerRegistry(self.database, name, LEASE, recover, clock=lambda _: self.time.now)
        worker.beat()
        return worker

    def work(self, seconds: float, *workers: WorkerRegistry) -> None:
        """Let these live for so long, and the others not."""
        for _ in range(round(seconds / 5)):
            self.time.pass_by(5)
            for worker in workers:
                worker.beat()
                worker.take_over()


@pytest.fixture
def shift(url: str) -> Iterator[Shift]:
    database = Database(url)
    database.migrate()
    yield Shift(database)
    database.close()


def test_nobody_is_dead_because_nobody_could_write(shift: Shift) -> None:
    first, second = shift.hire("first"), shift.hire("second")
    shift.work(60, first, second)
    shift.time.pass_by(45)  # the database is away
    first.beat()
    assert first.take_over() == 0
    shift.work(60, first, second)
    assert shift.recovered == []


def test_who_did_not_survive_the_outage_is_dead_a_lease_later(shift: Shift) -> None:
    first, _ = shift.hire("first"), shift.hire("second")
    shift.work(10, first)
    shift.time.pass_by(45)
    shift.work(20, first)
    assert shift.recovered == []
    shift.work(10, first)
    assert shift.recovered == ["second"]


def test_dead_worker_is_found_a_lease_after_its_last_sign(shift: Shift) -> None:
    first, second = shift.hire("first"), shift.hire("second")
    shift.work(60, first, second)
    shift.work(15, first)
    assert shift.recovered == []
    shift.work(5, first)
    assert shift.recovered == ["second"]


def test_newcomer_watches_before_it_judges(shift: Shift) -> None:
    shift.hire("old")
    shift.time.pass_by(45)
    newcomer = shift.hire("new")
    assert newcomer.take_over() == 0
    shift.work(20, newcomer)
    assert shift.recovered == ["old"]


def test_work_of_who_signed_off_is_taken_at_once(shift: Shift) -> None:
    first, second = shift.hire("first"), shift.hire("second")
    second.start()
    second.stop(is_finished=False)
    assert first.take_over() == 1
    assert shift.recovered == ["second"]
    third = shift.hire("third")
    third.start()
    third.stop(is_finished=True)
    with shift.database.reading() as session:
        assert session.scalars(select(Worker.worker_id)).all() == ["first"]
