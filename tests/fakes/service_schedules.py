"""Schedules that come due one after the other, while something happens to who starts them."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import httpx
from sqlalchemy import select

from airflow_provider_pushmetrics.service.models import Run
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database

FIRST_AFTER = timedelta(seconds=1)
INTERVAL = timedelta(seconds=0.3)


def make_schedules(client: httpx.Client, report_id: int, count: int) -> list[int]:
    """Make schedules of one run each, due from a second on, and give their ids."""
    first = get_now() + FIRST_AFTER
    made = []
    for number in range(count):
        start = (first + number * INTERVAL).isoformat()
        body = {"report_id": report_id, "first_start": start, "recurrence": "hourly", "max_runs": 1}
        answer = client.post("/api/v1/schedule/", json=body).raise_for_status()
        made.append(answer.json()["id"])
    return made


def count_started(database: Database, status: str | None = None) -> Counter[int]:
    """Count the runs of each schedule; with a status, those that have it."""
    wanted = select(Run.schedule_id).where(Run.schedule_id.is_not(None))
    if status is not None:
        wanted = wanted.where(Run.status == status)
    with database.reading() as session:
        return Counter(number for number in session.scalars(wanted) if number is not None)
