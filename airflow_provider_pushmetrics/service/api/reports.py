"""Reports and notebooks: creating, showing, changing, deleting and running them."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session, joinedload

from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import IdempotencyKey, Reference
from airflow_provider_pushmetrics.service.api.conventions.listing import (
    TEXT,
    Condition,
    Listing,
    match_integer,
    match_part,
    match_text,
    parse_text,
)
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.resources import Resource, rows_of
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    OK,
    Confirmation,
    build_answer,
    build_one,
    wrap,
)
from airflow_provider_pushmetrics.service.api.schemas.blocks import BlockSummary, NewBlock
from airflow_provider_pushmetrics.service.api.schemas.reports import (
    ChangedReport,
    CreatedReport,
    NewReport,
    ReportChange,
    ReportDetails,
    ReportList,
    ReportResponse,
    ReportRow,
    ReportRunRequest,
    SavedReport,
    StartedReportRun,
    StartedReportRunResponse,
)
from airflow_provider_pushmetrics.service.models import (
    Block,
    Report,
    ReportSchedule,
    Run,
    StandaloneQueryRun,
    User,
)
from airflow_provider_pushmetrics.service.reports import authoring
from airflow_provider_pushmetrics.service.reports.authoring import BlockDraft, ReportDraft
from airflow_provider_pushmetrics.service.reports.block_types import check_json, parse_content
from airflow_provider_pushmetrics.service.reports.reference_warnings import list_warnings
from airflow_provider_pushmetrics.service.retention.deleted_folders import record_folders
from airflow_provider_pushmetrics.service.runs.submission import accept_run, check_idempotency_key
from airflow_provider_pushmetrics.service.storage.database import lock_row

router = make_router("/api/v1/report", "report")


OWNER = (
    select(User.email)
    .where(User.id == Report.owner_id, User.email.contains("@"))  # one who was removed has no address
    .correlate(Report)
    .scalar_subquery()
)


def match_anywhere(value: Any) -> ColumnElement[bool]:
    """
    Make the condition that the name, description, folder or SQL of a report contains a text.

    Or the address of its owner begins with it: the rest is the same for all people of a company.
    """
    text = parse_text(value)
    sql = Block.content["sql"].as_string()
    blocks = select(Block.id).where(Block.report_id == Report.id, sql.icontains(text, autoescape=True))
    own = (Report.name, Report.description, Report.folder)
    return or_(
        *(column.icontains(text, autoescape=True) for column in own),
        blocks.exists(),
        OWNER.istartswith(text, autoescape=True),
    )


def match_folder(value: Any) -> ColumnElement[bool]:
    """Make the condition that a report is in a folder, or in one below it."""
    folder = parse_text(value)
    prefix = f"{folder}/"
    # Not LIKE: SQLite's does not distinguish cases, while folders do.
    return or_(Report.folder == folder, func.substr(Report.folder, 1, len(prefix)) == prefix)


LISTING = Listing(
    order=Report.id,
    columns={
        "id": Report.id,
        "name": Report.name,
        "created_on": Report.created_on,
        "updated_on": Report.updated_on,
        "type": Report.type,
        "folder": Report.folder,
        "owner": OWNER,
    },
    conditions={
        ("id", "eq"): match_integer(Report.id, "id"),
        ("name", "eq"): match_text(Report.name),
        ("name", "ct"): match_part(Report.name),
        ("type", "eq"): match_text(Report.type),
        ("folder", "eq"): match_text(Report.folder),
        ("folder", "under"): Condition(match_folder, TEXT),
        ("owner", "eq"): match_text(OWNER),
        ("text", "ct"): Condition(match_anywhere, TEXT),
    },
)


def build_report_row(report: Report) -> ReportRow:
    """Build what lists show of a report."""
    owner = report.owner and report.owner.find_address()
    return build_answer(ReportRow, report, workflow_enabled=True, owner=owner)


def build_whole_report(report: Report) -> ReportDetails:
    return {**build_report_row(report), "blocks": [build_block_summary(block) for block in report.blocks]}


def build_saved_report(report: Report) -> SavedReport:
    """Build a report that was saved, with what may be wrong with it."""
    return {**build_whole_report(report), "warnings": list_warnings(report)}


def build_block_summary(block: Block) -> BlockSummary:
    return build_answer(BlockSummary, block, query_id=block.query.id if block.query else None)


Resource(
    name="report",
    plural="reports",
    rows=rows_of(Report, joinedload(Report.owner)),
    listing=LISTING,
    build_row=lambda report, _: build_report_row(report),
    list_schema=ReportList,
    build_details=lambda report, _: build_whole_report(report),
    schema=ReportResponse,
).add_routes(router)


@router.post("/", status_code=201)
def create_report(wanted: NewReport, parts: Parts, caller: Editor) -> CreatedReport:
    """Create a report with its blocks."""
    draft = ReportDraft(
        name=wanted.name,
        description=wanted.description,
        type=wanted.type,
        folder=wanted.folder,
        time_zone=wanted.time_zone,
        owner_id=caller.user_id,
        blocks=tuple(build_draft(block) for block in wanted.blocks),
    )
    with parts.database.writing() as session:
        report = authoring.create_report(session, caller.workspace_id, draft)
        saved = build_saved_report(report)
    return build_one(saved)


@router.put("/{reference}")
def update_report(reference: Reference, wanted: ReportChange, parts: Parts, caller: Editor) -> ChangedReport:
    """Change the name, the description, the type, the folder or the time zone of a report."""
    changes = wanted.model_dump(exclude_unset=True)
    changes = {name: value for name, value in changes.items() if value is not None or name == "folder"}
    with parts.database.writing() as session:
        report = _lock_report(session, reference, caller)
        authoring.change_report(session, report, changes)
        details = build_whole_report(report)
    return wrap(details)


@router.delete("/{reference}")
def delete_report(reference: Reference, parts: Parts, caller: Editor) -> Confirmation:
    """Delete a report with its blocks, triggers, schedules, runs and results."""
    with parts.database.writing() as session:
        report = find_by_reference(session, Report, reference, caller)
        # In the order in which a run is started; then it does not wait until all runs are deleted.
        session.scalars(
            select(ReportSchedule.id).where(ReportSchedule.report_id == report.id).with_for_update()
        ).all()
        lock_row(session, report)
        for kind in (Run, StandaloneQueryRun):
            record_folders(session, kind, kind.report_id == report.id)
        authoring.delete_report(session, report)
    return OK


@router.post("/{reference}/run/noteflow")
def run_report(
    reference: Reference,
    parts: Parts,
    caller: Editor,
    response: Response,
    wanted: ReportRunRequest | None = None,
    idempotency_key: IdempotencyKey = None,
) -> StartedReportRunResponse:
    """
    Start a run of a report and return at once.

    A repeated `Idempotency-Key` starts no other run: the answer is that of the first request, with the header
    `Idempotency-Replayed: true`, or 409 with other parameters or options.
    """
    key = check_idempotency_key(idempotency_key)
    wanted = wanted or ReportRunRequest()
    check_json(wanted.parameters)
    options = wanted.options.model_dump() if wanted.options else None
    with parts.database.reading() as session:
        report = find_by_reference(session, Report, reference, caller)
    run = accept_run(
        parts.database,
        parts.results,
        report.id,
        wanted.parameters,
        origin="api",
        idempotency_key=key,
        options=options,
        limit=parts.pending_limit,
    )
    if run.is_replay:
        response.headers["Idempotency-Replayed"] = "true"
    return wrap(StartedReportRun(noteflow_run_uid=run.uid, run_id=run.id))


def build_draft(block: NewBlock) -> BlockDraft:
    """Read the content of a new block."""
    given = block.content if block.content is not None else block.content_json
    content = parse_content({} if given is None else given)
    return BlockDraft(block.type, block.name, content, block.verbose_name)


def _lock_report(session: Session, reference: str, caller: Caller) -> Report:
    report = find_by_reference(session, Report, reference, caller)
    lock_row(session, report)
    return report
