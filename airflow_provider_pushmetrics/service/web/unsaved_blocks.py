"""Runs of blocks that are being written and that their report does not have yet."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import HTTPException, Path
from pydantic import Field
from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND, find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    OK,
    Confirmation,
    RequestBody,
    Wrapped,
    answer,
    wrap,
)
from airflow_provider_pushmetrics.service.api.reports import build_draft
from airflow_provider_pushmetrics.service.api.schemas.blocks import CancelledBlockRun, NewBlock
from airflow_provider_pushmetrics.service.models import Block, Report, StandaloneQueryRun
from airflow_provider_pushmetrics.service.reports.authoring import check_block_content
from airflow_provider_pushmetrics.service.reports.block_graph import PARAMETER
from airflow_provider_pushmetrics.service.reports.block_types import (
    ContentError,
    check_block_type,
    check_json,
)
from airflow_provider_pushmetrics.service.runs.block_submission import (
    accept_unsaved_run,
    cancel_query_run,
    find_own_block,
    give_run,
)
from airflow_provider_pushmetrics.service.runs.newest_results import compare_unsaved_result
from airflow_provider_pushmetrics.service.runs.submission import build_result
from airflow_provider_pushmetrics.service.storage.ids import MAX_INTEGER_ID, parse_id
from airflow_provider_pushmetrics.service.web.notebook import NewestBlockResult, build_newest_result

router = make_router("/app/notebook/{reference}/block_runs")

RunId: TypeAlias = Annotated[str, Path(description="The id of the run")]


class UnsavedBlock(NewBlock):
    """A block that is being written, and the values with which it runs."""

    parameters: dict[str, Any] = Field(default_factory=dict)


class BlockOfRun(RequestBody):
    """The block that was saved."""

    block_uid: str


@answer
class StartedUnsavedRun(TypedDict):
    """A run that was started, and the uid that the block has in it."""

    run_id: int
    block_uid: str


@router.post("")
def run_unsaved_block(
    reference: str, wanted: UnsavedBlock, parts: Parts, caller: Editor
) -> Wrapped[StartedUnsavedRun]:
    """Start a run of a block that is not saved, and of the blocks that it needs."""
    check_json(wanted.parameters)
    draft = build_draft(wanted)
    kind = check_block_type(draft.type)
    if kind == PARAMETER:
        raise HTTPException(422, f"Block {draft.name!r} is a parameter: there is nothing to run")
    with parts.database.reading() as session:
        report = find_by_reference(session, Report, reference, caller)
        if any(block.name == draft.name for block in report.blocks):
            raise ContentError(f"the report already has a block called {draft.name!r}: choose another name")
        content = check_block_content(session, report, kind, draft.content)
    run_id, uid = accept_unsaved_run(
        parts.database,
        parts.results,
        report.id,
        wanted.parameters,
        kind=kind,
        name=draft.name,
        content=content,
        limit=parts.pending_limit,
    )
    return wrap(StartedUnsavedRun(run_id=run_id, block_uid=uid))


@router.get("/{run_id}")
def show_block_run(
    reference: str, run_id: RunId, parts: Parts, caller: Caller
) -> Wrapped[NewestBlockResult | None]:
    """Show the result of a run of a block that was not saved; nothing until it has ended."""
    with parts.database.reading() as session:
        run = _find_run(session, reference, run_id, caller)
        if run.finished_on is None:
            return wrap(None)
        block = find_own_block(run)
        found = (one for one in run.results if one.block_id == block.id)
        # None was recorded if the run failed as a whole.
        result = next(found, None) or build_result(block, run.status, run.error)
        return wrap(build_newest_result(compare_unsaved_result(session, result, run, block)))


@router.post("/{run_id}/cancel")
def cancel_run_of_block(reference: str, run_id: RunId, parts: Parts, caller: Editor) -> CancelledBlockRun:
    """Cancel a run of a block, saved or not, that has not finished."""
    with parts.database.writing() as session:
        run = _find_run(session, reference, run_id, caller)
        cancel_query_run(session, run, parts.links)
        cancelled: CancelledBlockRun = {"run_id": run.id, "status": run.status}
    return cancelled


@router.post("/{run_id}/block")
def give_run_to_block(
    reference: str, run_id: RunId, wanted: BlockOfRun, parts: Parts, caller: Editor
) -> Confirmation:
    """Give a run that has ended to the block that was saved since, so that its result stays with it."""
    with parts.database.writing() as session:
        run = _find_run(session, reference, run_id, caller)
        block = find_by_reference(session, Block, wanted.block_uid, caller)
        if block.report_id != run.report_id:
            raise HTTPException(404, NOT_FOUND)
        give_run(run, block)
    return OK


def _find_run(session: Session, reference: str, run_id: str, caller: Caller) -> StandaloneQueryRun:
    report = find_by_reference(session, Report, reference, caller)
    number = parse_id(run_id)
    run = None if number is None or number > MAX_INTEGER_ID else session.get(StandaloneQueryRun, number)
    if run is None or run.report_id != report.id:
        raise HTTPException(404, NOT_FOUND)
    return run
