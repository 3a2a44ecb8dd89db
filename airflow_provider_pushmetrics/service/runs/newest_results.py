"""The newest result of each block of a report, and whether it still says what the report would give now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, selectinload

from airflow_provider_pushmetrics.service.models import (
    AnyRun,
    Block,
    BlockResult,
    Report,
    Run,
    StandaloneQueryRun,
)
from airflow_provider_pushmetrics.service.reports.block_graph import BlockGraph, hash_content

RunKey: TypeAlias = tuple[int | None, int | None]
"""The id of a run of the report, or that of a run of a single block."""


@dataclass(frozen=True)
class NewestResult:
    """
    The newest result of a block.

    :param run: The run that it is of.
    :param changed: The names of the blocks that were changed since: the block itself, and those that it uses.
    """

    result: BlockResult
    run: AnyRun
    changed: tuple[str, ...]


def find_newest_results(session: Session, report: Report, graph: BlockGraph) -> dict[str, NewestResult]:
    """Find the newest result of each block that has one, by its uid; in few statements for any number."""
    newest = (
        select(func.max(BlockResult.id)).where(BlockResult.block_id == Block.id).correlate(Block)
    ).scalar_subquery()
    ids = [one for one in session.scalars(select(newest).where(Block.report_id == report.id)) if one]
    wanted = select(BlockResult).where(BlockResult.id.in_(ids))
    results = session.scalars(wanted.options(selectinload(BlockResult.messages))).all()
    runs = _read_runs(session, results)
    recorded = _read_hashes(session, results)
    blocks = {block.id: block for block in report.blocks}
    by_name = {block.name: block for block in report.blocks}
    found = {}
    for result in results:
        run = runs.get(_get_key(result))
        if run is None:
            continue
        block = blocks[result.block_id]
        upstream = [by_name[name] for name in graph.find_upstream(block.name)]
        known = recorded[_get_key(result)]
        changed = [one for one in (block, *upstream) if _is_changed(one, known, report, result)]
        changed.sort(key=lambda one: (one is not block, one.position))
        found[block.uid] = NewestResult(result, run, tuple(one.name for one in changed))
    return found


def _is_changed(block: Block, known: Mapping[int, str | None], report: Report, result: BlockResult) -> bool:
    if block.id in known:
        return known[block.id] != hash_content(block.content)
    # Not a part of the run: a query of which only the text is used, or a block that did not exist. What it
    # said is not recorded, so that any later change of the report counts.
    moment = result.started_on or result.finished_on
    return moment is None or report.updated_on > moment


def _get_key(result: BlockResult) -> RunKey:
    return (result.run_id, result.query_run_id)


def _read_runs(session: Session, results: Sequence[BlockResult]) -> dict[RunKey, AnyRun]:
    whole = {one.run_id for one in results if one.run_id is not None}
    single = {one.query_run_id for one in results if one.query_run_id is not None}
    runs: dict[RunKey, AnyRun] = {}
    for run in session.scalars(select(Run).where(Run.id.in_(whole))):
        runs[(run.id, None)] = run
    for alone in session.scalars(select(StandaloneQueryRun).where(StandaloneQueryRun.id.in_(single))):
        runs[(None, alone.id)] = alone
    return runs


def _read_hashes(session: Session, results: Sequence[BlockResult]) -> dict[RunKey, dict[int, str | None]]:
    """Read what the blocks of some runs said when they ran, as hashes by the ids of the blocks."""
    mine = or_(
        BlockResult.run_id.in_({one.run_id for one in results} - {None}),
        BlockResult.query_run_id.in_({one.query_run_id for one in results} - {None}),
    )
    columns = (BlockResult.run_id, BlockResult.query_run_id, BlockResult.block_id, BlockResult.content_hash)
    hashes: dict[RunKey, dict[int, str | None]] = {}
    for run_id, query_run_id, block_id, content_hash in session.execute(select(*columns).where(mine)):
        hashes.setdefault((run_id, query_run_id), {})[block_id] = content_hash
    return hashes
