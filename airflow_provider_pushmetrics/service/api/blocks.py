"""Blocks: creating, showing, changing, deleting and running them, and their results."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeAlias

from fastapi import HTTPException, Path
from sqlalchemy import or_, select
from sqlalchemy.orm import Session, object_session

from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.listing import (
    Listing,
    match_integer,
    match_part,
    match_text,
)
from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND, find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.resources import Resource, rows_of
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    OK,
    Confirmation,
    build_answer,
    build_one,
    wrap,
)
from airflow_provider_pushmetrics.service.api.reports import build_draft
from airflow_provider_pushmetrics.service.api.results import list_messages
from airflow_provider_pushmetrics.service.api.schemas.blocks import (
    BlockChange,
    BlockChoices,
    BlockList,
    BlockResponse,
    BlockResultList,
    BlockResultResponse,
    BlockResultRow,
    BlockRow,
    BlockRunRequest,
    CancelledBlockRun,
    ChangedBlock,
    CreatedBlock,
    PlacedBlock,
    SavedBlock,
    StartedBlockRun,
)
from airflow_provider_pushmetrics.service.models import (
    Block,
    BlockResult,
    DataSource,
    Report,
    StandaloneQueryRun,
)
from airflow_provider_pushmetrics.service.models.statuses import PENDING
from airflow_provider_pushmetrics.service.reports import authoring
from airflow_provider_pushmetrics.service.reports.authoring import check_block_content
from airflow_provider_pushmetrics.service.reports.block_graph import PARAMETER
from airflow_provider_pushmetrics.service.reports.block_types import (
    ContentError,
    check_block_type,
    check_json,
    parse_content,
)
from airflow_provider_pushmetrics.service.reports.choices import list_choices
from airflow_provider_pushmetrics.service.reports.reference_warnings import list_warnings
from airflow_provider_pushmetrics.service.results.links import ResultLinks
from airflow_provider_pushmetrics.service.retention.deleted_folders import record_folders
from airflow_provider_pushmetrics.service.runs.block_submission import accept_query_run, cancel_query_run
from airflow_provider_pushmetrics.service.storage.clock import format_moment
from airflow_provider_pushmetrics.service.storage.database import lock_row
from airflow_provider_pushmetrics.service.storage.ids import MAX_INTEGER_ID, parse_id

router = make_router("/api/v1/block", "block")

RECENT_RESULTS = 10
LAST_RESULT = "last_result"

RunId: TypeAlias = Annotated[str, Path(description="The id of the run of the block", examples=["1"])]
ResultId: TypeAlias = Annotated[
    str, Path(description=f"The id of the result, or `{LAST_RESULT}`", examples=[LAST_RESULT])
]

LISTING = Listing(
    order=Block.id,
    columns={"id": Block.id, "name": Block.name, "type": Block.type},
    conditions={
        ("id", "eq"): match_integer(Block.id, "id"),
        ("type", "eq"): match_text(Block.type),
        ("name", "eq"): match_text(Block.name),
        ("name", "ct"): match_part(Block.name),
        ("report_id", "eq"): match_integer(Block.report_id, "report_id"),
    },
)


def build_block_row(block: Block) -> BlockRow:
    """Build what lists show of a block."""
    return build_answer(
        BlockRow,
        block,
        query_id=block.query.id if block.query else None,
        content_json=_write_content(block),
        report_uid=block.report.uid,
    )


def _write_content(block: Block) -> str:
    """Write the content of a block as JSON, with the uid of its database, as PushMetrics' client needs it."""
    content, session = dict(block.content), object_session(block)
    if isinstance(content.get("database_id"), int) and session is not None:
        source = session.get(DataSource, content["database_id"])
        content["database_id"] = source.uid if source is not None else str(content["database_id"])
    return json.dumps(content, ensure_ascii=False)


def build_saved_block(block: Block) -> SavedBlock:
    """Build a block that was saved, with what may be wrong with its report."""
    return {**build_block_row(block), "warnings": list_warnings(block.report)}


Resource(
    name="block",
    plural="blocks",
    rows=rows_of(Block),
    listing=LISTING,
    build_row=lambda block, _: build_block_row(block),
    list_schema=BlockList,
    schema=BlockResponse,
).add_routes(router)


@router.post("/", status_code=201)
def create_block(wanted: PlacedBlock, parts: Parts, caller: Editor) -> CreatedBlock:
    """Add a block to a report."""
    draft = build_draft(wanted)
    with parts.database.writing() as session:
        if wanted.report_id is None:
            report = authoring.ensure_scratch(session, caller.workspace_id)
        else:
            report = find_by_reference(session, Report, str(wanted.report_id), caller)
        lock_row(session, report)
        saved = build_saved_block(authoring.create_block(session, report, draft))
    return build_one(saved)


@router.get("/{reference}/choices")
def list_block_choices(reference: Reference, parts: Parts, caller: Caller) -> BlockChoices:
    """List the values that a parameter can have: its own, or those of the last result of its query."""
    with parts.database.reading() as session:
        block = find_by_reference(session, Block, reference, caller)
        choices = list_choices(session, parts.results, block)
    return {"result": list(choices.values), "is_complete": choices.is_complete}


@router.put("/{reference}")
def update_block(reference: Reference, wanted: BlockChange, parts: Parts, caller: Editor) -> ChangedBlock:
    """Change the name, the content or the place of a block."""
    changes: dict[str, Any] = {}
    if wanted.name is not None:
        changes["name"] = wanted.name
    if "verbose_name" in wanted.model_fields_set:
        changes["verbose_name"] = wanted.verbose_name
    given = wanted.content if wanted.content is not None else wanted.content_json
    if given is not None:
        changes["content"] = parse_content(given)
    with parts.database.writing() as session:
        block = _lock_block(session, reference, caller)
        if wanted.type is not None and check_block_type(wanted.type) != block.type:
            raise ContentError(f"the block is one of type {block.type!r}: its type cannot change")
        if any(other.name == changes.get("name") and other is not block for other in block.report.blocks):
            raise ContentError(f"the report already has a block called {wanted.name!r}: choose another name")
        authoring.change_block(session, block, changes)
        if wanted.position is not None:
            authoring.move_block(session, block, wanted.position)
        saved = build_saved_block(block)
    return wrap(saved)


@router.delete("/{reference}")
def delete_block(reference: Reference, parts: Parts, caller: Editor) -> Confirmation:
    """Delete a block, with its own runs and their results."""
    with parts.database.writing() as session:
        block = _lock_block(session, reference, caller)
        record_folders(session, StandaloneQueryRun, StandaloneQueryRun.block_id == block.id)
        authoring.delete_block(session, block)
    return OK


@router.post("/{reference}/run")
def run_block(
    reference: Reference, parts: Parts, caller: Editor, wanted: BlockRunRequest | None = None
) -> StartedBlockRun:
    """Start a run of a block and of the blocks that it needs, and return at once."""
    wanted = wanted or BlockRunRequest()
    check_json(wanted.parameters)
    with parts.database.reading() as session:
        block = find_by_reference(session, Block, reference, caller)
        if block.type == PARAMETER:
            raise HTTPException(422, f"Block {block.name!r} is a parameter: there is nothing to run")
        content = None
        if wanted.content_json is not None:
            given = {**block.content, **parse_content(wanted.content_json)}
            content = check_block_content(session, block.report, block.type, given)
    run = accept_query_run(
        parts.database,
        parts.results,
        block.id,
        wanted.parameters,
        content=content,
        limit=parts.pending_limit,
    )
    return {"run_id": run.id}


@router.post("/{reference}/run/{run_id}/cancel")
def cancel_block_run(reference: Reference, run_id: RunId, parts: Parts, caller: Editor) -> CancelledBlockRun:
    """Cancel a run of a block that has not finished. A run that finished with another status gives 409."""
    with parts.database.writing() as session:
        block = find_by_reference(session, Block, reference, caller)
        number = parse_id(run_id)
        run = None if number is None or number > MAX_INTEGER_ID else session.get(StandaloneQueryRun, number)
        if run is None or run.block_id != block.id:
            raise HTTPException(404, NOT_FOUND)
        cancel_query_run(session, run, parts.links)
        cancelled: CancelledBlockRun = {"run_id": run.id, "status": run.status}
    return cancelled


@router.get("/{reference}/results/")
def list_block_results(reference: Reference, parts: Parts, caller: Caller) -> BlockResultList:
    """List the last results of a block, in runs of its report and by itself."""
    with parts.database.reading() as session:
        rows = _find_recent(session, find_by_reference(session, Block, reference, caller), parts.links)
    return {"count": len(rows), "ids": [row["id"] for row in rows], "result": rows}


@router.get("/{reference}/results/{result_id}")
def get_block_result(
    reference: Reference, result_id: ResultId, parts: Parts, caller: Caller
) -> BlockResultResponse:
    """Show one result of a block, or the last one and those before it."""
    with parts.database.reading() as session:
        block = find_by_reference(session, Block, reference, caller)
        if result_id == LAST_RESULT:
            rows = _find_recent(session, block, parts.links)
            return {"result": rows[0] if rows else None, "last_results": rows[1:]}
        number = parse_id(result_id)
        found = None if number is None else session.get(BlockResult, number)
        if found is None or found.block_id != block.id:
            raise HTTPException(404, NOT_FOUND)
        return {"id": found.id, "result": _build_result_row(found, block, parts.links)}


def _lock_block(session: Session, reference: str, caller: Caller) -> Block:
    block = find_by_reference(session, Block, reference, caller)
    lock_row(session, block.report)
    lock_row(session, block)  # another request may have deleted it meanwhile
    return block


def _find_recent(session: Session, block: Block, links: ResultLinks) -> list[BlockResultRow]:
    """Find the newest results; a run of the block alone that has not ended comes first."""
    unfinished = select(StandaloneQueryRun).where(
        StandaloneQueryRun.block_id == block.id,
        or_(
            StandaloneQueryRun.status == PENDING,
            ~StandaloneQueryRun.results.any(BlockResult.block_id == block.id),
        ),
    )
    waiting = session.scalars(unfinished.order_by(StandaloneQueryRun.id.desc()).limit(RECENT_RESULTS))
    newest = select(BlockResult).where(BlockResult.block_id == block.id).order_by(BlockResult.id.desc())
    rows = [_build_waiting_row(run) for run in waiting]
    rows += [
        _build_result_row(result, block, links) for result in session.scalars(newest.limit(RECENT_RESULTS))
    ]
    return rows[:RECENT_RESULTS]


def _build_waiting_row(run: StandaloneQueryRun) -> BlockResultRow:
    return {
        "id": None,
        "run_id": run.id,
        "report_run_id": None,
        "status": run.status,
        "error": run.error,
        "output": None,
        "output_html": None,
        "messages": [],
        "row_count": None,
        "query_result": None,
        "created_on": format_moment(run.created_on),
        "finished_on": format_moment(run.finished_on),
    }


def _build_result_row(result: BlockResult, block: Block, links: ResultLinks) -> BlockResultRow:
    link = None
    if result.query_id is not None:
        if result.run_id is not None:
            link = links.link_query_in_report(block.report_id, result.query_id, result.run_id)
        elif result.query_run_id is not None:
            link = links.link_query(block.report_id, result.query_id, result.query_run_id)
    return build_answer(
        BlockResultRow,
        result,
        run_id=result.query_run_id,
        report_run_id=result.run_id,
        messages=list_messages(result),
        query_result=link,
        created_on=result.started_on or result.finished_on,
    )
