"""What Airflow's own database says of its scheduler, and of events that started no Dag run."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.compat import has_airflow
from airflow_provider_pushmetrics.hooks.connection_check import Finding, Status

SCHEDULER_PART = "scheduler"
EVENTS_PART = "events"
LOOP_METRIC = "scheduler.scheduler_loop_duration"
SETTLED = timedelta(seconds=30)
"""A younger event may still start its Dag: the plugin checks every five seconds, and twice."""

HAS_NO_DATABASE = "not known: this environment cannot read Airflow's database ({})"
ELSEWHERE = "Run it where the scheduler or the API server runs."


def check_scheduler() -> Finding:
    """
    Check when the scheduler last reported, which it does in its loop, every few seconds.

    Airflow stores no loop time: it is only in the metric. A report that is overdue is a lower bound.
    """
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session

    from airflow_provider_pushmetrics.compat import conf
    from airflow_provider_pushmetrics.triggers.resumption import compute_not_before

    if (missing := _find_missing_file()) is not None:
        text = HAS_NO_DATABASE.format(f"{missing} does not exist")
        return Finding(SCHEDULER_PART, Status.WARNING, text, ELSEWHERE)
    covered = compute_not_before() - time.time()
    query = select(Job.latest_heartbeat).where(Job.job_type == "SchedulerJob", Job.state == "running")
    try:
        with create_session() as session:
            newest = session.scalar(query.order_by(Job.latest_heartbeat.desc()).limit(1))
    except (SQLAlchemyError, RuntimeError) as error:
        text = HAS_NO_DATABASE.format(type(error).__name__)
        return Finding(SCHEDULER_PART, Status.WARNING, text, ELSEWHERE)
    if newest is None:
        return Finding(SCHEDULER_PART, Status.WARNING, "no scheduler is running", "Start the scheduler.")
    limit = conf.getint("scheduler", "scheduler_health_check_threshold", fallback=30)
    return judge_heartbeat((datetime.now(UTC) - newest).total_seconds(), covered, limit)


def _find_missing_file() -> str | None:
    """Find the file of Airflow's database on SQLite, if it does not exist: a session would create it."""
    from airflow_provider_pushmetrics.compat import conf

    try:
        url = make_url(conf.get("database", "sql_alchemy_conn", fallback=""))
    except SQLAlchemyError:
        return None
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return url.database if is_file and not Path(str(url.database)).exists() else None


def judge_heartbeat(age_seconds: float, covered_seconds: float, limit_seconds: float) -> Finding:
    """
    Judge the age of the scheduler's last report.

    :param limit_seconds: How old it may be before Airflow takes the scheduler for dead.
    :param covered_seconds: How slow a loop may be before a resumed task can fail; see ``compute_not_before``.
    """
    if age_seconds > limit_seconds:
        text = (
            f"no scheduler is alive: the last one reported {age_seconds:.0f} s ago, and Airflow allows"
            f" {limit_seconds:.0f} s"
        )
        return Finding(SCHEDULER_PART, Status.FAILED, text, "Start the scheduler, and look at its log.")
    reported = f"reported {age_seconds:.0f} s ago"
    covered = f"{covered_seconds:.0f} s after which a deferred task is resumed"
    if age_seconds <= covered_seconds:
        return Finding(
            SCHEDULER_PART,
            Status.OK,
            f"{reported}. Its loop time must be below the {covered}; Airflow's metric {LOOP_METRIC} has it",
        )
    return Finding(
        SCHEDULER_PART,
        Status.WARNING,
        f"{reported}, so a loop takes longer than the {covered}: Airflow may fail resumed tasks",
        f"Give deferrable tasks a retry, and look at the metric {LOOP_METRIC}.",
    )


def check_events() -> Finding:
    """Count the events of the last ten minutes that have started no run of a Dag that they should start."""
    if not has_airflow("3.1"):
        text = "not known: Airflow before 3.1 has no plugin that checks it"
        return Finding(EVENTS_PART, Status.WARNING, text, "Use a @continuous Dag for a run by every event.")
    from airflow.utils.session import create_session

    try:
        from airflow_provider_pushmetrics.plugins.event_starts import fetch_starts
    except ImportError as error:  # Airflow's tables are not a public interface
        return Finding(EVENTS_PART, Status.WARNING, f"not known: the plugin cannot check it: {error}")
    if (missing := _find_missing_file()) is not None:
        text = HAS_NO_DATABASE.format(f"{missing} does not exist")
        return Finding(EVENTS_PART, Status.WARNING, text, ELSEWHERE)
    now = datetime.now(UTC)
    try:
        with create_session(scoped=False) as session:
            starts = fetch_starts(session, now=now)
    except (SQLAlchemyError, RuntimeError) as error:
        text = HAS_NO_DATABASE.format(type(error).__name__)
        return Finding(EVENTS_PART, Status.WARNING, text, ELSEWHERE)
    missed = [
        item for item in starts if item.is_missed and not item.is_paused and now - item.timestamp > SETTLED
    ]
    if not missed:
        text = f"{len(starts)} starts of Dags by events of the last ten minutes, none of them missed"
        return Finding(EVENTS_PART, Status.OK, text)
    names = ", ".join(sorted({item.start.dag_id for item in missed}))
    return Finding(
        EVENTS_PART,
        Status.WARNING,
        f"{len(missed)} starts by events of the last ten minutes have no run: {names}. That is right if the"
        " Dag was paused when the event came, or if a user has deleted the run",
        "See the page PushMetrics events; if neither is the case, trigger the Dags by hand.",
    )
