"""Reports: listing, showing, and running them by the API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header

from airflow_provider_pushmetrics.service.api.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.lookup import find_by_reference, select_in_workspace
from airflow_provider_pushmetrics.service.api.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.clock import format_moment
from airflow_provider_pushmetrics.service.listing import (
    Listing,
    match_integer,
    match_text,
    parse_list_query,
)
from airflow_provider_pushmetrics.service.models import Block, Report
from airflow_provider_pushmetrics.service.runs import accept_run, check_idempotency_key

router = APIRouter(prefix="/api/v1/report", tags=["report"])

LISTING = Listing(
    order=Report.id,
    columns={"id": Report.id, "name": Report.name, "created_on": Report.created_on},
    conditions={
        ("id", "eq"): match_integer(Report.id, "id"),
        ("name", "eq"): match_text(Report.name),
        ("type", "eq"): match_text(Report.type),
    },
)


@router.get("/")
def list_reports(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List the reports of the workspace."""
    with parts.database.reading() as session:
        rows = select_in_workspace(Report, caller)
        count, page = LISTING.fetch(session, rows, parse_list_query(q))
        return build_list(count, [build_report_row(report) for report in page])


@router.get("/{reference}")
def get_report(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show a report and its blocks."""
    with parts.database.reading() as session:
        report = find_by_reference(session, Report, reference, caller)
        blocks = [build_block_row(block) for block in report.blocks]
        return build_one({**build_report_row(report), "blocks": blocks})


@router.post("/{reference}/run/noteflow")
def run_report(
    reference: str,
    parts: Parts,
    caller: Caller,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> dict[str, Any]:
    """Run a report with its default parameters."""
    key = check_idempotency_key(idempotency_key)
    with parts.database.reading() as session:
        report = find_by_reference(session, Report, reference, caller)
    run = accept_run(parts.database, report.id, {}, origin="api", idempotency_key=key)
    parts.engine.wake()
    return {"result": {"noteflow_run_uid": run.uid}}


def build_report_row(report: Report) -> dict[str, Any]:
    """Build what lists show of a report."""
    return {
        "id": report.id,
        "uid": report.uid,
        "name": report.name,
        "description": report.description,
        "type": report.type,
        "created_on": format_moment(report.created_on),
        "updated_on": format_moment(report.updated_on),
        "workflow_enabled": True,
    }


def build_block_row(block: Block) -> dict[str, Any]:
    """Build what a report shows of a block."""
    return {
        "id": block.id,
        "uid": block.uid,
        "type": block.type,
        "name": block.name,
        "query_id": block.query.id if block.query else None,
    }
