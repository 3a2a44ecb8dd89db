"""The plan of a run, read from the database once, and the outcomes of its blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Executable, bindparam, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.models import (
    AnyRun,
    Block,
    BlockResult,
    Query,
    Report,
    Run,
)
from airflow_provider_pushmetrics.service.models.statuses import FAILED, FINISHED, PENDING, SUCCESS
from airflow_provider_pushmetrics.service.notifications.message_outbox import MailDraft, SlackDraft
from airflow_provider_pushmetrics.service.reports.block_graph import (
    CHART,
    PARAMETER,
    SQL,
    UNSAVED_ID,
    PlanError,
    PlannedBlock,
    place_unsaved,
    plan_unsaved,
    plan_waves,
    read_graph,
    select_with_needs,
)
from airflow_provider_pushmetrics.service.results.files.base import PICTURES_ENDING, ROWS_ENDING
from airflow_provider_pushmetrics.service.storage.database import execute_core
from airflow_provider_pushmetrics.service.storage.ids import generate_uid
from airflow_provider_pushmetrics.serving.parameter_types import Parameter

MAX_RECORDED_ERROR_LENGTH = 4000

SELECT_BLOCKS = (
    select(
        *(Block.id, Block.uid, Block.position, Block.name, Block.type, Block.content),
        Query.id.label("query_id"),
    )
    .outerjoin(Query)
    .where(Block.report_id == bindparam("report_id"))
    .order_by(Block.position)
)

MAX_PARALLEL_BLOCKS = 4
"""How many blocks of a wave a run executes at the same time."""

MAX_LOST_WORKERS = 3
"""A run that has lost this many workers without progress is not executed again."""


@dataclass(frozen=True)
class ExecutedBlock:
    """
    The outcome of one block.

    :param result_file: The file with the rows of a query, or with the pictures of a chart.
    :param value: A parameter's value, for the templates of other blocks.
    :param limits: The limits of a query.
    :param is_truncated: Whether its result was truncated at the row limit.
    :param output_html: The output as sanitized HTML, of a block with Markdown.
    :param draft: The messages that are added to the outbox with the result.
    """

    status: str
    error: str | None = None
    output: str | None = None
    row_count: int | None = None
    result_file: str | None = None
    value: Any = None
    limits: QueryLimits | None = None
    is_truncated: bool = False
    output_html: str | None = None
    draft: MailDraft | SlackDraft | None = None


@dataclass(frozen=True)
class RunPlan:
    """
    Everything that is needed to execute a run, read from the database once.

    :param flow_run_id: The id of its log.
    :param waves: The blocks, grouped into waves that run concurrently.
    :param texts: The queries that it does not execute, and whose text other blocks use.
    :param outcomes: The outcomes of the blocks so far; grows during the run.
    :param lost_workers: How many workers died while they executed it, since its last progress.
    :param time_zone: The report's time zone, for its queries.
    :param traceparent: The trace of what started it.
    :param report_updated_on: When the report was last changed, before its blocks were read.
    :param is_continued: Whether it had begun before.
    :param lost_failures: The failures of blocks that were deleted after they had failed in this run.
    """

    kind: type[AnyRun]
    id: int
    workspace_id: int
    waves: Sequence[Sequence[PlannedBlock]]
    parameters: Mapping[str, Any]
    given_parameters: Mapping[str, Any]
    texts: Sequence[PlannedBlock] = ()
    outcomes: dict[str, ExecutedBlock] = field(default_factory=dict)
    error: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    flow_run_id: str | None = None
    lost_workers: int = 0
    time_zone: str = "UTC"
    report_id: int = 0
    traceparent: str | None = None
    report_updated_on: datetime | None = None
    is_continued: bool = False
    lost_failures: list[str] = field(default_factory=list)

    @property
    def blocks(self) -> list[PlannedBlock]:
        """All blocks, in the report's order."""
        return sorted((block for wave in self.waves for block in wave), key=lambda block: block.position)

    def name_result_file(self, block: PlannedBlock) -> str:
        """
        Name the file for the rows, or the pictures, of a block, differently each time.

        A worker that others took for dead must not replace what was recorded.
        """
        ending = PICTURES_ENDING if block.type == CHART else ROWS_ENDING
        return f"{name_result_folder(self.kind, self.id)}/{block.uid}-{generate_uid()}{ending}"


def name_result_folder(kind: type[AnyRun], run_id: int) -> str:
    """Name the folder of all results of a run."""
    return f"{'run' if kind is Run else 'query-run'}-{run_id}"


@dataclass(frozen=True)
class BlockOrder:
    """
    The blocks of a report in the order of execution.

    :param waves: The blocks, grouped into waves that run concurrently.
    :param error: Why they cannot be executed, if so; all blocks are then in one wave.
    """

    waves: Sequence[Sequence[PlannedBlock]]
    error: str | None = None


def read_block_order(
    session: Session,
    report_id: int,
    own: Mapping[int, Mapping[str, Any] | None] | None = None,
    unsaved: PlannedBlock | None = None,
) -> BlockOrder:
    """
    Read the blocks of a report in the order of execution.

    :param own: What replaces the contents of some, by their id.
    :param unsaved: A block that the report does not have.
    """
    blocks = _read_blocks(session, report_id, own)
    if unsaved is not None:
        blocks = place_unsaved(blocks, unsaved)
    try:
        return BlockOrder(plan_waves(blocks))
    except PlanError as error:
        return BlockOrder([blocks], str(error))


def read_plan(session: Session, kind: type[AnyRun], run_id: int) -> RunPlan | None:
    """Read a run: its plan, and the outcomes recorded before an interruption; None if it has ended."""
    run = execute_core(session, _select_run(kind), {"run_id": run_id}).one_or_none()
    if run is None or run.status in FINISHED:
        return None
    found: Any = run
    order = _read_own_order(session, kind, found)
    waves = order.waves
    names = {block.id: block.name for wave in waves for block in wave}
    texts: list[PlannedBlock] = []
    if kind is not Run:
        own_id = UNSAVED_ID if found.unsaved_block else found.block_id
        if own_id not in names:
            return None  # its block was just deleted, and the run with it
        waves = select_with_needs(waves, names[own_id])
        texts = _list_texts(order.waves, waves, names[own_id])
    plan = RunPlan(
        kind=kind,
        id=run_id,
        workspace_id=found.workspace_id,
        waves=waves,
        texts=texts,
        parameters=found.parameters,
        given_parameters=found.given_parameters,
        error=order.error,
        options=(found.options or {}) if kind is Run else {},
        flow_run_id=found.flow_run_id if kind is Run else None,
        time_zone=found.time_zone,
        report_id=found.report_id,
        traceparent=found.traceparent if kind is Run else None,
        lost_workers=found.lost_workers,
        report_updated_on=found.report_updated_on,
        is_continued=found.status != PENDING,
    )
    if plan.is_continued:
        _restore_outcomes(plan, _read_results(session, plan), names)
    if plan.lost_workers >= MAX_LOST_WORKERS:
        return replace(plan, error=_describe_losses(plan))
    return plan


def _list_texts(
    waves: Sequence[Sequence[PlannedBlock]], executed: Sequence[Sequence[PlannedBlock]], name: str
) -> list[PlannedBlock]:
    """List the queries that a block uses, directly or indirectly, and that are not executed for it."""
    blocks = [block for wave in waves for block in wave]
    used = read_graph(blocks).find_upstream(name)
    ids = {block.id for wave in executed for block in wave}
    return [one for one in blocks if one.type == SQL and one.name in used and one.id not in ids]


def _read_own_order(session: Session, kind: type[AnyRun], found: Any) -> BlockOrder:
    """Read the order of execution for a run, with what it runs in place of what is saved."""
    if kind is Run:
        return read_block_order(session, found.report_id)
    if not found.unsaved_block:
        return read_block_order(session, found.report_id, {found.block_id: found.content})
    unsaved = plan_unsaved(found.content, **found.unsaved_block)
    return read_block_order(session, found.report_id, unsaved=unsaved)


@cache
def _select_run(kind: type[AnyRun]) -> Executable:
    """Select what a plan needs of a run. It is built once, which saves a third."""
    columns: list[Any] = [kind.status, kind.workspace_id, kind.report_id, kind.lost_workers]
    columns += [kind.parameters, kind.given_parameters, Report.time_zone]
    columns.append(Report.updated_on.label("report_updated_on"))
    if issubclass(kind, Run):
        columns += [kind.options, kind.flow_run_id, kind.traceparent]
    else:
        columns += [kind.block_id, kind.content, kind.unsaved_block]
    joined = select(*columns).join(Report, Report.id == kind.report_id)
    return joined.where(kind.id == bindparam("run_id"))


def _describe_losses(plan: RunPlan) -> str:
    pending = ([block.name for block in wave if block.name not in plan.outcomes] for wave in plan.waves)
    names = next(filter(None, pending), [])
    return (
        f"{plan.lost_workers} workers died while they executed this run, the last one at"
        f" {', '.join(names) or 'its end'}. It is not executed again: let its queries return less, or give"
        " the workers more memory."
    )


def _read_blocks(
    session: Session, report_id: int, own: Mapping[int, Mapping[str, Any] | None] | None
) -> list[PlannedBlock]:
    """
    Read the blocks of a report.

    :param own: What replaces the contents of some, by their id.
    """
    rows = execute_core(session, SELECT_BLOCKS, {"report_id": report_id})
    blocks = [PlannedBlock(**row._asdict()) for row in rows]
    return [
        block if (content := (own or {}).get(block.id)) is None else replace(block, content=content)
        for block in blocks
    ]


def _read_results(session: Session, plan: RunPlan) -> Iterable[BlockResult]:
    mine = BlockResult.run_id == plan.id if plan.kind is Run else BlockResult.query_run_id == plan.id
    return session.scalars(select(BlockResult).where(mine))


def _restore_outcomes(plan: RunPlan, recorded: Iterable[BlockResult], names: Mapping[int, str]) -> None:
    """
    Restore the outcomes of an interrupted run. A parameter's value is not recorded but computed again.

    A parameter that was changed may not accept its value any more: then it has failed, and the run ends.
    """
    by_name = {block.name: block for block in plan.blocks}
    for result in recorded:
        block = by_name.get(names.get(result.block_id, ""))
        if block is None:
            if result.status == FAILED:
                plan.lost_failures.append(_describe_failure(result.name, result.error))
            continue
        if block.type == PARAMETER and result.status == SUCCESS:
            plan.outcomes[block.name] = _resolve_again(plan, block)
            continue
        plan.outcomes[block.name] = ExecutedBlock(
            status=result.status,
            error=result.error,
            output=result.output,
            row_count=result.row_count,
            result_file=result.result_file,
            limits=_restore_limits(result),
            is_truncated=result.is_truncated,
        )


def _resolve_again(plan: RunPlan, block: PlannedBlock) -> ExecutedBlock:
    try:
        return resolve_parameter(plan, block)
    except PushMetricsError as error:
        return ExecutedBlock(FAILED, error=str(error)[:MAX_RECORDED_ERROR_LENGTH])


def _restore_limits(result: BlockResult) -> QueryLimits | None:
    if result.max_rows is None or result.timeout_seconds is None:
        return None
    return QueryLimits(result.max_rows, result.timeout_seconds)


def resolve_parameter(plan: RunPlan, block: PlannedBlock) -> ExecutedBlock:
    """
    Resolve the value of a Parameter block.

    :raises PushMetricsError: if it has none, or one of the wrong type.
    """
    parameter = Parameter.read(block.name, block.content)
    return ExecutedBlock(SUCCESS, value=parameter.convert(plan.parameters.get(block.name)))


def summarize_failures(plan: RunPlan) -> str | None:
    """Describe which blocks failed, and why; None if none did."""
    failures = plan.lost_failures + [
        _describe_failure(block.name, outcome.error)
        for block in plan.blocks
        if (outcome := plan.outcomes.get(block.name)) is not None and outcome.status == FAILED
    ]
    return "; ".join(failures)[:MAX_RECORDED_ERROR_LENGTH] or None


def _describe_failure(name: str, error: str | None) -> str:
    return f"block {name!r}: {error}"
