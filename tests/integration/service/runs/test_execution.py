"""Runs whose database goes away, or that two workers execute at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import delete, event, select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsConflictError
from airflow_provider_pushmetrics.service.datasources.base import RowBatches
from airflow_provider_pushmetrics.service.datasources.locations import SourcePlaces
from airflow_provider_pushmetrics.service.datasources.registry import SourceRegistry
from airflow_provider_pushmetrics.service.egress.rules import EgressRules
from airflow_provider_pushmetrics.service.models import (
    Block,
    BlockResult,
    OutgoingMessage,
    Report,
    ReportTrigger,
    Run,
)
from airflow_provider_pushmetrics.service.results.links import ResultLinks
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import Completeness
from airflow_provider_pushmetrics.service.runs.execution.executor import RunExecutor
from airflow_provider_pushmetrics.service.runs.submission import AcceptedRun, RunSubmission, accept_runs
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.service.worker.retry_loop import RetryLoop
from tests.fakes.service_reports import make_report, sql, text


@dataclass
class Workplace:
    """A database with reports, and executors that share it."""

    database: Database
    folder: Path

    def __post_init__(self) -> None:
        self.cipher = Cipher("k" * 32)
        self.sources = SourceRegistry(
            self.database, self.cipher, SourcePlaces(self.folder, ()), EgressRules()
        )

    def build_executor(self) -> RunExecutor:
        results = ResultStore(self.folder / "results")
        return RunExecutor(self.database, self.sources, results, ResultLinks("http://service.test"))

    def start_run(self, **blocks: tuple[str, dict[str, Any]]) -> int:
        made = make_report(self.database, self.cipher, self.folder, **blocks)
        with self.database.writing() as session:
            run = Run(workspace_id=1, report_id=made.id, origin="api", given_parameters={}, parameters={})
            session.add(run)
            session.flush()
            return run.id

    def read(self, run_id: int) -> tuple[str, str | None, list[str]]:
        with self.database.reading() as session:
            run = session.get_one(Run, run_id)
            names = (
                select(BlockResult.name).where(BlockResult.run_id == run_id).order_by(BlockResult.position)
            )
            return run.status, run.error, list(session.scalars(names))

    def fail_once(self, beginning: str, fault: type[DBAPIError] = OperationalError) -> list[str]:
        """
        Raise an error at the first statement that begins like this; list those that met it.

        :param fault: The error. By default the database goes away.
        """
        met: list[str] = []

        def drop(_: Any, __: Any, statement: str, *___: Any) -> None:
            if statement.startswith(beginning) and not met:
                met.append(statement)
                raise fault(statement, {}, Exception("server closed the connection unexpectedly"))

        event.listen(self.database.engine, "before_cursor_execute", drop)
        return met

    def run_until(self, run_id: int, beginning: str) -> list[str]:
        """Execute a run until a statement fails; name the blocks that were recorded."""
        met = self.fail_once(beginning)
        with pytest.raises(OperationalError):
            self.build_executor().execute(Run, run_id)
        assert met
        return self.read(run_id)[2]


@pytest.fixture
def workplace(database: Database, tmp_path: Path) -> Iterator[Workplace]:
    workplace = Workplace(database, tmp_path)
    yield workplace
    workplace.sources.close()


@pytest.mark.parametrize("statement", ["INSERT INTO block_result", "UPDATE run SET", "SELECT data_source"])
def test_run_outlives_a_connection_that_is_lost(workplace: Workplace, statement: str) -> None:
    run_id = workplace.start_run(q=sql("SELECT 1 AS n"), note=text("{{ q.data[0].n }}"))
    met = workplace.fail_once(statement)
    with pytest.raises(OperationalError):
        workplace.build_executor().execute(Run, run_id)
    assert met
    assert workplace.read(run_id)[0] != "failed"
    workplace.build_executor().execute(Run, run_id)
    assert workplace.read(run_id) == ("success", None, ["q", "note"])


def test_interrupted_run_whose_parameter_does_not_accept_its_value_any_more_fails(
    workplace: Workplace,
) -> None:
    parameter = {"type": "text", "default": "many"}
    run_id = workplace.start_run(top=("parameter", parameter), q=sql("SELECT 1 AS n -- {{ top }}"))
    with workplace.database.writing() as session:
        session.get_one(Run, run_id).parameters = {"top": "many"}
    assert workplace.fail_once("SELECT data_source") == []
    with pytest.raises(OperationalError):
        workplace.build_executor().execute(Run, run_id)
    assert workplace.read(run_id) == ("running", None, ["top"])
    with workplace.database.writing() as session:
        block = session.scalars(select(Block).where(Block.name == "top")).one()
        block.content = {"type": "integer", "default": 3}
    workplace.build_executor().execute(Run, run_id)
    error = "block 'top': parameter 'top' is 'many', which is no integer."
    assert workplace.read(run_id) == ("failed", error, ["top", "q"])


def test_interrupted_run_whose_failed_block_was_deleted_has_failed(workplace: Workplace) -> None:
    run_id = workplace.start_run(
        broken=sql("SELECT * FROM nowhere"), q=sql("SELECT 1 AS n"), note=text("{{ q.data[0].n }}")
    )
    recorded = workplace.run_until(run_id, "INSERT INTO outbox_event")
    assert recorded == ["broken", "q"]
    with workplace.database.writing() as session:
        session.delete(session.scalars(select(Block).where(Block.name == "broken")).one())
    workplace.build_executor().execute(Run, run_id)
    status, error, names = workplace.read(run_id)
    assert (status, names) == ("failed", ["broken", "q", "note"])
    assert str(error).startswith("block 'broken': ")


def test_run_whose_end_could_not_be_recorded_ends_at_the_next_try(workplace: Workplace) -> None:
    run_id = workplace.start_run(q=sql("SELECT 1 AS n"))
    met = workplace.fail_once("INSERT INTO outbox_event", IntegrityError)
    with pytest.raises(IntegrityError):
        workplace.build_executor().execute(Run, run_id)
    assert met
    assert workplace.read(run_id) == ("running", None, [])
    workplace.build_executor().execute(Run, run_id)
    assert workplace.read(run_id) == ("success", None, ["q"])


def test_report_that_is_deleted_while_a_run_is_accepted_is_a_conflict(workplace: Workplace) -> None:
    made = make_report(workplace.database, workplace.cipher, workplace.folder, note=text("kept"))
    gone = make_report(workplace.database, workplace.cipher, workplace.folder, note=text("deleted"))

    class Overtaken(Database):
        """Lets somebody delete a report whenever another transaction is about to write."""

        @contextmanager
        def executing(self) -> Iterator[Session]:
            with workplace.database.writing() as session:
                session.execute(delete(Report).where(Report.id == gone.id))
            with super().executing() as session:
                yield session

    database = Overtaken(workplace.database.url)
    kept, refused = accept_runs(
        database,
        ResultStore(workplace.folder),
        [RunSubmission(made.id, {}, "api"), RunSubmission(gone.id, {}, "api")],
    )
    database.close()
    assert isinstance(kept, AcceptedRun)
    assert isinstance(refused, PushMetricsConflictError)
    assert refused.status_code == 409
    assert workplace.read(kept.id)[0] == "pending"


def test_query_goes_on_while_nobody_can_see_whether_it_was_cancelled(workplace: Workplace) -> None:
    run_id = workplace.start_run(q=sql("SELECT 1 AS n"))
    recorder = workplace.build_executor()._recorder
    plan = recorder.begin(Run, run_id)
    assert plan is not None
    assert workplace.fail_once("SELECT run") == []
    assert recorder.find_stop_reason(plan) is None
    with workplace.database.writing() as session:
        session.get_one(Run, run_id).status = "cancelled"
    assert recorder.find_stop_reason(plan) == "the run was cancelled"


def test_run_that_is_cancelled_while_it_begins_stays_cancelled(workplace: Workplace) -> None:
    run_id = workplace.start_run(q=sql("SELECT 1 AS n"))
    seen: list[bool] = []

    def cancel() -> None:
        with workplace.database.writing() as session:
            run = session.get_one(Run, run_id, with_for_update=True)
            run.status = "cancelled" if run.status in ("pending", "running") else run.status

    canceller = threading.Thread(target=cancel)

    def start_cancelling(*met: Any) -> None:
        if "FROM block" in met[2] and not seen:
            seen.append(True)
            canceller.start()
            canceller.join(0.5)

    event.listen(workplace.database.engine, "before_cursor_execute", start_cancelling)
    workplace.build_executor()._recorder.begin(Run, run_id)
    canceller.join(120)
    assert seen
    assert workplace.read(run_id)[0] == "cancelled"


def test_two_workers_that_execute_one_run_end_it_once(workplace: Workplace) -> None:
    blocks = {f"q{number}": sql(f"SELECT {number} AS n") for number in range(6)}
    blocks["last"] = text("{{ q5.data[0].n }}")
    run_id = workplace.start_run(**blocks)
    barrier, faults = threading.Barrier(2), []

    def work() -> None:
        executor = workplace.build_executor()
        barrier.wait()
        try:
            executor.execute(Run, run_id)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert workplace.read(run_id) == ("success", None, list(blocks))


@dataclass
class FreezingStore(ResultStore):
    """Freezes before the first result is complete, while another worker does something."""

    folder: Path
    act: Callable[[], None]
    is_frozen: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.folder)

    def write(
        self, name: str, rows: RowBatches, get_truncation: Callable[[], Completeness] = Completeness
    ) -> int:
        def freeze() -> Iterator[pa.RecordBatch]:
            yield from rows.batches
            if not self.is_frozen:
                self.is_frozen = True
                self.act()

        return super().write(name, RowBatches(rows.schema, freeze()), get_truncation)


NEXT_BLOCK = {"note": text("{{ q.data[0].n }}")}


@pytest.mark.parametrize(
    ("after", "statement"),
    [({}, None), (NEXT_BLOCK, None), (NEXT_BLOCK, "INSERT INTO outbox_event")],
    ids=["its last block", "its end", "a part of it"],
)
def test_worker_that_was_thought_dead_replaces_no_recorded_rows(
    workplace: Workplace, after: dict[str, tuple[str, dict[str, Any]]], statement: str | None
) -> None:
    run_id = workplace.start_run(q=sql("SELECT random() AS n"), **after)
    folder = workplace.folder / "results"
    seen: list[bytes] = []

    def take_over() -> None:
        if statement is not None:
            workplace.fail_once(statement)
        with suppress(OperationalError):
            workplace.build_executor().execute(Run, run_id)
        seen.extend(path.read_bytes() for path in folder.glob("*/*.parquet"))

    store = FreezingStore(folder, take_over)
    links = ResultLinks("http://service.test")
    RunExecutor(workplace.database, workplace.sources, store, links).execute(Run, run_id)
    assert store.is_frozen
    assert workplace.read(run_id) == ("success", None, ["q", *after])
    with workplace.database.reading() as session:
        (recorded,) = session.scalars(select(BlockResult.result_file).where(BlockResult.name == "q"))
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*.*")] == [recorded]
    assert [(folder / str(recorded)).read_bytes()] == seen


@dataclass
class CountingStore(ResultStore):
    """Counts the results that it was given."""

    folder: Path
    count: int = 0

    def __post_init__(self) -> None:
        super().__init__(self.folder)

    def write(
        self, name: str, rows: RowBatches, get_truncation: Callable[[], Completeness] = Completeness
    ) -> int:
        self.count += 1
        return super().write(name, rows, get_truncation)


class ForgetfulDatabase(Database):
    """Its first answer to a commit with a new result is lost."""

    has_lost = False

    @contextmanager
    def recording(self) -> Iterator[Session]:
        with self._losing(), super().recording() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        with self._losing(), super().writing() as session:
            yield session

    @contextmanager
    def _losing(self) -> Iterator[None]:
        before = self._count_results()
        yield
        if self._count_results() > before and not self.has_lost:
            self.has_lost = True
            raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

    def _count_results(self) -> int:
        with self.reading() as session:
            return len(session.scalars(select(BlockResult.id)).all())


AFTER = pytest.mark.parametrize("after", [{}, NEXT_BLOCK], ids=["its last block", "a part of it"])


def execute_once(workplace: Workplace, database: Database, run_id: int) -> None:
    """Execute a run as a worker does, which must execute its query once and keep its rows."""
    store = CountingStore(workplace.folder / "results")
    loop = RetryLoop(lambda _: False)
    links = ResultLinks("http://service.test")
    executor = RunExecutor(database, workplace.sources, store, links, persist=loop.do)
    loop.do(lambda: executor.execute(Run, run_id))
    assert store.count == 1
    with workplace.database.reading() as session:
        (file,) = session.scalars(select(BlockResult.result_file).where(BlockResult.name == "q"))
    assert (store.folder / str(file)).exists()


@AFTER
def test_query_that_has_ended_is_not_executed_again_while_the_database_is_away(
    workplace: Workplace, after: dict[str, tuple[str, dict[str, Any]]]
) -> None:
    run_id = workplace.start_run(q=sql("SELECT 1 AS n"), **after)
    met = workplace.fail_once("INSERT INTO block_result")
    execute_once(workplace, workplace.database, run_id)
    assert met
    assert workplace.read(run_id) == ("success", None, ["q", *after])


@AFTER
def test_rows_are_kept_if_the_answer_to_their_commit_was_lost(
    workplace: Workplace, after: dict[str, tuple[str, dict[str, Any]]]
) -> None:
    run_id = workplace.start_run(q=sql("SELECT 1 AS n"), **after)
    database = ForgetfulDatabase(workplace.database.url)
    execute_once(workplace, database, run_id)
    assert database.has_lost
    database.close()
    assert workplace.read(run_id) == ("success", None, ["q", *after])


@pytest.mark.parametrize(("details", "notified"), [(None, ["a@example.com"]), ('{"on": "never"}', [])])
def test_recipient_that_cannot_be_notified_keeps_no_run_from_its_end(
    workplace: Workplace, details: str | None, notified: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    run_id = workplace.start_run(q=sql("SELECT 1 AS n"))
    with workplace.database.writing() as session:
        trigger = session.scalars(select(ReportTrigger)).one()
        trigger.recipients, trigger.details = '["nobody", "a@example.com"]', details
        session.get_one(Run, run_id).webhook_id = trigger.id
    workplace.build_executor().execute(Run, run_id)
    assert workplace.read(run_id) == ("success", None, ["q"])
    with workplace.database.reading() as session:
        assert list(session.scalars(select(OutgoingMessage.recipient))) == notified
    assert "cannot be notified" in caplog.text


def test_run_that_a_fault_of_ours_ended_is_still_to_be_delivered(workplace: Workplace) -> None:
    class FullStore(ResultStore):
        """Has no room left."""

        def write(
            self, name: str, rows: RowBatches, get_truncation: Callable[[], Completeness] = Completeness
        ) -> int:
            raise OSError("No space left on device")

    run_id = workplace.start_run(q=sql("SELECT 1 AS n"))
    store = FullStore(workplace.folder / "results")
    links = ResultLinks("http://service.test")
    executor = RunExecutor(workplace.database, workplace.sources, store, links)
    with pytest.raises(OSError, match="No space"):
        executor.execute(Run, run_id)
    assert workplace.read(run_id)[0] == "failed"
