"""The newest result of each block of a report, and whether it still says what the report would give now."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import Executable, or_, select, union_all
from sqlalchemy.orm import Session, defer, selectinload

from airflow_provider_pushmetrics.service.models import (
    AnyRun,
    Block,
    BlockResult,
    Report,
    Run,
    StandaloneQueryRun,
)
from airflow_provider_pushmetrics.service.reports.block_graph import (
    CHART,
    BlockGraph,
    PlannedBlock,
    hash_content,
    place_unsaved,
    plan_block,
    read_graph,
)

RunKey: TypeAlias = tuple[int | None, int | None]
"""The id of a run of the report, or that of a run of a single block."""


CANDIDATES = 5
"""How many of the last results of a block are looked at for that of the newest run."""

MAX_UNION = 100
"""How many blocks one statement looks at: databases limit its parts."""


@dataclass(frozen=True)
class NewestResult:
    """
    The newest result of a block.

    :param run: The run that it is of.
    :param output: Its text; None for a chart, whose specification has all its rows.
    :param changed: The names of the blocks that were changed since: the block itself, and those that it uses.
    :param gone: The names of blocks that it used and that were renamed or deleted since.
    """

    result: BlockResult
    run: AnyRun
    output: str | None
    changed: tuple[str, ...]
    gone: tuple[str, ...] = ()


def find_newest_results(session: Session, report: Report, graph: BlockGraph) -> dict[str, NewestResult]:
    """Find the newest result of each block that has one, by its uid; in few statements for any number."""
    blocks = {block.id: block for block in report.blocks}
    by_name = {block.name: block for block in report.blocks}
    results = _read_newest(session, list(blocks))
    runs = _read_runs(session, results)
    recorded = _read_recorded(session, results, runs)
    texts = _read_texts(session, results)
    found = {}
    for result in results:
        run, known = runs.get(_get_key(result)), recorded.get(_get_key(result))
        if run is None or known is None:
            continue  # it was deleted since the results were read
        block = blocks[result.block_id]
        upstream = [by_name[name] for name in graph.find_upstream(block.name)]
        changed = [one for one in (block, *upstream) if _is_changed(one, known.hashes, report, run)]
        changed.sort(key=lambda one: (one is not block, one.position))
        names = tuple(one.name for one in changed)
        gone = _list_gone(graph, block.name, known.names)
        found[block.uid] = NewestResult(result, run, texts.get(result.id), names, gone)
    return found


def compare_unsaved_result(
    session: Session, result: BlockResult, run: StandaloneQueryRun, block: PlannedBlock
) -> NewestResult:
    """Find out whether the blocks that an unsaved block used in a run are still the same."""
    report = run.report
    saved = [one for one in report.blocks if one.name != block.name]
    graph = read_graph(place_unsaved([plan_block(one) for one in saved], block))
    known = _read_recorded(session, [result], {(None, run.id): run}).get((None, run.id), RecordedBlocks())
    upstream = graph.find_upstream(block.name)
    used = (one for one in saved if one.name in upstream)
    changed = tuple(one.name for one in used if _is_changed(one, known.hashes, report, run))
    output = None if result.type == CHART else result.output
    return NewestResult(result, run, output, changed, _list_gone(graph, block.name, known.names))


def _read_newest(session: Session, block_ids: Sequence[int]) -> Sequence[BlockResult]:
    """Read the result of the newest run of each block; a run that took longer may have ended after it."""
    candidates = [row for part in _divide(block_ids) for row in session.execute(_select_last(part))]
    started = _read_starts(session, Run, {row.run_id for row in candidates} - {None})
    alone = _read_starts(session, StandaloneQueryRun, {row.query_run_id for row in candidates} - {None})
    newest: dict[int, tuple[datetime, int]] = {}
    for row in candidates:
        moment = started.get(row.run_id) or alone.get(row.query_run_id)
        if moment is not None:
            newest[row.block_id] = max(newest.get(row.block_id, (moment, 0)), (moment, row.id))
    wanted = select(BlockResult).where(BlockResult.id.in_([result for _, result in newest.values()]))
    options = (selectinload(BlockResult.messages), defer(BlockResult.output))
    return session.scalars(wanted.options(*options)).all()


def _divide(block_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(block_ids), MAX_UNION):
        yield block_ids[start : start + MAX_UNION]


def _select_last(block_ids: Sequence[int]) -> Executable:
    """Select the last results of each block, by its index, however many results there are."""
    columns = (BlockResult.id, BlockResult.block_id, BlockResult.run_id, BlockResult.query_run_id)
    parts = []
    for block_id in block_ids:
        mine = select(*columns).where(BlockResult.block_id == block_id)
        parts.append(select(mine.order_by(BlockResult.id.desc()).limit(CANDIDATES).subquery()))
    return union_all(*parts)


def _read_starts(session: Session, kind: type[AnyRun], ids: Collection[int]) -> dict[int | None, datetime]:
    return {
        run_id: moment
        for run_id, moment in session.execute(select(kind.id, kind.created_on).where(kind.id.in_(ids)))
    }


def _is_changed(block: Block, known: Mapping[int, str | None], report: Report, run: AnyRun) -> bool:
    if block.id in known:
        return known[block.id] != hash_content(block.content)
    # Not a part of the run: the block did not exist, or was not used. Any later change of the report counts.
    return report.updated_on != run.report_updated_on


def _list_gone(graph: BlockGraph, name: str, recorded: Collection[str]) -> tuple[str, ...]:
    """
    List the names that a block used in a run, directly or indirectly, and that no block has any more.

    :param recorded: The names of the blocks of the run.
    """
    absent = [graph.absent.get(one, frozenset()) for one in (name, *graph.find_upstream(name))]
    return tuple(sorted(frozenset().union(*absent).intersection(recorded)))


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


def _read_texts(session: Session, results: Sequence[BlockResult]) -> dict[int, str | None]:
    """Read the texts of results by their ids: what a chart draws may be as large as a result can be."""
    ids = [one.id for one in results if one.type != CHART]
    columns = (BlockResult.id, BlockResult.output)
    return {id_: text for id_, text in session.execute(select(*columns).where(BlockResult.id.in_(ids)))}


@dataclass(frozen=True)
class RecordedBlocks:
    """
    The blocks of a run, as they were when they ran.

    :param hashes: What they said, by their ids.
    """

    hashes: dict[int, str | None] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


def _read_recorded(
    session: Session, results: Sequence[BlockResult], runs: Mapping[RunKey, AnyRun]
) -> dict[RunKey, RecordedBlocks]:
    """Read which blocks some runs had, and what they said when they ran."""
    mine = or_(
        BlockResult.run_id.in_({one.run_id for one in results} - {None}),
        BlockResult.query_run_id.in_({one.query_run_id for one in results} - {None}),
    )
    columns = (
        *(BlockResult.run_id, BlockResult.query_run_id),
        *(BlockResult.block_id, BlockResult.name, BlockResult.content_hash),
    )
    found: dict[RunKey, RecordedBlocks] = {}
    for row in session.execute(select(*columns).where(mine)):
        one = found.setdefault((row.run_id, row.query_run_id), RecordedBlocks())
        one.hashes[row.block_id] = row.content_hash
        one.names.add(row.name)
    for key, run in runs.items():
        texts = run.texts if isinstance(run, StandaloneQueryRun) else None
        for block_id, (name, content_hash) in (texts or {}).items():
            one = found.setdefault(key, RecordedBlocks())
            one.hashes[int(block_id)] = content_hash
            one.names.add(name)
    return found
