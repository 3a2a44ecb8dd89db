"""Runs of reports: listing and showing them, and what their blocks gave."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from sqlalchemy import ColumnElement

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.api.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.lookup import find_by_reference, select_in_workspace
from airflow_provider_pushmetrics.service.api.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.clock import format_moment, get_now
from airflow_provider_pushmetrics.service.ids import parse_id
from airflow_provider_pushmetrics.service.listing import (
    Listing,
    match_integer,
    match_text,
    parse_list_query,
)
from airflow_provider_pushmetrics.service.models import BlockResult, Report, Run
from airflow_provider_pushmetrics.service.runs import accept_re_run, cancel_run

router = APIRouter(prefix="/api/v1/noteflow_run", tags=["run"])

MAX_DAYS = 36_500


def match_report(value: Any) -> ColumnElement[bool]:
    """Make the condition that a run is of the report with this uid or id."""
    reference = str(value)
    number = parse_id(reference)
    return Run.report.has(Report.uid == reference if number is None else Report.id == number)


def match_last_days(value: Any) -> ColumnElement[bool]:
    """Make the condition that a run was created since midnight, some days ago."""
    days = parse_id(str(value))
    if days is None or days > MAX_DAYS:
        raise PushMetricsParameterError("Not a valid rison schema: created_on takes a number of days")
    midnight = get_now().replace(hour=0, minute=0, second=0, microsecond=0)
    return Run.created_on >= midnight - timedelta(days=days)


LISTING = Listing(
    order=Run.id,
    is_descending=True,
    columns={"id": Run.id, "created_on": Run.created_on, "status": Run.status},
    conditions={
        ("report", "rel_r_nf"): match_report,
        ("report", "eq"): match_report,
        ("created_on", "ltd"): match_last_days,
        ("status", "eq"): match_text(Run.status),
        ("id", "eq"): match_integer(Run.id, "id"),
        ("id", "gt"): match_integer(Run.id, "id", above=True),
    },
    default_page_size=25,
    max_page_size=5000,
)


@router.get("/")
def list_runs(
    parts: Parts, caller: Caller, q: str | None = None, report_uid: str | None = None
) -> dict[str, Any]:
    """List runs, the newest first; those of one report with ``report_uid``."""
    with parts.database.reading() as session:
        rows = select_in_workspace(Run, caller)
        if report_uid is not None:
            rows = rows.where(match_report(report_uid))
        count, page = LISTING.fetch(session, rows, parse_list_query(q))
        return build_list(count, [build_run_row(run) for run in page])


@router.get("/{reference}")
def get_run(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show a run."""
    with parts.database.reading() as session:
        return build_one(build_run_row(find_by_reference(session, Run, reference, caller)))


@router.post("/{reference}/cancel")
def stop_run(reference: str, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Cancel a run that has not ended; 409 if it has ended otherwise."""
    with parts.database.writing() as session:
        run = find_by_reference(session, Run, reference, caller)
        cancel_run(session, run, parts.links)
        answer = build_one(build_run_row(run))
    parts.engine.wake()
    return answer


@router.post("/{reference}/re_run")
def repeat_run(reference: str, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Run the report once more with what was given to this run; the new one has it as its ``parent_id``."""
    with parts.database.writing() as session:
        run = accept_re_run(session, parts.results, find_by_reference(session, Run, reference, caller))
        answer = build_one(build_run_row(run))
    parts.engine.wake()
    return {**answer, "noteflow_run_uid": run.uid}


@router.get("/{reference}/get_task_results")
def list_task_results(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show what each block of a run gave."""
    with parts.database.reading() as session:
        run = find_by_reference(session, Run, reference, caller)
        return {"result": [_build_task_row(run, result) for result in run.results]}


def build_run_row(run: Run) -> dict[str, Any]:
    """Build what lists show of a run."""
    return {
        "id": run.id,
        "uid": run.uid,
        "name": run.report.name,
        "status": run.status,
        "flow_run_id": run.flow_run_id,
        "parent_id": run.parent_id,
        "start_time": format_moment(run.started_on),
        "end_time": format_moment(run.finished_on),
        "created_on": format_moment(run.created_on),
        "created_on_utc": format_moment(run.created_on),
        "re_run_count": run.re_run_count,
        "report_uid": run.report.uid,
        "report_id": run.report_id,
        "origin": run.origin,
        "parameters": run.parameters,
        "error": run.error,
    }


def _build_task_row(run: Run, result: BlockResult) -> dict[str, Any]:
    return {
        "uid": run.uid,
        "block_uid": result.block_uid,
        "name": result.name,
        "type": result.type,
        "status": result.status,
        "results_key": result.result_file,
        "row_count": result.row_count,
        "error": result.error,
    }
