"""Workers claim the runs that wait, and give back what they cannot end."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.exc import OperationalError

from airflow_provider_pushmetrics.service.models import (
    Block,
    Report,
    Run,
    StandaloneQueryRun,
    Worker,
    Workspace,
)
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.worker.claim_queue import ClaimQueue
from airflow_provider_pushmetrics.service.worker.claims import Claim, WorkRow
from airflow_provider_pushmetrics.service.worker.heartbeats import WorkerRegistry
from airflow_provider_pushmetrics.service.worker.retry_loop import WorkInterruptedError
from airflow_provider_pushmetrics.service.worker.selection import select_runs
from tests.fakes.claims import release_all, release_forgotten
from tests.fakes.waiting import wait_until


@dataclass
class Bench:
    """A queue, its database, and the runs that are held at work until the test lets them end."""

    database: Database
    begun: list[tuple[type[WorkRow], int]] = field(default_factory=list)
    abandoned: list[int] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)
    fault: BaseException | None = None

    def execute(self, run: Claim) -> bool:
        self.begun.append((run.kind, run.id))
        self.ending.wait(120)
        if self.fault is not None:
            raise self.fault
        with self.database.recording() as session:
            session.execute(update(run.kind).where(run.kind.id == run.id).values(finished_on=get_now()))
        return True

    def abandon(self, run: Claim) -> None:
        self.abandoned.append(run.id)

    def open(self, name: str = "me", *, places: int = 4) -> ClaimQueue:
        return ClaimQueue("run", self.database, name, select_runs(places), self.execute, self.abandon)

    def put(self, report_id: int, count: int = 1, **values: object) -> list[int]:
        with self.database.writing() as session:
            report = session.get_one(Report, report_id)
            runs = [
                Run(
                    workspace_id=report.workspace_id,
                    report_id=report_id,
                    origin="api",
                    given_parameters={},
                    parameters={},
                    **values,
                )
                for _ in range(count)
            ]
            session.add_all(runs)
            session.flush()
            return [run.id for run in runs]

    def read(self, run_id: int) -> Run:
        with self.database.reading() as session:
            return session.get_one(Run, run_id)

    def make_report(self, workspace_id: int = 1) -> int:
        with self.database.writing() as session:
            report = Report(workspace_id=workspace_id, name="r")
            session.add(report)
            session.flush()
            return report.id

    def make_workspace(self) -> int:
        with self.database.writing() as session:
            workspace = Workspace(name="other")
            session.add(workspace)
            session.flush()
            return workspace.id


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database)


def claim(queue: ClaimQueue) -> list[Claim]:
    return queue.claim()[0]


def stop(queue: ClaimQueue, timeout_seconds: float) -> bool:
    queue.stop_claiming()
    return queue.wait_until_idle(timeout_seconds)


def test_oldest_runs_of_a_report_are_claimed_for_half_of_the_places(bench: Bench) -> None:
    ids = bench.put(bench.make_report(), 5)
    claimed = claim(bench.open())
    assert sorted(run.id for run in claimed) == ids[:2]
    assert [bench.read(run_id).worker_id for run_id in ids] == ["me", "me", None, None, None]


def test_other_workspace_finds_a_place_beside_many_reports(bench: Bench) -> None:
    for _ in range(5):
        bench.put(bench.make_report(), 5)
    other = bench.put(bench.make_report(bench.make_workspace()))
    queue = bench.open()
    assert set(other) < {run.id for run in claim(queue)}
    assert claim(queue) == []


def test_two_workers_never_claim_the_same_run(bench: Bench) -> None:
    reports = [bench.make_report() for _ in range(4)]
    ids = [run_id for report_id in reports for run_id in bench.put(report_id, 10)]
    queues = [bench.open(f"worker-{number}", places=8) for number in range(4)]
    claimed: list[int] = []
    threads = [
        threading.Thread(target=lambda queue=queue: claimed.extend(run.id for run in claim(queue)))
        for queue in queues
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed))
    assert set(claimed) <= set(ids)
    with bench.database.reading() as session:
        owned = session.scalars(select(Run.id).where(Run.worker_id.is_not(None))).all()
    assert sorted(owned) == sorted(claimed)


def test_runs_that_have_ended_are_not_claimed(bench: Bench) -> None:
    bench.put(bench.make_report(), status="cancelled", finished_on=get_now())
    assert claim(bench.open()) == []


def test_place_that_is_free_again_is_filled_at_once(bench: Bench) -> None:
    ids = bench.put(bench.make_report(), 6)
    queue = bench.open()
    queue.start()
    wait_until(lambda: len(bench.begun) == 2)
    bench.ending.set()
    wait_until(lambda: sorted(run_id for _, run_id in bench.begun) == ids)
    assert stop(queue, 10)
    assert not queue.list_active()


def test_run_of_a_block_is_claimed_too(bench: Bench) -> None:
    report_id = bench.make_report()
    with bench.database.writing() as session:
        block = Block(report_id=report_id, position=0, type="text", name="t", content={"text": ""})
        session.add(block)
        session.flush()
        run = StandaloneQueryRun(
            workspace_id=1, report_id=report_id, block_id=block.id, given_parameters={}, parameters={}
        )
        session.add(run)
    queue = bench.open()
    queue.start()
    wait_until(lambda: bench.begun == [(StandaloneQueryRun, run.id)])
    bench.ending.set()
    assert stop(queue, 10)


def test_run_that_does_not_end_in_time_is_given_back_without_a_loss(bench: Bench) -> None:
    (run_id,) = bench.put(bench.make_report(), status="running")
    queue = bench.open()
    queue.start()
    wait_until(lambda: len(bench.begun) == 1)
    assert not stop(queue, 0.05)
    release_all(bench.database, "me")
    assert (bench.read(run_id).worker_id, bench.read(run_id).lost_workers) == (None, 0)
    bench.ending.set()
    assert queue.wait_until_idle(120)


def test_interrupted_run_is_not_ended(bench: Bench) -> None:
    (run_id,) = bench.put(bench.make_report())
    bench.fault = WorkInterruptedError()
    bench.ending.set()
    queue = bench.open()
    queue.start()
    wait_until(lambda: len(bench.begun) == 1 and not queue.list_active())
    assert stop(queue, 10), "nothing of it is active: what it used can be closed"
    assert bench.read(run_id).worker_id == "me", "its worker releases it when it ends"
    assert bench.abandoned == []


def test_run_whose_execution_fails_is_ended(bench: Bench) -> None:
    ids = bench.put(bench.make_report())
    bench.fault = LookupError("a fault of ours")
    bench.ending.set()
    queue = bench.open()
    queue.start()
    wait_until(lambda: bench.abandoned == ids)
    assert stop(queue, 10)


def test_loss_of_a_worker_counts_for_the_runs_that_had_begun(bench: Bench) -> None:
    report_id = bench.make_report()
    (begun,) = bench.put(report_id, status="running", worker_id="dead", lost_workers=1)
    (claimed,) = bench.put(report_id, worker_id="dead")
    (of_another,) = bench.put(report_id, status="running", worker_id="alive")
    (ended,) = bench.put(report_id, status="success", worker_id="dead", finished_on=get_now())
    assert len(release_all(bench.database, "dead", counts_loss=True)) == 2
    found = [
        (bench.read(run_id).worker_id, bench.read(run_id).lost_workers)
        for run_id in (begun, claimed, of_another, ended)
    ]
    assert found == [(None, 2), (None, 0), ("alive", 0), ("dead", 0)]


def test_runs_that_cost_a_worker_are_claimed_one_at_a_time(bench: Bench) -> None:
    suspects = [bench.put(bench.make_report(), lost_workers=1)[0] for _ in range(3)]
    (other,) = bench.put(bench.make_report())
    claimed = {run.id for run in claim(bench.open(places=8))}
    assert other in claimed
    assert len(claimed & set(suspects)) == 1


def test_claim_that_cannot_be_committed_holds_no_place(bench: Bench) -> None:
    ids = bench.put(bench.make_report(), 2)
    queue = bench.open()

    def refuse(connection: object) -> None:
        raise OperationalError("COMMIT", None, Exception("away"))

    event.listen(bench.database.engine, "commit", refuse)
    with pytest.raises(OperationalError):
        claim(queue)
    event.remove(bench.database.engine, "commit", refuse)
    assert not queue.list_active()
    assert sorted(run.id for run in claim(queue)) == ids


def test_claimed_run_that_is_not_active_is_released(bench: Bench) -> None:
    report_id = bench.make_report()
    (forgotten,) = bench.put(report_id, worker_id="me")
    queue = bench.open()
    (active,) = bench.put(bench.make_report())
    assert [run.id for run in claim(queue)] == [active]
    release_forgotten(bench.database, queue, "me")
    assert bench.read(forgotten).worker_id is None
    assert bench.read(active).worker_id == "me"


def test_claim_of_a_worker_that_has_no_row_is_released(bench: Bench) -> None:
    with bench.database.writing() as session:
        session.add(Worker(worker_id="alive", host="h", pid=1))
    (orphan,) = bench.put(bench.make_report(), worker_id="frozen")
    (claimed,) = bench.put(bench.make_report(), worker_id="alive")
    (ended,) = bench.put(bench.make_report(), worker_id="frozen", finished_on=get_now())
    WorkerRegistry(bench.database, "me", 20, list).reconcile()
    found = [bench.read(run_id).worker_id for run_id in (orphan, claimed, ended)]
    assert found == [None, "alive", "frozen"]


def test_row_that_a_frozen_worker_has_locked_does_not_hold_up_the_others(bench: Bench) -> None:
    if bench.database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks no rows")
    locked, free = bench.put(bench.make_report(), 2, worker_id="frozen")
    with bench.database.engine.begin() as frozen:
        frozen.execute(update(Run).where(Run.id == locked).values(status="running"))
        assert release_all(bench.database, "frozen") == [f"run {free}"]
    assert (bench.read(locked).worker_id, bench.read(free).worker_id) == ("frozen", None)
    assert release_all(bench.database, "frozen") == [f"run {locked}"]


def test_run_that_is_still_active_here_is_not_claimed_again(bench: Bench) -> None:
    (run_id,) = bench.put(bench.make_report())
    queue = bench.open()
    assert [run.id for run in claim(queue)] == [run_id]
    release_all(bench.database, "me")  # as another worker does while this one is frozen
    assert claim(queue) == []


def test_worker_without_a_current_heartbeat_claims_nothing(bench: Bench) -> None:
    bench.put(bench.make_report())
    is_current = False
    queue = ClaimQueue(
        "run", bench.database, "me", select_runs(4), bench.execute, may_claim=lambda: is_current
    )
    assert claim(queue) == []
    is_current = True
    assert len(claim(queue)) == 1
