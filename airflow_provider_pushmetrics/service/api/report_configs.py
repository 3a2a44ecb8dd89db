"""Reports as YAML: reading, making and replacing them by documents."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.reports import build_whole_report
from airflow_provider_pushmetrics.service.models import DataSource, Report
from airflow_provider_pushmetrics.service.reports.authoring import (
    BlockChanges,
    ReportDraft,
    create_report,
    list_warnings,
    rewrite_report,
)
from airflow_provider_pushmetrics.service.reports.block_types import ContentError
from airflow_provider_pushmetrics.service.reports.yaml_documents import (
    list_databases_by_id,
    parse_config,
    write_config,
    write_diff,
)

router = APIRouter(prefix="/api/v1/report", tags=["report as YAML"])

YAML = "text/plain; charset=utf-8"
DOCUMENT = {
    "requestBody": {
        "required": True,
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "example": "name: Orders\nblocks:\n- name: orders\n  type: sql\n"
                "  content: {database: shop, sql: SELECT 1 AS n}\n",
            }
        },
    }
}


async def read_document(request: Request) -> ReportDraft:
    """Read the body as the YAML of a report."""
    try:
        text = (await request.body()).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ContentError("the YAML is not UTF-8") from None
    return await run_in_threadpool(parse_config, text)


Document = Annotated[ReportDraft, Depends(read_document)]


@router.get("/{reference}/config", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def get_config(reference: str, parts: Parts, caller: Caller) -> Response:
    """Give a report as YAML."""
    with parts.database.reading() as session:
        report = find_by_reference(session, Report, reference, caller)
        return Response(_write(session, report), media_type=YAML)


@router.post("/config", openapi_extra=DOCUMENT)
def create_from_config(
    parts: Parts, caller: Editor, draft: Document, allow_create_folder: bool = False
) -> dict[str, Any]:
    """Make a report from YAML; others of its name are named in ``warning_duplicate_uids``."""
    with parts.database.writing() as session:
        same_name = select(Report.uid).where(
            Report.workspace_id == caller.workspace_id, Report.name == draft.name
        )
        duplicates = list(session.scalars(same_name))
        report = create_report(session, caller.workspace_id, draft)
        answer = {**build_whole_report(report), "warnings": list_warnings(report)}
    parts.engine.wake()
    return {"result": {**answer, **({"warning_duplicate_uids": duplicates} if duplicates else {})}}


@router.put("/{reference}/config", openapi_extra=DOCUMENT)
def replace_by_config(
    reference: str,
    parts: Parts,
    caller: Editor,
    draft: Document,
    prune: bool = True,
    dry_run: bool = False,
    allow_create_folder: bool = False,
) -> dict[str, Any]:
    """Make a report what YAML says; ``dry_run`` only tells what that would change."""
    with parts.database.writing() as session:
        report = find_by_reference(session, Report, reference, caller)
        session.refresh(report, with_for_update=True)
        before = _write(session, report)
        trial = session.begin_nested()
        changes = rewrite_report(session, report, draft, prune=prune)
        if not dry_run:
            trial.commit()
            answer = {**build_whole_report(report), "warnings": list_warnings(report)}
        else:
            session.refresh(report)
            answer = _describe(before, _write(session, report), changes)
            answer["warnings"] = list_warnings(report)
            trial.rollback()
    parts.engine.wake()
    return {"result": answer}


def _describe(before: str, after: str, changes: BlockChanges) -> dict[str, Any]:
    return {
        "would_change": before != after,
        "summary": {
            "blocks_created": list(changes.created),
            "blocks_updated": list(changes.updated),
            "blocks_deleted": list(changes.deleted),
        },
        "yaml_diff": write_diff(before, after),
    }


def _write(session: Session, report: Report) -> str:
    rows = session.scalars(select(DataSource).where(DataSource.workspace_id == report.workspace_id)).all()
    return write_config(report, list_databases_by_id(rows))
