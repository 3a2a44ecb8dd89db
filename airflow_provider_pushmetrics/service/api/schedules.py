"""Schedules of reports and of single queries."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session, joinedload

from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.listing import Listing, match_integer
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.resources import Resource, rows_of
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    OK,
    Confirmation,
    One,
    build_answer,
    build_one,
    wrap,
)
from airflow_provider_pushmetrics.service.api.schemas.schedules import (
    NewSchedule,
    ScheduleChange,
    ScheduleList,
    ScheduleResponse,
    ScheduleRow,
    StartedScheduleRun,
    StartedScheduleRunResponse,
)
from airflow_provider_pushmetrics.service.models import Query, Report, ReportSchedule, Run
from airflow_provider_pushmetrics.service.reports.authoring import add_query_event, add_report_event
from airflow_provider_pushmetrics.service.reports.block_types import ContentError
from airflow_provider_pushmetrics.service.reports.recurrence import (
    Recurrence,
    check_schedule,
    is_zone,
    move_to_zone,
    read_local,
)
from airflow_provider_pushmetrics.service.runs.notices import check_addresses
from airflow_provider_pushmetrics.service.runs.schedules import plan_changed, plan_next, read_rule, start_run
from airflow_provider_pushmetrics.service.storage.clock import get_now, read_database_clock
from airflow_provider_pushmetrics.service.storage.database import lock_row
from airflow_provider_pushmetrics.service.webhooks.event_outbox import QUERY_UPDATED, REPORT_UPDATED

router = make_router("/api/v1/schedule", "schedule")

LISTING = Listing(
    order=ReportSchedule.id,
    columns={"id": ReportSchedule.id, "next_run_on": ReportSchedule.next_run_on},
    conditions={
        ("id", "eq"): match_integer(ReportSchedule.id, "id"),
        ("report_id", "eq"): match_integer(ReportSchedule.report_id, "report_id"),
        ("query_id", "eq"): match_integer(ReportSchedule.query_id, "query_id"),
    },
)


def build_schedule_row(schedule: ReportSchedule) -> ScheduleRow:
    return build_answer(ScheduleRow, schedule, report_uid=schedule.report.uid)


Resource(
    name="schedule",
    plural="schedules",
    rows=rows_of(ReportSchedule, joinedload(ReportSchedule.report)),
    listing=LISTING,
    build_row=lambda schedule, _: build_schedule_row(schedule),
    list_schema=ScheduleList,
    schema=ScheduleResponse,
).add_routes(router)


@router.post("/", status_code=201)
def create_schedule(wanted: NewSchedule, parts: Parts, caller: Editor) -> ScheduleResponse:
    """Create a schedule. It is active at once."""
    with parts.database.writing() as session:
        report = find_by_reference(session, Report, str(wanted.report_id), caller)
        query = None if wanted.query_id is None else _find_query(report, wanted.query_id)
        schedule = ReportSchedule(
            workspace_id=caller.workspace_id,
            report=report,
            query=query,
            active=True,
            run_count=0,
            success_recipients=[],
            failure_recipients=[],
        )
        given = wanted.model_dump()
        _apply(schedule, wanted, {**given, "time_zone": wanted.time_zone or report.time_zone})
        session.add(schedule)
        session.flush()
        plan_next(schedule, read_database_clock(session))
        return _finish(session, schedule)


@router.put("/{reference}")
def update_schedule(
    reference: Reference, wanted: ScheduleChange, parts: Parts, caller: Editor
) -> ScheduleResponse:
    """Change the times or the recipients of a schedule."""
    with parts.database.writing() as session:
        schedule = _lock(session, reference, caller)
        before = read_rule(schedule)
        _apply(schedule, wanted, wanted.model_dump(exclude_unset=True))
        plan_changed(schedule, before, read_database_clock(session))
        return _finish(session, schedule)


@router.delete("/{reference}")
def delete_schedule(reference: Reference, parts: Parts, caller: Editor) -> Confirmation:
    """Delete a schedule."""
    with parts.database.writing() as session:
        schedule = _lock(session, reference, caller)
        _add_change_event(session, schedule)
        session.delete(schedule)
    return OK


@router.post("/{reference}/pause")
def pause_schedule(reference: Reference, parts: Parts, caller: Editor) -> ScheduleResponse:
    """Pause a schedule."""
    return _set_active(reference, parts, caller, is_active=False)


@router.post("/{reference}/resume")
def resume_schedule(reference: Reference, parts: Parts, caller: Editor) -> ScheduleResponse:
    """Resume a paused schedule. Runs that were due in the pause are not made up for."""
    return _set_active(reference, parts, caller, is_active=True)


@router.post("/{reference}/run")
def run_schedule(reference: Reference, parts: Parts, caller: Editor) -> StartedScheduleRunResponse:
    """Start a run now, which does not count as one of the schedule."""
    with parts.database.writing() as session:
        schedule = find_by_reference(session, ReportSchedule, reference, caller)
        parts.pending_limit.check(session, schedule.workspace_id)
        run = start_run(session, schedule)
        uid = run.uid if isinstance(run, Run) else None
    return wrap(StartedScheduleRun(run_id=run.id, noteflow_run_uid=uid))


def _set_active(reference: str, parts: Parts, caller: Caller, *, is_active: bool) -> One[ScheduleRow]:
    with parts.database.writing() as session:
        schedule = _lock(session, reference, caller)
        if schedule.active is is_active:
            return build_one(build_schedule_row(schedule))
        schedule.active = is_active
        plan_next(schedule, read_database_clock(session))
        return _finish(session, schedule)


def _lock(session: Session, reference: str, caller: Caller) -> ReportSchedule:
    schedule = find_by_reference(session, ReportSchedule, reference, caller)
    lock_row(session, schedule)
    return schedule


def _find_query(report: Report, query_id: int) -> Query:
    for block in report.blocks:
        if block.query is not None and block.query.id == query_id:
            return block.query
    raise ContentError(f"the report has no query with the id {query_id}")


def _apply(schedule: ReportSchedule, wanted: ScheduleChange, values: dict[str, Any]) -> None:
    values = {name: value for name, value in values.items() if name not in ("report_id", "query_id")}
    for name in ("success_recipients", "failure_recipients"):
        if values.get(name) is not None:
            values[name] = check_addresses(values[name])
    if values.get("recurrence") is not None:
        values["recurrence"] = values["recurrence"].value
        if values["recurrence"] != Recurrence.CRON.value:
            values.setdefault("cron", None)
    zone_before = schedule.time_zone
    for name, value in values.items():
        if value is not None or name in ("cron", "ends_on", "max_runs"):
            setattr(schedule, name, value)
    if schedule.first_start.tzinfo is None:
        schedule.first_start = read_local(schedule.first_start, schedule.time_zone)
    elif wanted.first_start is None and schedule.time_zone != zone_before:
        _keep_time_of_day(schedule, zone_before)
    check_schedule(read_rule(schedule), get_now() if wanted.first_start is not None else None)


def _keep_time_of_day(schedule: ReportSchedule, zone_before: str) -> None:
    """
    Move the first start to the zone of the schedule, so that the time of day stays the same.

    Not that of a cron expression, which has the time of day itself, nor that of an hourly schedule that has
    begun, which would pause until then; nor if the zone before is no longer known.
    """
    has_begun = schedule.first_start <= get_now()
    recurrence = Recurrence(schedule.recurrence)
    if recurrence is Recurrence.CRON or (recurrence is Recurrence.HOURLY and has_begun):
        return
    if is_zone(zone_before):
        schedule.first_start = move_to_zone(schedule.first_start, zone_before, schedule.time_zone)


def _finish(session: Session, schedule: ReportSchedule) -> One[ScheduleRow]:
    _add_change_event(session, schedule)
    session.flush()
    return build_one(build_schedule_row(schedule))


def _add_change_event(session: Session, schedule: ReportSchedule) -> None:
    """Tell of a change of the schedule as of a change of what it runs."""
    if schedule.query is not None:
        add_query_event(session, QUERY_UPDATED, schedule.query)
    else:
        add_report_event(session, REPORT_UPDATED, schedule.report)
