"""Schedules of reports and of single queries."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Name, ShortText
from airflow_provider_pushmetrics.service.api.conventions.listing import (
    Listing,
    match_integer,
    parse_list_query,
)
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference, select_in_workspace
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.models import Query, Report, ReportSchedule, Run
from airflow_provider_pushmetrics.service.reports.authoring import tell_query, tell_report
from airflow_provider_pushmetrics.service.reports.block_types import ContentError
from airflow_provider_pushmetrics.service.reports.recurrence import Recurrence, check_schedule
from airflow_provider_pushmetrics.service.runs.notices import check_addresses
from airflow_provider_pushmetrics.service.runs.schedules import plan_next, read_rule, start_run
from airflow_provider_pushmetrics.service.storage.clock import format_moment, get_now
from airflow_provider_pushmetrics.service.webhooks.outbox import QUERY_UPDATED, REPORT_UPDATED

router = APIRouter(prefix="/api/v1/schedule", tags=["schedule"])

LISTING = Listing(
    order=ReportSchedule.id,
    columns={"id": ReportSchedule.id, "next_run_on": ReportSchedule.next_run_on},
    conditions={
        ("id", "eq"): match_integer(ReportSchedule.id, "id"),
        ("report_id", "eq"): match_integer(ReportSchedule.report_id, "report_id"),
        ("query_id", "eq"): match_integer(ReportSchedule.query_id, "query_id"),
    },
)


class ScheduleChange(BaseModel):
    """
    When something runs; what is left out of a change stays.

    :param first_start: The first time; one without an offset is in the time zone. It must be in the future.
    :param ends_on: The last day.
    :param max_runs: After how many runs it ends.
    :param success_recipients: Who gets a mail when a run succeeded.
    :param failure_recipients: Who gets one when it failed.
    """

    name: Name | None = None
    first_start: datetime | None = None
    time_zone: ShortText | None = Field(None, examples=["Europe/Berlin"])
    recurrence: Recurrence | None = None
    cron: ShortText | None = Field(None, examples=["30 6 * * MON-FRI"])
    ends_on: date | None = None
    max_runs: int | None = Field(None, ge=1, le=1_000_000)
    success_recipients: list[ShortText] | None = None
    failure_recipients: list[ShortText] | None = None


class NewSchedule(ScheduleChange):
    """A schedule of a report or, with ``query_id``, of one of its queries."""

    report_id: int | ShortText = Field(examples=[1])
    query_id: int | None = None
    name: Name = "Schedule"
    first_start: datetime = Field(examples=["2030-03-01T06:00:00+01:00"])
    time_zone: ShortText | None = Field(None, examples=["Europe/Berlin"])
    recurrence: Recurrence = Field(Recurrence.DAILY, examples=["cron"])


@router.get("/")
def list_schedules(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List the schedules of the workspace."""
    with parts.database.reading() as session:
        rows = select_in_workspace(ReportSchedule, caller)
        count, page = LISTING.fetch(session, rows, parse_list_query(q))
        return build_list(count, [_build_row(schedule) for schedule in page])


@router.post("/", status_code=201)
def create_schedule(wanted: NewSchedule, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Make a schedule; it is active at once."""
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
        return _finish(parts, session, schedule)


@router.get("/{reference}")
def get_schedule(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show a schedule, and when it is due next."""
    with parts.database.reading() as session:
        return build_one(_build_row(find_by_reference(session, ReportSchedule, reference, caller)))


@router.put("/{reference}")
def change_schedule(reference: str, wanted: ScheduleChange, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Change when a schedule is due, or who is told."""
    with parts.database.writing() as session:
        schedule = _lock(session, reference, caller)
        _apply(schedule, wanted, wanted.model_dump(exclude_unset=True))
        return _finish(parts, session, schedule)


@router.delete("/{reference}")
def delete_schedule(reference: str, parts: Parts, caller: Editor) -> dict[str, str]:
    """Delete a schedule."""
    with parts.database.writing() as session:
        schedule = _lock(session, reference, caller)
        _tell(session, schedule)
        session.delete(schedule)
    parts.engine.wake()
    return {"message": "OK"}


@router.post("/{reference}/pause")
def pause_schedule(reference: str, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Stop a schedule for a while."""
    return _set_active(reference, parts, caller, is_active=False)


@router.post("/{reference}/resume")
def resume_schedule(reference: str, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Let a schedule go on; what was due in the pause is not caught up with."""
    return _set_active(reference, parts, caller, is_active=True)


@router.post("/{reference}/run")
def run_now(reference: str, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Run what is scheduled now, beside its times; it is not counted."""
    with parts.database.writing() as session:
        run = start_run(session, find_by_reference(session, ReportSchedule, reference, caller))
        uid = run.uid if isinstance(run, Run) else None
    parts.engine.wake()
    return {"result": {"run_id": run.id, "noteflow_run_uid": uid}}


def _set_active(reference: str, parts: Parts, caller: Caller, *, is_active: bool) -> dict[str, Any]:
    with parts.database.writing() as session:
        schedule = _lock(session, reference, caller)
        if schedule.active is is_active:
            return build_one(_build_row(schedule))
        schedule.active = is_active
        return _finish(parts, session, schedule)


def _lock(session: Session, reference: str, caller: Caller) -> ReportSchedule:
    schedule = find_by_reference(session, ReportSchedule, reference, caller)
    session.refresh(schedule, with_for_update=True)
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
    for name, value in values.items():
        if value is not None or name in ("cron", "ends_on", "max_runs"):
            setattr(schedule, name, value)
    if schedule.first_start.tzinfo is None:
        schedule.first_start = _place(schedule.first_start, schedule.time_zone)
    check_schedule(read_rule(schedule), get_now() if wanted.first_start is not None else None)


def _place(moment: datetime, zone: str) -> datetime:
    """Read a time without an offset in the schedule's zone; an unknown zone is refused afterwards."""
    try:
        return moment.replace(tzinfo=ZoneInfo(zone))
    except (KeyError, ValueError, OSError):
        return moment.replace(tzinfo=UTC)


def _finish(parts: Parts, session: Session, schedule: ReportSchedule) -> dict[str, Any]:
    plan_next(schedule, get_now())
    _tell(session, schedule)
    session.flush()
    parts.engine.wake()
    return build_one(_build_row(schedule))


def _tell(session: Session, schedule: ReportSchedule) -> None:
    """Tell of a change of the schedule as of a change of what it runs."""
    if schedule.query is not None:
        tell_query(session, QUERY_UPDATED, schedule.query)
    else:
        tell_report(session, REPORT_UPDATED, schedule.report)


def _build_row(schedule: ReportSchedule) -> dict[str, Any]:
    return {
        "id": schedule.id,
        "uid": schedule.uid,
        "name": schedule.name,
        "report_id": schedule.report_id,
        "report_uid": schedule.report.uid,
        "query_id": schedule.query_id,
        "active": schedule.active,
        "first_start": format_moment(schedule.first_start),
        "time_zone": schedule.time_zone,
        "recurrence": schedule.recurrence,
        "cron": schedule.cron,
        "ends_on": schedule.ends_on.isoformat() if schedule.ends_on else None,
        "max_runs": schedule.max_runs,
        "run_count": schedule.run_count,
        "next_run_on": format_moment(schedule.next_run_on),
        "success_recipients": schedule.success_recipients,
        "failure_recipients": schedule.failure_recipients,
        "created_on": format_moment(schedule.created_on),
    }
