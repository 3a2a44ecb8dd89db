"""Who is taken for dead: not those who could not write because the database was away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from airflow_provider_pushmetrics.service.models import OutgoingMessage, Report, Run, Worker, Workspace
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.worker.claims import Claim, Group
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
    """Workers on one database. Each has claimed a message."""

    database: Database
    time: Time = field(default_factory=Time)

    def hire(self, name: str) -> WorkerRegistry:
        with self.database.writing() as session:
            message = OutgoingMessage(
                workspace_id=1, kind="slack", recipient="#a", subject=name, text="", next_attempt_on=get_now()
            )
            message.worker_id = name
            session.add(message)
            session.flush()
            claim = Claim(Group(OutgoingMessage, "slack"), message.id)
        worker = WorkerRegistry(self.database, name, LEASE, lambda: [claim], clock=lambda _: self.time.now)
        worker.beat()
        return worker

    @property
    def recovered(self) -> list[str]:
        """Whose work was released."""
        with self.database.reading() as session:
            free = OutgoingMessage.worker_id.is_(None)
            return list(session.scalars(select(OutgoingMessage.subject).where(free)))

    def work(self, seconds: float, *workers: WorkerRegistry) -> None:
        """Let these live for so long, and the others not."""
        for _ in range(round(seconds / 5)):
            self.time.pass_by(5)
            for worker in workers:
                worker.beat()
                worker.reconcile()


@pytest.fixture
def shift(url: str) -> Iterator[Shift]:
    database = Database(url)
    database.migrate()
    with database.writing() as session:
        session.add(Workspace(name="w"))
    yield Shift(database)
    database.close()


def test_nobody_is_dead_because_nobody_could_write(shift: Shift) -> None:
    first, second = shift.hire("first"), shift.hire("second")
    shift.work(60, first, second)
    shift.time.pass_by(45)  # the database is away
    first.beat()
    first.reconcile()
    assert shift.recovered == []
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
    newcomer.reconcile()
    assert shift.recovered == []
    shift.work(20, newcomer)
    assert shift.recovered == ["old"]


def test_worker_that_stops_releases_its_work_at_once(shift: Shift) -> None:
    shift.hire("first")
    second = shift.hire("second")
    second.start()
    assert second.stop()
    assert shift.recovered == ["second"]
    with shift.database.reading() as session:
        assert session.scalars(select(Worker.worker_id)).all() == ["first"]


def test_successor_releases_what_its_predecessor_of_the_same_name_had_claimed(shift: Shift) -> None:
    shift.hire("first")
    successor = WorkerRegistry(shift.database, "first", LEASE, list, clock=lambda _: shift.time.now)
    successor.start()
    assert shift.recovered == ["first"]
    successor.stop()


def test_two_workers_that_find_a_dead_one_count_its_loss_once(shift: Shift) -> None:
    first, second = shift.hire("first"), shift.hire("second")
    with shift.database.writing() as session:
        report = Report(workspace_id=1, name="r")
        session.add(report)
        session.flush()
        run = Run(
            workspace_id=1,
            report_id=report.id,
            origin="api",
            given_parameters={},
            parameters={},
            status="running",
            worker_id="dead",
        )
        session.add(run)
    threads = [threading.Thread(target=worker.reconcile) for worker in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with shift.database.reading() as session:
        found = session.get_one(Run, run.id)
        assert (found.worker_id, found.lost_workers) == (None, 1)
