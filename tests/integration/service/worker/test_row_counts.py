"""The kept counts of rows are exact at every moment, whatever is added, deleted and open meanwhile."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import ColumnElement, delete, func, insert, select, text
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.accounts.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.accounts.workspaces import delete_workspace
from airflow_provider_pushmetrics.service.models import (
    DeletedRows,
    OutgoingMessage,
    Report,
    RowCount,
    Run,
    RunLogEntry,
    Workspace,
)
from airflow_provider_pushmetrics.service.models.base import get_table
from airflow_provider_pushmetrics.service.models.row_counts import COUNTED, ID_RANGE, Counted, count_rows
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.ids import generate_uid
from airflow_provider_pushmetrics.service.worker.row_counts import BATCH_IDS, RowCounter
from tests.fakes.row_ids import skip_ids
from tests.fakes.service_process import API_TOKEN

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGE = {
    "kind": "mail",
    "recipient": "a@example.com",
    "subject": "s",
    "text": "t",
    "files": [],
    "status": "sent",
    "attempt_count": 1,
    "next_attempt_on": NOW,
    "created_on": NOW,
}


@pytest.fixture
def own_database(tmp_path: Path, database_url: str | None) -> Iterator[Database]:
    """Give a database with two workspaces and no worker."""
    database = Database(database_url or f"sqlite:///{tmp_path}/service.db")
    database.migrate()
    bootstrap(database, tmp_path, API_TOKEN)
    with database.writing() as session:
        session.add(Workspace(name="other"))
    yield database
    database.close()


def add_messages(session: Session, workspace_id: int, count: int) -> None:
    rows = [{**MESSAGE, "workspace_id": workspace_id, "uid": generate_uid()} for _ in range(count)]
    session.execute(insert(get_table(OutgoingMessage)), rows)


def delete_messages(session: Session, *conditions: ColumnElement[bool]) -> None:
    session.execute(delete(get_table(OutgoingMessage)).where(*conditions))


def add_in_two_ranges(database: Database) -> None:
    with database.writing() as session:
        add_messages(session, 1, 1)
        skip_ids(session, "message", ID_RANGE)
        add_messages(session, 1, 1)


def check_counts(database: Database, *kinds: Counted) -> list[int]:
    """Compare the kept counts with counts of the same moment, and give those of the first kind."""
    found = []
    is_sqlite = database.engine.dialect.name == "sqlite"
    with database.reading() if is_sqlite else database.writing() as session:
        if not is_sqlite:  # each statement of one that only reads would see a moment of its own
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        for kind in kinds or (OutgoingMessage,):
            for workspace_id in (1, 2):
                counted = select(func.count()).where(kind.workspace_id == workspace_id)
                kept = count_rows(session, kind, workspace_id)
                assert kept == session.scalar(counted), (kind, workspace_id)
                found.append(kept)
    return found[:2]


def read_until(database: Database, kind: Counted = OutgoingMessage) -> int:
    """Read below which id the rows are counted."""
    with database.reading() as session:
        mine = RowCount.kind == kind.__tablename__
        return session.scalar(select(func.max(RowCount.until)).where(mine)) or 0


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_exact_after_each_of_many_changes(own_database: Database, seed: int) -> None:
    chance, counter = random.Random(seed), RowCounter(own_database)
    for _ in range(40):
        with own_database.writing() as session:
            last = session.scalar(select(func.max(OutgoingMessage.id))) or 0
            middle = chance.randint(0, last)
            step = chance.choice(["add", "add", "skip", "delete", "delete old", "count", "count"])
            if step == "add":
                add_messages(session, chance.choice([1, 2]), chance.randint(1, 30))
            elif step == "skip":
                skip_ids(session, "message", chance.randint(1, 2 * ID_RANGE))
            elif step == "delete":
                delete_messages(session, OutgoingMessage.id.between(middle, middle + ID_RANGE))
            elif step == "delete old":
                delete_messages(session, OutgoingMessage.id < middle // 4)
        if step == "count":
            counter.run_once()
        check_counts(own_database)
    add_in_two_ranges(own_database)
    counter.run_once()
    check_counts(own_database)
    assert read_until(own_database) >= ID_RANGE


def test_many_ids_are_counted_by_several_transactions(own_database: Database) -> None:
    with own_database.writing() as session:
        add_messages(session, 1, 3)
        skip_ids(session, "message", 3 * BATCH_IDS)
        add_messages(session, 2, 2)
        skip_ids(session, "message", ID_RANGE)
        add_messages(session, 2, 1)
    RowCounter(own_database).run_once()
    assert read_until(own_database) == 3 * BATCH_IDS + ID_RANGE
    assert check_counts(own_database) == [3, 3]


def test_rows_that_a_cascade_deletes_are_subtracted(own_database: Database) -> None:
    with own_database.writing() as session:
        report = Report(workspace_id=1, name="r", description="", type="report", time_zone="UTC")
        session.add(report)
        session.flush()
        for _ in range(5):
            run = Run(workspace_id=1, report_id=report.id, origin="api", given_parameters={}, parameters={})
            session.add(run)
            session.flush()
            session.add_all(
                RunLogEntry(workspace_id=1, run_id=run.id, level="INFO", message="m") for _ in range(3)
            )
        session.flush()
        for kind in (Run, RunLogEntry):
            skip_ids(session, kind.__tablename__, ID_RANGE)
        run = Run(workspace_id=1, report_id=report.id, origin="api", given_parameters={}, parameters={})
        session.add(run)
        session.flush()
        session.add(RunLogEntry(workspace_id=1, run_id=run.id, level="INFO", message="m"))
    RowCounter(own_database).run_once()
    assert [read_until(own_database, kind) for kind in (Run, RunLogEntry)] == [ID_RANGE, ID_RANGE]
    assert check_counts(own_database, RunLogEntry, Run) == [16, 0]
    with own_database.writing() as session:
        session.execute(delete(get_table(Run)).where(Run.id < 3))
    assert check_counts(own_database, RunLogEntry, Run) == [10, 0]
    with own_database.writing() as session:
        session.execute(delete(get_table(Report)))
    assert check_counts(own_database, RunLogEntry, Run) == [0, 0]
    RowCounter(own_database).run_once()
    assert check_counts(own_database, RunLogEntry, Run) == [0, 0]


def test_deleting_a_workspace_deletes_its_counts(own_database: Database) -> None:
    with own_database.writing() as session:
        add_messages(session, 2, 1)
        skip_ids(session, "message", ID_RANGE)
        add_messages(session, 2, 1)
    RowCounter(own_database).run_once()
    with own_database.writing() as session:
        other = session.get(Workspace, 2)
        assert other is not None
        delete_workspace(session, other)
    RowCounter(own_database).run_once()
    with own_database.reading() as session:
        for kind in (RowCount, DeletedRows):
            assert session.scalar(select(func.count()).select_from(kind)) == 0


def test_every_counted_table_has_its_trigger(own_database: Database) -> None:
    """A migration of SQLite that copies a table drops its triggers."""
    names = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE tgenabled = 'O'",
    }
    with own_database.reading() as session:
        found = set(session.scalars(text(names[own_database.engine.dialect.name])))
    assert {f"count_deleted_{kind.__tablename__}" for kind in COUNTED} <= found


# --- transactions that are open meanwhile -------------------------------------------------------------------


@pytest.fixture
def on_postgresql(own_database: Database) -> Database:
    """Skip on SQLite, where no transaction is open beside one that writes."""
    if own_database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    return own_database


def test_an_id_that_is_committed_after_higher_ones_is_counted(on_postgresql: Database) -> None:
    counter = RowCounter(on_postgresql, settle_seconds=0.2)
    with on_postgresql.writing() as late:
        add_messages(late, 1, 1)
        with on_postgresql.writing() as session:
            skip_ids(session, "message", 2 * ID_RANGE)
            add_messages(session, 1, 5)
        counter.run_once()
        assert read_until(on_postgresql) == 0
        assert check_counts(on_postgresql) == [5, 0]
    assert check_counts(on_postgresql) == [6, 0]
    counter.run_once()
    assert read_until(on_postgresql) == 2 * ID_RANGE
    assert check_counts(on_postgresql) == [6, 0]


@pytest.mark.parametrize("is_committed", [True, False])
def test_rows_whose_deletion_is_open_while_they_are_counted(
    on_postgresql: Database, is_committed: bool
) -> None:
    counter = RowCounter(on_postgresql)
    with on_postgresql.writing() as session:
        add_messages(session, 1, 10)
        skip_ids(session, "message", 2 * ID_RANGE)
        add_messages(session, 1, 1)
    with ThreadPoolExecutor(1) as pool, on_postgresql.writing() as deleting:
        counting = pool.submit(counter.run_once)  # the deletion begins while ids settle, or is waited for
        delete_messages(deleting, OutgoingMessage.id < 5)
        check_counts(on_postgresql)
        if is_committed:
            deleting.commit()
        else:
            deleting.rollback()
        counting.result(timeout=120)
    left = 7 if is_committed else 11
    assert check_counts(on_postgresql) == [left, 0]
    counter.run_once()
    assert check_counts(on_postgresql) == [left, 0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_counts_are_exact_beside_concurrent_writers(own_database: Database, seed: int) -> None:
    stopping = threading.Event()

    def write(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        for _ in range(25):
            with own_database.writing() as session:
                add_messages(session, chance.choice([1, 2]), chance.randint(1, 20))
                if chance.random() < 0.3:
                    skip_ids(session, "message", ID_RANGE // 2)
                stopping.wait(chance.random() / 50)  # so that ids are committed in another order
                if chance.random() < 0.1:
                    session.rollback()

    def clean(number: int) -> None:
        chance = random.Random(f"clean {seed} {number}")
        while not stopping.wait(chance.random() / 20):
            with own_database.writing() as session:
                last = session.scalar(select(func.max(OutgoingMessage.id))) or 0
                some = select(OutgoingMessage.id).where(OutgoingMessage.id <= chance.randint(0, last))
                locked = session.scalars(some.limit(15).with_for_update(skip_locked=True)).all()
                delete_messages(session, OutgoingMessage.id.in_(locked))

    def count() -> None:
        while not stopping.wait(0.01):
            RowCounter(own_database).run_once()

    with ThreadPoolExecutor(9) as pool:
        writers = [pool.submit(write, number) for number in range(3)]
        others = [pool.submit(clean, number) for number in range(2)] + [pool.submit(count) for _ in range(2)]
        try:
            while not all(writer.done() for writer in writers):
                check_counts(own_database)
        finally:
            stopping.set()
        for done in (*writers, *others):
            done.result(timeout=120)
    add_in_two_ranges(own_database)
    RowCounter(own_database).run_once()
    check_counts(own_database)
    assert read_until(own_database) > 0
