"""Records the progress of runs: their start, the result of each block, and their end."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload, selectinload

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.models import AnyRun, BlockResult, Report, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.models.statuses import (
    CANCELLED_ERROR,
    FAILED,
    FINISHED,
    PENDING,
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
from airflow_provider_pushmetrics.service.runs.log import write_log
from airflow_provider_pushmetrics.service.runs.notices import notify_recipients
from airflow_provider_pushmetrics.service.storage.clock import Clock
from airflow_provider_pushmetrics.service.storage.database import Database, is_unavailable
from airflow_provider_pushmetrics.service.webhooks.event_outbox import (
    QUERY_RUN,
    REPORT_RUN,
    build_query_run,
    build_report_run,
    put_in_outbox,
)
from airflow_provider_pushmetrics.serving.metrics import LONG_SECONDS, Histogram
from airflow_provider_pushmetrics.serving.traces import span

log = logging.getLogger(__name__)

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
            run = cast("AnyRun | None", session.get(kind, run_id, options=[joinedload(kind.report)]))
            if run is None or run.status in FINISHED:
                return None
            plan = read_plan(session, run)
        if plan is None:
            return None
        with self._database.recording() as session:
            started_on = func.coalesce(kind.started_on, self._clock())  # another worker may have begun it
            if not _change(session, plan, status=RUNNING, started_on=started_on):
                return None
            if kind is Run:
                write_log(session, plan, "the run begins" if run.status == PENDING else "the run continues")
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

    def _add_result(self, session: Session, plan: RunPlan, record: BlockRecord) -> None:
        block, outcome = record.block, record.outcome
        if plan.kind is Run:
            level = "ERROR" if outcome.status == FAILED else "INFO"
            write_log(session, plan, _describe(block, outcome), level=level, block_uid=block.uid)
        result = _build_result(plan, block, outcome)
        result.started_on, result.finished_on = record.started_on, self._clock()
        session.add(result)
        session.flush()  # messages refer to the result by its id
        if outcome.draft is not None:
            _add_messages(session, plan, outcome.draft, result)

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
            run = _read_whole(session, plan)
            if isinstance(run, Run):
                write_log(session, plan, f"the run ends: {run.status}")
                event, trace = build_report_run(run, self._links), created.traceparent or run.traceparent
                message_id = put_in_outbox(session, plan.workspace_id, event, trace, run_id=run.id)
                created.add({"messaging.message.id": message_id})
            elif run.query_id is not None:
                event, trace = build_query_run(run, self._links), created.traceparent
                message_id = put_in_outbox(session, plan.workspace_id, event, trace, run_id=run.id)
                created.add({"messaging.message.id": message_id})
            else:
                created.drop()
            notify_recipients(session, run, self._links)
        if run.started_on is not None and run.finished_on is not None:
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
        mine: ColumnElement[bool] = (
            BlockResult.run_id == plan.id if plan.kind is Run else BlockResult.query_run_id == plan.id
        )
        with self._database.reading() as session:
            found = select(BlockResult.id).where(mine, BlockResult.block_id == block.id)
            return session.scalar(found) is not None


def _change(session: Session, plan: RunPlan, **values: Any) -> bool:
    """Change a run if it has not ended, and lock it until the commit."""
    unfinished = update(plan.kind).where(plan.kind.id == plan.id, plan.kind.status.in_(UNFINISHED))
    changed = session.execute(unfinished.values(**values).execution_options(synchronize_session=False))
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def _lock_unfinished(session: Session, plan: RunPlan) -> bool:
    """Return whether a run has not ended, and lock it until the commit."""
    return _find_status(session, plan, with_for_update=True) in UNFINISHED


def _find_status(session: Session, plan: RunPlan, *, with_for_update: bool = False) -> str | None:
    status = select(plan.kind.status).where(plan.kind.id == plan.id)
    return session.scalar(status.with_for_update() if with_for_update else status)


def _read_whole(session: Session, plan: RunPlan) -> AnyRun:
    """Read a run with the data of its event and notifications."""
    kind = plan.kind
    whole = [joinedload(kind.report).joinedload(Report.workspace), selectinload(kind.results)]
    if kind is StandaloneQueryRun:
        whole.append(joinedload(StandaloneQueryRun.block))
    return cast("AnyRun", session.get_one(kind, plan.id, options=whole))


def _build_result(plan: RunPlan, block: PlannedBlock, outcome: ExecutedBlock) -> BlockResult:
    return BlockResult(
        run_id=plan.id if plan.kind is Run else None,
        query_run_id=plan.id if plan.kind is StandaloneQueryRun else None,
        block_id=block.id,
        block_uid=block.uid,
        query_id=block.query_id,
        position=block.position,
        name=block.name,
        type=block.type,
        status=outcome.status,
        error=outcome.error,
        output=outcome.output,
        output_html=outcome.output_html,
        content_hash=hash_content(block.content),
        row_count=outcome.row_count,
        result_file=outcome.result_file,
        max_rows=outcome.limits.max_rows if outcome.limits else None,
        timeout_seconds=outcome.limits.timeout_seconds if outcome.limits else None,
        is_truncated=outcome.is_truncated,
    )


def _add_messages(
    session: Session, plan: RunPlan, draft: MailDraft | SlackDraft, result: BlockResult
) -> None:
    if isinstance(draft, SlackDraft):
        add_slack(session, plan.workspace_id, draft, block_result=result)
    else:
        add_mail(session, plan.workspace_id, draft.recipients, draft.words, draft.files, block_result=result)


def _describe(block: PlannedBlock, outcome: ExecutedBlock) -> str:
    details = outcome.error or (None if outcome.row_count is None else f"{outcome.row_count} rows")
    if outcome.is_truncated:
        details = f"{details}, cut off at the limit"
    return f"block {block.name!r}: {outcome.status}" + (f", {details}" if details else "")
