"""What the page of a report shows beside its blocks: their references, newest results and what runs now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import Field
from sqlalchemy import ColumnElement, and_, literal_column, select, union_all
from sqlalchemy.orm import Session, joinedload
from sqlalchemy.sql.base import ExecutableOption
from typing_extensions import TypedDict

from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Moment
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    RequestBody,
    Wrapped,
    answer,
    build_answer,
    wrap,
)
from airflow_provider_pushmetrics.service.api.results import list_messages
from airflow_provider_pushmetrics.service.api.schemas.messages import SentMessage
from airflow_provider_pushmetrics.service.models import AnyRun, Report, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.models.statuses import NOT_RUN, PENDING, RUNNING
from airflow_provider_pushmetrics.service.reports.block_graph import (
    UNSAVED_ID,
    BlockGraph,
    MissingReferences,
    PlannedBlock,
    plan_block,
    read_graph,
)
from airflow_provider_pushmetrics.service.reports.block_types import check_block_type, check_json
from airflow_provider_pushmetrics.service.runs.execution.progress import list_progress
from airflow_provider_pushmetrics.service.runs.newest_results import NewestResult, find_newest_results

router = make_router("/app/notebook")

MAX_DRAFTS = 500
MAX_UID_LENGTH = 64
MAX_NAME_LENGTH = 255

Kind: TypeAlias = Literal["run", "block_run"]

SomeRun = TypeVar("SomeRun", Run, StandaloneQueryRun)


class TypedBlock(RequestBody):
    """A block as it is being written; one that is not saved yet has a uid that no other block has."""

    uid: str = Field(min_length=1, max_length=MAX_UID_LENGTH)
    type: str = Field(max_length=32)
    name: str = Field(min_length=1, max_length=MAX_NAME_LENGTH)
    content: dict[str, Any]


class TypedBlocks(RequestBody):
    """The blocks that are being written."""

    blocks: list[TypedBlock] = Field(max_length=MAX_DRAFTS)


@answer
class BlockReferences(TypedDict):
    """What a block refers to."""

    uid: str
    name: str
    uses: list[str]
    """The blocks that it refers to."""
    upstream: list[str]
    """The blocks that it uses, directly and indirectly."""
    unknown: list[str]
    """Names that no block has; a trigger may give a value for some of them."""


@answer
class ReportReferences(TypedDict):
    """The references between the blocks of a report."""

    blocks: list[BlockReferences]
    circle: list[str]
    """The blocks with circular references, the first of them also last; empty if there are none."""


@answer
class NewestBlockResult(TypedDict):
    """The newest result of a block."""

    block_uid: str
    name: str
    type: str
    kind: Kind
    run_id: int
    status: str
    error: str | None
    output: str | None
    """Its text; none for a chart, whose specification has its rows and is a file of its own."""
    output_html: str | None
    messages: list[SentMessage]
    row_count: int | None
    max_rows: int | None
    is_truncated: bool
    started_on: Moment | None
    finished_on: Moment | None
    parameters: dict[str, Any]
    """The values with which the run was started."""
    changed: list[str]
    """The blocks that were changed since: the block itself comes first, then those that it uses."""
    gone: list[str]
    """The names of blocks that it used and that were renamed or deleted since."""


@answer
class UnfinishedBlock(TypedDict):
    """A block that runs now, or waits for its turn."""

    block_uid: str
    name: str
    kind: Kind
    run_id: int
    status: str
    started_on: Moment | None


@answer
class Notebook(TypedDict):
    """The state of the blocks of a report."""

    references: ReportReferences
    results: list[NewestBlockResult]
    unfinished: list[UnfinishedBlock]


@router.get("/{reference}")
def show_notebook(reference: str, parts: Parts, caller: Caller) -> Wrapped[Notebook]:
    """Show the references, the newest results and the unfinished runs of the blocks of a report."""
    with parts.database.reading() as session:
        report = find_by_reference(session, Report, reference, caller)
        blocks = [plan_block(block) for block in report.blocks]
        graph = read_graph(blocks)
        found = find_newest_results(session, report, graph)
        return wrap(
            Notebook(
                references=_build_references(blocks, graph),
                results=[build_newest_result(found[block.uid]) for block in blocks if block.uid in found],
                unfinished=[*_list_unfinished(session, report)],
            )
        )


@router.post("/{reference}/references")
def read_references(
    reference: str, wanted: TypedBlocks, parts: Parts, caller: Caller
) -> Wrapped[ReportReferences]:
    """Read the references of the blocks of a report, with some of them as they are being written."""
    with parts.database.reading() as session:
        report = find_by_reference(session, Report, reference, caller)
        blocks = [plan_block(block) for block in report.blocks]
    blocks = _put_in(blocks, wanted.blocks)
    return wrap(_build_references(blocks, read_graph(blocks)))


def _put_in(blocks: Sequence[PlannedBlock], typed: Iterable[TypedBlock]) -> list[PlannedBlock]:
    """
    Put blocks in place of those that they are written for.

    Of several with one name, one that nobody writes counts first, then one that is saved, then the last.
    """
    unchanged = {block.uid: block for block in blocks}
    placed = dict(unchanged)
    for place, one in enumerate(typed):
        check_json(one.content)
        old = placed.get(one.uid)
        placed[one.uid] = PlannedBlock(
            id=old.id if old else UNSAVED_ID,
            uid=one.uid,
            position=old.position if old else len(blocks) + place,
            name=one.name,
            type=check_block_type(one.type),
            content=one.content,
            query_id=None,
        )

    def rank(block: PlannedBlock) -> int:
        return (block.uid in unchanged) + (unchanged.get(block.uid) is block)

    counting = {block.name: block for block in sorted(placed.values(), key=rank)}
    return [block for block in placed.values() if counting[block.name] is block]


def _build_references(blocks: Sequence[PlannedBlock], graph: BlockGraph) -> ReportReferences:
    return {
        "blocks": [
            {
                "uid": block.uid,
                "name": block.name,
                "uses": sorted(graph.uses[block.name]),
                "upstream": sorted(graph.find_upstream(block.name)),
                "unknown": _list_unknown(graph.missing.get(block.name, MissingReferences())),
            }
            for block in blocks
        ],
        "circle": list(graph.circle),
    }


def _list_unknown(missing: MissingReferences) -> list[str]:
    return sorted(missing.names | missing.queries)


def build_newest_result(found: NewestResult) -> NewestBlockResult:
    """Build what a page shows of a result; the reason of a block that was not run may be that of its run."""
    result = found.result
    return build_answer(
        NewestBlockResult,
        result,
        error=result.error or (found.run.error if result.status == NOT_RUN else None),
        output=found.output,
        kind="run" if isinstance(found.run, Run) else "block_run",
        run_id=found.run.id,
        messages=list_messages(result),
        parameters=found.run.given_parameters,
        changed=list(found.changed),
        gone=list(found.gone),
    )


def _list_unfinished(session: Session, report: Report) -> Iterable[UnfinishedBlock]:
    """
    List the unfinished blocks of the newest runs of the report, and of the runs of single blocks.

    Those that a worker executes come last of their kind: the page shows the last one of a block.
    """
    for run in _read_unfinished(session, Run, report, newest=1):
        for block in list_progress(session, run):
            if block.finished_on is None and block.status in (PENDING, RUNNING):
                yield build_answer(UnfinishedBlock, block, kind="run", run_id=run.id)
    options = joinedload(StandaloneQueryRun.block)
    for one in _read_unfinished(session, StandaloneQueryRun, report, options):
        if one.finished_on is None:  # otherwise it has just ended
            yield build_answer(UnfinishedBlock, one, name=one.block_name, kind="block_run", run_id=one.id)


def _read_unfinished(
    session: Session,
    kind: type[SomeRun],
    report: Report,
    *options: ExecutableOption,
    newest: int | None = None,
) -> list[SomeRun]:
    """
    Read the unfinished runs of a report: first those that wait, then those that are executed, by their age.

    They are found by one statement: between two, a worker may claim one or give it back.

    :param newest: How many of each; by default all.
    """
    parts = []
    for place, condition in enumerate((_is_waiting(kind, report), _is_claimed(kind, report))):
        columns: tuple[Any, ...] = (
            literal_column(str(place)).label("place"),
            kind.created_on,
            kind.id,
        )
        mine = select(*columns).where(condition).order_by(kind.created_on.desc()).limit(newest)
        parts.append(select(mine.subquery()))
    ids = [run_id for _, _, run_id in sorted(tuple(row) for row in session.execute(union_all(*parts)))]
    rows = {row.id: row for row in session.scalars(select(kind).where(kind.id.in_(ids)).options(*options))}
    return [rows[run_id] for run_id in ids if run_id in rows]


def _is_waiting(kind: type[AnyRun], report: Report) -> ColumnElement[bool]:
    """Build the condition of the runs of a report that no worker has claimed, as their index has it."""
    own = and_(kind.workspace_id == report.workspace_id, kind.report_id == report.id)
    return and_(own, kind.worker_id.is_(None), kind.finished_on.is_(None))


def _is_claimed(kind: type[AnyRun], report: Report) -> ColumnElement[bool]:
    """
    Build the condition of the runs of a report that workers execute, of which there are few of any report.

    The sum keeps databases from an index of the report, which has all its finished runs.
    """
    own = kind.report_id + 0 == report.id
    return and_(own, kind.worker_id.is_not(None), kind.finished_on.is_(None))
