"""The provider's own metrics in Airflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow_provider_pushmetrics.client.models import RunStatus
from airflow_provider_pushmetrics.compat import Stats

Tags = Mapping[str, str]
"""Tags of a metric, besides its own."""

RUNS_TRIGGERED = "pushmetrics.runs_triggered"
RUNS_FINISHED = "pushmetrics.runs_finished"
WAIT = "pushmetrics.wait"
TRANSFERRED_FILES = "pushmetrics.transferred_files"
TRANSFERRED_BYTES = "pushmetrics.transferred_bytes"
TRANSFER = "pushmetrics.transfer"
EVENTS_WITHOUT_RUN = "pushmetrics.events_without_run"


def find_team(ti: Any) -> dict[str, str]:
    """Find the team of a task, where several teams share an Airflow (3.3): a tag of its metrics."""
    team = getattr(ti, "stats_tags", {}).get("team_name")
    return {} if team is None else {"team_name": team}


def count_triggered_run(tags: Tags) -> None:
    """Count a run that PushMetrics accepted."""
    Stats.incr(RUNS_TRIGGERED, tags=dict(tags))


def count_finished_run(status: RunStatus | None, tags: Tags) -> None:
    """Count a run that a task saw end, by its status, if PushMetrics returns it."""
    Stats.incr(RUNS_FINISHED, tags={"status": (status or RunStatus.UNKNOWN).value, **tags})


def count_resumption(decision: str, tags: Tags) -> None:
    """Count what a task did with the run of an earlier try, as Airflow's ``ResumableJobMixin`` does."""
    Stats.incr(f"resumable_job.{decision}", tags=dict(tags))


@contextmanager
def time_wait(event: str) -> Iterator[None]:
    """Time a wait for a run or an event, on a worker or in the triggerer."""
    with Stats.timer(WAIT, tags={"event": event}):
        yield


@contextmanager
def time_transfer() -> Iterator[None]:
    """Measure the time that one file takes."""
    with Stats.timer(TRANSFER):
        yield


def count_transfer(size: int) -> None:
    """Count a complete file."""
    Stats.incr(TRANSFERRED_FILES)
    Stats.incr(TRANSFERRED_BYTES, count=size)


def gauge_events_without_run(count: int) -> None:
    """Report how many recent events have started no run of a Dag and are not queued to do so."""
    Stats.gauge(EVENTS_WITHOUT_RUN, count)
