"""Schedules: starting each due run exactly once, with any number of processes."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import ReportSchedule, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.reports.recurrence import (
    Recurrence,
    Schedule,
    compute_next,
    has_ended,
    is_zone,
)
from airflow_provider_pushmetrics.service.runs.submission import read_parameters
from airflow_provider_pushmetrics.service.storage.clock import DatabaseClock, read_database_clock
from airflow_provider_pushmetrics.service.storage.database import Database, is_unavailable
from airflow_provider_pushmetrics.serving.process_start import DEADLOCK, LOCK_NOT_AVAILABLE, find_sqlstate

ORIGIN = "schedule"

FAULT_PAUSE = timedelta(minutes=1)
"""The delay of a schedule that could not be started."""

HELD_UP = (LOCK_NOT_AVAILABLE, DEADLOCK)
"""PostgreSQL's codes for a transaction that waited for another one too long."""

log = logging.getLogger(__name__)


def read_rule(row: ReportSchedule) -> Schedule:
    return Schedule(
        first_start=row.first_start,
        time_zone=row.time_zone,
        recurrence=Recurrence(row.recurrence),
        cron=row.cron,
        ends_on=row.ends_on,
        max_runs=row.max_runs,
    )


def plan_next(row: ReportSchedule, now: datetime) -> None:
    """Set the next time of a schedule; times during a pause are skipped."""
    row.next_run_on = compute_next(read_rule(row), now, row.run_count) if row.active else None


def plan_changed(row: ReportSchedule, before: Schedule, now: datetime) -> None:
    """
    Set the next time of a schedule that was changed.

    A time that is due remains if it is one of the new times: no process has seen it yet. So does the retry of
    a run that could not be started, if only the end was changed, and the schedule has not ended.

    :param before: Its times before the change.
    """
    rule, due = read_rule(row), row.next_run_on
    if rule == before:
        return
    if due is not None and not _is_time(before, due, row):
        remains = replace(before, ends_on=rule.ends_on, max_runs=rule.max_runs) == rule
        remains = remains and not has_ended(rule, due, row.run_count)
    else:
        remains = due is not None and due <= now and _is_time(rule, due, row)
    if not remains:
        plan_next(row, now)


def _is_time(rule: Schedule, moment: datetime, row: ReportSchedule) -> bool:
    if not is_zone(rule.time_zone):  # it was known when the schedule was saved
        return False
    return compute_next(rule, moment - timedelta.resolution, row.run_count) == moment


def start_run(session: Session, row: ReportSchedule) -> Run | StandaloneQueryRun:
    """Record a run of a schedule's report or query."""
    # If a required parameter has no value, the run fails with that error.
    parameters = {one.name: one.default for one in read_parameters(row.report)}
    run: Run | StandaloneQueryRun
    if row.query is None:
        run = Run(
            workspace_id=row.workspace_id,
            report_id=row.report_id,
            origin=ORIGIN,
            given_parameters={},
            parameters=parameters,
            schedule_id=row.id,
        )
    else:
        run = StandaloneQueryRun(
            workspace_id=row.workspace_id,
            report_id=row.report_id,
            block_id=row.query.block_id,
            query_id=row.query_id,
            origin=ORIGIN,
            given_parameters={},
            parameters=parameters,
            schedule_id=row.id,
        )
    session.add(run)
    session.flush()
    return run


def fire_due(database: Database, clock: DatabaseClock = read_database_clock) -> int:
    """
    Start due runs.

    Each schedule is read again under its row's lock, so that one of several processes starts it. Times that
    passed while no process ran lead to one run. A schedule that cannot be started does not delay others: it
    is retried after a minute, or the next time if another transaction has locked its report.

    :return: How many runs were started.
    """
    with database.reading() as session:
        now = clock(session)
        due = select(ReportSchedule.id).where(
            ReportSchedule.active.is_(True), ReportSchedule.next_run_on <= now
        )
        ids = session.scalars(due.order_by(ReportSchedule.next_run_on)).all()
    return sum(_try_to_fire(database, schedule_id, now) for schedule_id in ids)


def find_wait(database: Database, clock: DatabaseClock = read_database_clock) -> float | None:
    """Find the seconds until the next schedule is due; None if there is none."""
    first = select(func.min(ReportSchedule.next_run_on)).where(ReportSchedule.active.is_(True))
    with database.reading() as session:
        moment = session.scalar(first)
        return None if moment is None else (moment - clock(session)).total_seconds()


def _try_to_fire(database: Database, schedule_id: int, now: datetime) -> bool:
    try:
        return _fire(database, schedule_id, now)
    except Exception as error:
        if find_sqlstate(error) in HELD_UP:
            log.warning("schedule %s waits for another transaction, and is started later", schedule_id)
            return False
        if is_unavailable(error):
            raise
        log.exception("schedule %s cannot be started; retrying in %s", schedule_id, FAULT_PAUSE)
        # It may have been paused, or started by another process.
        is_due = (ReportSchedule.active.is_(True), ReportSchedule.next_run_on <= now)
        mine = update(ReportSchedule).where(ReportSchedule.id == schedule_id, *is_due)
        with database.writing() as session:
            session.execute(mine.values(next_run_on=now + FAULT_PAUSE))
        return False


def _fire(database: Database, schedule_id: int, now: datetime) -> bool:
    with database.writing() as session:
        # A worker that is frozen in its transaction holds up its own schedule, and no other.
        row = session.get(ReportSchedule, schedule_id, with_for_update={"skip_locked": True})
        if row is None or not row.active or row.next_run_on is None or row.next_run_on > now:
            return False  # another process was first, or it was paused
        start_run(session, row)
        row.run_count += 1
        plan_next(row, now)
        return True
