"""What pages show beside the API: the progress of a run's blocks, and the last and next runs of reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, TypeAlias

from fastapi import HTTPException, Query
from pydantic import Field
from sqlalchemy import func, select, union_all
from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Moment
from airflow_provider_pushmetrics.service.api.conventions.lookup import (
    find_by_reference,
    select_in_workspace,
)
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import Wrapped, answer, build_answer, wrap
from airflow_provider_pushmetrics.service.api.schemas.subscriptions import SuccessRateDetails
from airflow_provider_pushmetrics.service.api.subscriptions import build_success_rates
from airflow_provider_pushmetrics.service.models import ReportSchedule, Run, Subscription
from airflow_provider_pushmetrics.service.runs.execution.progress import list_progress
from airflow_provider_pushmetrics.service.storage.clock import read_database_clock
from airflow_provider_pushmetrics.service.storage.ids import MAX_INTEGER_ID
from airflow_provider_pushmetrics.service.webhooks.success_rates import read_success_rates

router = make_router("/app/activity")

MAX_REPORTS = 100
MAX_SUBSCRIPTIONS = 25

RowId: TypeAlias = Annotated[int, Field(le=MAX_INTEGER_ID)]
LAST_RUNS = 10


@answer
class BlockActivity(TypedDict):
    """A block of a run, also one that has not begun."""

    block_uid: str
    name: str
    type: str
    status: str
    error: str | None
    row_count: int | None
    max_rows: int | None
    is_truncated: bool
    started_on: Moment | None
    finished_on: Moment | None


@answer
class LastRun(TypedDict):
    """One of the last runs of a report."""

    id: int
    status: str
    duration_ms: int | None
    """How long it took; none if it was not started, or has not ended."""


@answer
class ReportActivity(TypedDict):
    """The last runs of a report, the newest first, and its next scheduled run."""

    report_id: int
    runs: list[LastRun]
    next_run_on: Moment | None


@answer
class SubscriptionActivity(SuccessRateDetails):
    """How many of the last deliveries of a subscription its endpoint accepted."""

    subscription_id: int


@router.get("/run/{reference}")
def list_blocks(reference: str, parts: Parts, caller: Caller) -> Wrapped[list[BlockActivity]]:
    """List the blocks of a run in the order of the report, with their progress."""
    with parts.database.reading() as session:
        run = find_by_reference(session, Run, reference, caller)
        return wrap([build_answer(BlockActivity, block) for block in list_progress(session, run)])


@router.get("/reports")
def list_reports(
    parts: Parts, caller: Caller, report: Annotated[list[RowId] | None, Query()] = None
) -> Wrapped[list[ReportActivity]]:
    """List the last runs and the next run of some reports, by two statements however many there are."""
    wanted = list(dict.fromkeys(report or ()))
    if len(wanted) > MAX_REPORTS:
        raise HTTPException(400, f"At most {MAX_REPORTS} reports can be listed at once")
    with parts.database.reading() as session:
        runs = _read_last_runs(session, caller.workspace_id, wanted)
        next_runs = _read_next_runs(session, caller.workspace_id, wanted)
    return wrap(
        [
            build_answer(
                ReportActivity,
                None,
                report_id=report_id,
                runs=[_build_run(run) for run in runs if run.report_id == report_id],
                next_run_on=next_runs.get(report_id),
            )
            for report_id in wanted
        ]
    )


@router.get("/subscriptions")
def list_subscriptions(
    parts: Parts, caller: Caller, subscription: Annotated[list[RowId] | None, Query()] = None
) -> Wrapped[list[SubscriptionActivity]]:
    """List the success rates of some subscriptions, by one statement for each."""
    wanted = list(dict.fromkeys(subscription or ()))
    if len(wanted) > MAX_SUBSCRIPTIONS:
        raise HTTPException(400, f"At most {MAX_SUBSCRIPTIONS} subscriptions can be listed at once")
    with parts.database.reading() as session:
        mine = select_in_workspace(Subscription, caller).where(Subscription.id.in_(wanted))
        known = set(session.scalars(mine.with_only_columns(Subscription.id)))
        now = read_database_clock(session)
        rates = {one: read_success_rates(session, one, now) for one in wanted if one in known}
    return wrap([{"subscription_id": one, **build_success_rates(found)} for one, found in rates.items()])


def _read_last_runs(session: Session, workspace_id: int, reports: Sequence[int]) -> Sequence[Any]:
    """Read the last runs of each report. Each part is found by an index, whatever number of runs there is."""
    if not reports:
        return []
    columns = (Run.report_id, Run.id, Run.status, Run.started_on, Run.finished_on)
    parts = []
    for report_id in reports:
        mine = select(*columns).where(Run.workspace_id == workspace_id, Run.report_id == report_id)
        parts.append(select(mine.order_by(Run.id.desc()).limit(LAST_RUNS).subquery()))
    found = union_all(*parts).subquery()
    return session.execute(select(found).order_by(found.c.id.desc())).all()


def _build_run(run: Any) -> LastRun:
    """Build what a list shows of a run: moments of hundreds of runs would be most of its bytes."""
    has_ended = run.started_on is not None and run.finished_on is not None
    duration = (run.finished_on - run.started_on) // timedelta(milliseconds=1) if has_ended else None
    return {"id": run.id, "status": run.status, "duration_ms": duration}


def _read_next_runs(session: Session, workspace_id: int, reports: Sequence[int]) -> dict[int, Any]:
    """Read when each report runs next by its schedules; not those of its single queries."""
    schedule = ReportSchedule
    mine = (schedule.workspace_id == workspace_id, schedule.report_id.in_(reports))
    active = (schedule.active, schedule.query_id.is_(None), schedule.next_run_on.is_not(None))
    found = select(schedule.report_id, func.min(schedule.next_run_on)).where(*mine, *active)
    return {report: moment for report, moment in session.execute(found.group_by(schedule.report_id))}
