"""Runs of reports: listing, showing, cancelling and repeating them, and the results of their blocks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Query
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import joinedload

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.listing import (
    INTEGER,
    TEXT,
    Condition,
    Listing,
    match_integer,
    match_text,
    parse_text,
)
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.resources import Resource, rows_of
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_answer, build_one
from airflow_provider_pushmetrics.service.api.schemas.runs import (
    RepeatedRun,
    RunList,
    RunResponse,
    RunRow,
    TaskResultRow,
    TaskResults,
)
from airflow_provider_pushmetrics.service.models import BlockResult, Report, Run
from airflow_provider_pushmetrics.service.runs import submission
from airflow_provider_pushmetrics.service.runs.re_runs import accept_re_run, read_re_run_parameters
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.ids import parse_id

router = make_router("/api/v1/noteflow_run", "run")

MAX_DAYS = 36_500


def match_report(value: Any) -> ColumnElement[bool]:
    """Make the condition that a run is of the report with this uid or id."""
    reference = parse_text(value)
    number = parse_id(reference)
    if number is not None:
        return Run.report_id == number
    # Not a join: the runs of a report are found, and counted, by an index.
    return Run.report_id == select(Report.id).where(Report.uid == reference).scalar_subquery()


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
        ("report", "rel_r_nf"): Condition(match_report, TEXT),
        ("report", "eq"): Condition(match_report, TEXT),
        ("created_on", "ltd"): Condition(match_last_days, INTEGER | {"minimum": 0, "maximum": MAX_DAYS}),
        ("status", "eq"): match_text(Run.status),
        ("id", "eq"): match_integer(Run.id, "id"),
        ("id", "gt"): match_integer(Run.id, "id", above=True),
    },
    default_page_size=25,
    max_page_size=5000,
)


async def narrow_to_report(
    report_uid: Annotated[str | None, Query(description="The uid or the id of the report")] = None,
) -> Sequence[ColumnElement[bool]]:
    """Keep the runs of one report."""
    return () if report_uid is None else (match_report(report_uid),)


def build_run_row(run: Run) -> RunRow:
    return build_answer(
        RunRow,
        run,
        name=run.report.name,
        start_time=run.started_on,
        end_time=run.finished_on,
        created_on_utc=run.created_on,
        report_uid=run.report.uid,
    )


def _build_task_row(run: Run, result: BlockResult) -> TaskResultRow:
    return build_answer(TaskResultRow, result, uid=run.uid, results_key=result.result_file)


RESOURCE = Resource(
    name="run",
    plural="runs",
    rows=rows_of(Run, joinedload(Run.report)),
    listing=LISTING,
    build_row=lambda run, _: build_run_row(run),
    list_schema=RunList,
    schema=RunResponse,
)
RESOURCE.add_list(router, narrow_to_report)
RESOURCE.add_get(router)


@router.post("/{reference}/cancel")
def cancel_run(reference: Reference, parts: Parts, caller: Editor) -> RunResponse:
    """Cancel a run that has not finished. A run that finished with another status gives 409."""
    with parts.database.writing() as session:
        run = find_by_reference(session, Run, reference, caller)
        submission.cancel_run(session, run, parts.links)
        answer = build_one(build_run_row(run))
    return answer


@router.post("/{reference}/re_run")
def repeat_run(reference: Reference, parts: Parts, caller: Editor) -> RepeatedRun:
    """Run the report again with the parameters of a run. The new run has its id as ``parent_id``."""
    with parts.database.reading() as session:
        earlier = find_by_reference(session, Run, reference, caller)
    parameters = read_re_run_parameters(parts.database, parts.results, earlier.id)
    with parts.database.writing() as session:
        earlier = find_by_reference(session, Run, reference, caller)
        run = accept_re_run(session, earlier, parameters, parts.pending_limit)
        answer = build_one(build_run_row(run))
    return {**answer, "noteflow_run_uid": run.uid}


@router.get("/{reference}/get_task_results")
def list_task_results(reference: Reference, parts: Parts, caller: Caller) -> TaskResults:
    """List the results of the blocks of a run."""
    with parts.database.reading() as session:
        run = find_by_reference(session, Run, reference, caller)
        return {"result": [_build_task_row(run, result) for result in run.results]}
