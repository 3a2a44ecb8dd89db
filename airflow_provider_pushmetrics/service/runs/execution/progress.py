"""Which blocks of a run are recorded, which are being executed, and since when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from airflow_provider_pushmetrics.service.models import BlockResult, Run
from airflow_provider_pushmetrics.service.models.statuses import FINISHED, PENDING, RUNNING
from airflow_provider_pushmetrics.service.reports.block_graph import PlannedBlock
from airflow_provider_pushmetrics.service.runs.execution.plan import (
    MAX_LOST_WORKERS,
    MAX_PARALLEL_BLOCKS,
    read_block_order,
)


@dataclass(frozen=True)
class BlockProgress:
    """
    The progress of one block in a run.

    :param block_uid: The uid of the block.
    :param started_on: When it began; None if it has not begun, or was not run.
    """

    block_uid: str
    name: str
    type: str
    status: str
    position: int
    error: str | None = None
    row_count: int | None = None
    max_rows: int | None = None
    is_truncated: bool = False
    started_on: datetime | None = None
    finished_on: datetime | None = None


def list_progress(session: Session, run: Run) -> list[BlockProgress]:
    """
    List the blocks of a run in the order of the report.

    Only blocks that have ended are recorded. Which others are being executed follows from the order of
    execution: those of the first wave that is not complete, as many at the same time as a run may execute.
    Values of parameters are not needed: the report may have changed since the run began.
    """
    wanted = select(BlockResult).where(BlockResult.run_id == run.id)
    wanted = wanted.options(defer(BlockResult.output), defer(BlockResult.output_html))
    recorded = {result.block_id: result for result in session.scalars(wanted)}
    rows = [_describe(result) for result in recorded.values()]
    if run.status not in FINISHED:
        order = read_block_order(session, run.report_id)
        is_running = run.status == RUNNING and order.error is None and run.lost_workers < MAX_LOST_WORKERS
        starts = dict(_find_starts(order.waves, recorded, run.started_on)) if is_running else {}
        for wave in order.waves:
            for block in wave:
                if block.id not in recorded:
                    rows.append(_describe_unfinished(block, starts.get(block.id)))
    return sorted(rows, key=lambda row: row.position)


def _find_starts(
    waves: Sequence[Sequence[PlannedBlock]], recorded: Mapping[int, BlockResult], start: datetime | None
) -> Iterator[tuple[int, datetime | None]]:
    """Find the blocks that are being executed, each with the moment at which it could begin."""
    for wave in waves:
        ends = sorted(end for block in wave if (end := _find_end(recorded.get(block.id))) is not None)
        waiting = [(place, block) for place, block in enumerate(wave) if block.id not in recorded]
        for place, block in waiting[:MAX_PARALLEL_BLOCKS]:
            turn = place - MAX_PARALLEL_BLOCKS  # it took the place of the block that ended as this one
            yield block.id, ends[turn] if 0 <= turn < len(ends) else start
        if waiting:
            return
        start = ends[-1] if ends else start


def _find_end(result: BlockResult | None) -> datetime | None:
    return None if result is None else result.finished_on


def _describe(result: BlockResult) -> BlockProgress:
    return BlockProgress(
        block_uid=result.block_uid,
        name=result.name,
        type=result.type,
        status=result.status,
        position=result.position,
        error=result.error,
        row_count=result.row_count,
        max_rows=result.max_rows,
        is_truncated=result.is_truncated,
        started_on=result.started_on,
        finished_on=result.finished_on,
    )


def _describe_unfinished(block: PlannedBlock, started_on: datetime | None) -> BlockProgress:
    status = PENDING if started_on is None else RUNNING
    return BlockProgress(block.uid, block.name, block.type, status, block.position, started_on=started_on)
