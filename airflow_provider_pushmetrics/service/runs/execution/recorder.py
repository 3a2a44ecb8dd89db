"""Records the progress of runs: their start, the result of each block, and their end."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Executable, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.models import AnyRun, BlockResult, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.models.base import get_table
from airflow_provider_pushmetrics.service.models.statuses import (
    CANCELLED_ERROR,
    FAILED,
    RUNNING,
    SUCCESS,
    UNFINISHED,
)
from airflow_provider_pushmetrics.service.notifications.message_outbox import (
    MailDraft,
    SlackDraft,
    add_mail,
    add_slack,
)
from airflow_provider_pushmetrics.service.reports.block_graph import PlannedBlock, hash_content
from airflow_provider_pushmetrics.service.results.links import ResultLinks
from airflow_provider_pushmetrics.service.runs.execution.plan import (
    ExecutedBlock,
    RunPlan,
    read_plan,
    summarize_failures,
)
from airflow_provider_pushmetrics.service.runs.log import LogLine, write_log
from airflow_provider_pushmetrics.service.runs.notices import notify_recipients
from airflow_provider_pushmetrics.service.storage.clock import Clock
from airflow_provider_pushmetrics.service.storage.database import Database, execute_core, is_unavailable
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from airflow_provider_pushmetrics.service.webhooks.run_events import (
    QUERY_RUN,
    REPORT_RUN,
    build_run_event,
    read_ended_run,
)
from airflow_provider_pushmetrics.serving.metrics import LONG_SECONDS, Histogram
from airflow_provider_pushmetrics.serving.traces import span

log = logging.getLogger(__name__)

INSERT_RESULT = insert(get_table(BlockResult))

CREATES = {
    "messaging.system": "pushmetrics",
    "messaging.operation.type": "create",
    "messaging.operation.name": "create",
}


class RunEndedError(PushMetricsError):
    """The run ended during its execution: it was cancelled, or its report was deleted."""


class OvertakenError(PushMetricsError):
    """Another worker that executes the same run has already recorded the block."""


@dataclass(frozen=True)
class BlockRecord:
    """
    What is recorded of a block.

    :param started_on: When it began; None if it was not run.
    """

    block: PlannedBlock
    outcome: ExecutedBlock
    started_on: datetime | None


class RunRecorder:
    """
    Records the progress of runs; a recorded block is not executed again.

    :param database: The database.
    :param links: Builds the links in events.
    """

    def __init__(self, database: Database, links: ResultLinks, clock: Clock) -> None:
        self._database = database
        self._links = links
        self._clock = clock
        self.run_seconds = Histogram(
            "pushmetrics_service_run_seconds",
            "Duration of a run, from its start to its end.",
            LONG_SECONDS,
            {"kind": [kind.__tablename__ for kind in (Run, StandaloneQueryRun)], "status": (SUCCESS, FAILED)},
        )

    def begin(self, kind: type[AnyRun], run_id: int) -> RunPlan | None:
        """Begin a run, or continue it; None if it has ended."""
        with self._database.reading() as session:
            plan = read_plan(session, kind, run_id)
        if plan is None:
            return None
        with self._database.recording() as session:
            values: dict[str, Any] = {"run": run_id, "now": self._clock(), "changed": plan.report_updated_on}
            if kind is StandaloneQueryRun:
                values["used"] = {str(one.id): [one.name, hash_content(one.content)] for one in plan.texts}
            begun = execute_core(session, _build_begin(kind), values)
            if not begun.rowcount:
                return None
            _write_log(session, plan, LogLine(f"the run {'continues' if plan.is_continued else 'begins'}"))
        return plan

    def record(self, plan: RunPlan, record: BlockRecord) -> None:
        """
        Record the outcome of a block, and add its messages to the outbox.

        :raises RunEndedError: if the run has ended.
        :raises OvertakenError: if another worker has recorded the block.
        """
        with self._finding_overtaken(plan, [record]), self._database.recording() as session:
            if not _lock_unfinished(session, plan):
                raise RunEndedError(f"run {plan.id} has ended.")
            if plan.lost_workers and plan.error is None:
                _change(session, plan, lost_workers=0)
            self._add_result(session, plan, record)
            _write_log(session, plan, _describe(record))

    def _add_result(self, session: Session, plan: RunPlan, record: BlockRecord) -> None:
        values = _build_result(plan, record.block, record.outcome)
        values |= {"started_on": record.started_on, "finished_on": self._clock()}
        added = cast("CursorResult[Any]", session.execute(INSERT_RESULT, values))
        if record.outcome.draft is not None:
            assert added.inserted_primary_key is not None
            _add_messages(session, plan, record.outcome.draft, added.inserted_primary_key[0])

    def finish(self, plan: RunPlan, error: str | None, records: Sequence[BlockRecord] = ()) -> None:
        """
        Set the end of a run, record its last blocks, and put its event in the outbox: all or nothing.

        :raises RunEndedError: if the run has ended: it was cancelled, or its report deleted.
        :raises OvertakenError: if another worker has recorded one of the blocks.
        """
        error = error or summarize_failures(plan)
        end = {"status": FAILED if error else SUCCESS, "error": error, "finished_on": self._clock()}
        name = f"create {REPORT_RUN if plan.kind is Run else QUERY_RUN}"
        with (
            span(name, kind="producer", facts=CREATES) as created,
            self._finding_overtaken(plan, records),
            self._database.writing() as session,
        ):
            if not _change(session, plan, **end):
                created.drop()
                raise RunEndedError(f"run {plan.id} has ended.")
            for record in records:
                self._add_result(session, plan, record)
            run = read_ended_run(session, plan.kind, plan.id)
            _write_log(session, plan, *map(_describe, records), LogLine(f"the run ends: {run.status}"))
            if run.has_event:
                event, trace = build_run_event(run, self._links), created.traceparent or plan.traceparent
                message_id = put_in_outbox(session, plan.workspace_id, event, trace, run_id=run.id)
                created.add({"messaging.message.id": message_id})
            else:
                created.drop()
            notify_recipients(session, run, self._links)
        if run.started_on is not None:
            seconds = (run.finished_on - run.started_on).total_seconds()
            self.run_seconds.observe(max(0.0, seconds), plan.kind.__tablename__, run.status)
        log.info("%s %s of report %s: %s", plan.kind.__tablename__, run.id, run.report_id, run.status)

    def find_stop_reason(self, plan: RunPlan) -> str | None:
        """Return why a run must not continue; None if it may, or if the database is unavailable."""
        try:
            with self._database.reading() as session:
                status = _find_status(session, plan)
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("cannot check whether run %s was cancelled: %s", plan.id, error)
            return None
        return None if status in UNFINISHED else CANCELLED_ERROR

    @contextmanager
    def _finding_overtaken(self, plan: RunPlan, records: Sequence[BlockRecord]) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            for record in records:
                if self._is_recorded(plan, record.block):
                    raise OvertakenError(
                        f"block {record.block.name!r} of run {plan.id} was recorded by another worker."
                    ) from error
            raise

    def _is_recorded(self, plan: RunPlan, block: PlannedBlock) -> bool:
        with self._database.reading() as session:
            found = select(BlockResult.id).where(_is_of(plan), BlockResult.block_id == block.id)
            return session.scalar(found) is not None

    def list_result_files(self, plan: RunPlan) -> set[str]:
        """List the files of the results that are recorded of a run."""
        with self._database.reading() as session:
            files = session.scalars(select(BlockResult.result_file).where(_is_of(plan)))
            return {file for file in files if file is not None}


def _is_of(plan: RunPlan) -> ColumnElement[bool]:
    return BlockResult.run_id == plan.id if plan.kind is Run else BlockResult.query_run_id == plan.id


@cache
def _build_begin(kind: type[AnyRun]) -> Executable:
    table = get_table(kind)
    unfinished = update(table).where(table.c.id == bindparam("run"), table.c.status.in_(UNFINISHED))
    # Another worker may have begun it.
    first: dict[str, Any] = {
        column: func.coalesce(table.c[column], bindparam(name, type_=table.c[column].type))
        for column, name in (("started_on", "now"), ("report_updated_on", "changed"))
    }
    if kind is StandaloneQueryRun:
        first["texts"] = bindparam("used", type_=table.c.texts.type)
    return unfinished.values(status=RUNNING, **first)


@cache
def _build_change(kind: type[AnyRun]) -> Executable:
    table = get_table(kind)
    return update(table).where(table.c.id == bindparam("run"), table.c.status.in_(UNFINISHED))


def _change(session: Session, plan: RunPlan, **values: Any) -> bool:
    """Change a run if it has not ended, and lock it until the commit."""
    changed = execute_core(session, _build_change(plan.kind), {"run": plan.id, **values})
    return bool(changed.rowcount)


def _lock_unfinished(session: Session, plan: RunPlan) -> bool:
    """Return whether a run has not ended, and lock it until the commit."""
    return _find_status(session, plan, with_for_update=True) in UNFINISHED


def _find_status(session: Session, plan: RunPlan, *, with_for_update: bool = False) -> str | None:
    chosen = _select_status(plan.kind, with_for_update=with_for_update)
    return execute_core(session, chosen, {"run": plan.id}).scalar_one_or_none()


@cache
def _select_status(kind: type[AnyRun], *, with_for_update: bool) -> Executable:
    status = select(kind.status).where(kind.id == bindparam("run"))
    return status.with_for_update() if with_for_update else status


def _build_result(plan: RunPlan, block: PlannedBlock, outcome: ExecutedBlock) -> dict[str, object]:
    return {
        "run_id": plan.id if plan.kind is Run else None,
        "query_run_id": plan.id if plan.kind is StandaloneQueryRun else None,
        "block_id": block.id,
        "block_uid": block.uid,
        "query_id": block.query_id,
        "position": block.position,
        "name": block.name,
        "type": block.type,
        "status": outcome.status,
        "error": outcome.error,
        "output": outcome.output,
        "output_html": outcome.output_html,
        "content_hash": hash_content(block.content),
        "row_count": outcome.row_count,
        "result_file": outcome.result_file,
        "max_rows": outcome.limits.max_rows if outcome.limits else None,
        "timeout_seconds": outcome.limits.timeout_seconds if outcome.limits else None,
        "is_truncated": outcome.is_truncated,
    }


def _add_messages(session: Session, plan: RunPlan, draft: MailDraft | SlackDraft, result_id: int) -> None:
    """Add the messages of a block, which refer to its result."""
    if isinstance(draft, SlackDraft):
        add_slack(session, plan.workspace_id, draft, block_result_id=result_id)
    else:
        recipients, words, files = draft.recipients, draft.words, draft.files
        add_mail(session, plan.workspace_id, recipients, words, files, block_result_id=result_id)


def _write_log(session: Session, plan: RunPlan, *lines: LogLine) -> None:
    """Write to the log of a run of a report; runs of single blocks have none."""
    if plan.kind is Run:
        write_log(session, plan, *lines)


def _describe(record: BlockRecord) -> LogLine:
    block, outcome = record.block, record.outcome
    details = outcome.error or (None if outcome.row_count is None else f"{outcome.row_count} rows")
    if outcome.is_truncated:
        details = f"{details}, cut off at the limit"
    text = f"block {block.name!r}: {outcome.status}" + (f", {details}" if details else "")
    return LogLine(text, "ERROR" if outcome.status == FAILED else "INFO", block.uid)
