"""Reports as YAML: reading, making and replacing them by documents."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, TypeAlias

from fastapi import Depends, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import wrap
from airflow_provider_pushmetrics.service.api.reports import build_saved_report
from airflow_provider_pushmetrics.service.api.schemas.reports import (
    DryRun,
    ReplacedReportResponse,
    ReportFromYaml,
    ReportFromYamlResponse,
    SavedReport,
)
from airflow_provider_pushmetrics.service.models import DataSource, Report, StandaloneQueryRun
from airflow_provider_pushmetrics.service.reports.authoring import (
    BlockChanges,
    ReportDraft,
    create_report,
    list_pruned,
    rewrite_report,
)
from airflow_provider_pushmetrics.service.reports.block_types import ContentError
from airflow_provider_pushmetrics.service.reports.reference_warnings import list_warnings
from airflow_provider_pushmetrics.service.reports.yaml_documents import (
    list_databases_by_id,
    parse_config,
    write_config,
    write_diff,
)
from airflow_provider_pushmetrics.service.retention.deleted_folders import record_folders
from airflow_provider_pushmetrics.service.storage.database import lock_row

router = make_router("/api/v1/report", "report as YAML")

YAML = "text/plain; charset=utf-8"
DOCUMENT = {
    "requestBody": {
        "required": True,
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "example": "name: Orders\nblocks:\n- name: introduction\n  type: text\n"
                "  content: {text: The orders of a region.}\n",
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


Document: TypeAlias = Annotated[ReportDraft, Depends(read_document)]
AllowCreateFolder: TypeAlias = Annotated[
    bool, Query(description="Accepted for PushMetrics' own client; folders are created in any case")
]


@router.get("/{reference}/config", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def get_report_as_yaml(reference: Reference, parts: Parts, caller: Caller) -> Response:
    """Show a report as YAML."""
    with parts.database.reading() as session:
        report = find_by_reference(session, Report, reference, caller)
        return Response(_write(session, report), media_type=YAML)


@router.post("/config", openapi_extra=DOCUMENT)
def create_report_from_yaml(
    parts: Parts, caller: Editor, draft: Document, allow_create_folder: AllowCreateFolder = False
) -> ReportFromYamlResponse:
    """Create a report from YAML."""
    with parts.database.writing() as session:
        same_name = select(Report.uid).where(
            Report.workspace_id == caller.workspace_id, Report.name == draft.name
        )
        duplicates = list(session.scalars(same_name))
        report = create_report(session, caller.workspace_id, replace(draft, owner_id=caller.user_id))
        saved: ReportFromYaml = {**build_saved_report(report), "warning_duplicate_uids": duplicates}
    if not duplicates:
        del saved["warning_duplicate_uids"]
    return wrap(saved)


@router.put("/{reference}/config", openapi_extra=DOCUMENT)
def replace_report_by_yaml(
    reference: Reference,
    parts: Parts,
    caller: Editor,
    draft: Document,
    prune: Annotated[bool, Query(description="Delete the blocks that the document does not name")] = True,
    dry_run: Annotated[bool, Query(description="Change nothing, and show the changes")] = False,
    allow_create_folder: AllowCreateFolder = False,
) -> ReplacedReportResponse:
    """Replace a report and its blocks by a YAML document."""
    with parts.database.writing() as session:
        report = find_by_reference(session, Report, reference, caller)
        lock_row(session, report)
        before = _write(session, report)
        savepoint = session.begin_nested()
        if prune:
            pruned = [block.id for block in list_pruned(report, draft)]
            record_folders(session, StandaloneQueryRun, StandaloneQueryRun.block_id.in_(pruned))
        answer: SavedReport | DryRun
        changes = rewrite_report(session, report, draft, prune=prune)
        if not dry_run:
            savepoint.commit()
            answer = build_saved_report(report)
        else:
            session.refresh(report)
            answer = _describe(before, _write(session, report), changes, list_warnings(report))
            savepoint.rollback()
    return wrap(answer)


def _describe(before: str, after: str, changes: BlockChanges, warnings: list[str]) -> DryRun:
    return {
        "would_change": before != after,
        "summary": {
            "blocks_created": list(changes.created),
            "blocks_updated": list(changes.updated),
            "blocks_deleted": list(changes.deleted),
        },
        "yaml_diff": write_diff(before, after),
        "warnings": warnings,
    }


def _write(session: Session, report: Report) -> str:
    rows = session.scalars(select(DataSource).where(DataSource.workspace_id == report.workspace_id)).all()
    return write_config(report, list_databases_by_id(rows))
