"""What keeps one test of a session from another one: nothing is under way, and the inbox is empty."""

from __future__ import annotations

import time

from sqlalchemy import delete, select, update

from airflow_provider_pushmetrics.exceptions import PushMetricsTestingError
from airflow_provider_pushmetrics.receiver.inbox.database import create_inbox_engine
from airflow_provider_pushmetrics.receiver.inbox.tables import consumers, events, rejections, state
from airflow_provider_pushmetrics.service.models import Block, Delivery, Run, StandaloneQueryRun, Subscription
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.serving.sqlite import IMMEDIATE

SUBSCRIPTION = "pushmetrics.testing"
"""The name of the subscription of the receiver."""

QUIET_TIMEOUT_SECONDS = 60.0
QUIET_POLL_SECONDS = 0.05


def wait_until_quiet(database: Database, *, timeout_seconds: float = QUIET_TIMEOUT_SECONDS) -> None:
    """
    Wait until the service has no unfinished run, and the receiver has got the events of all.

    :raises PushMetricsTestingError: if a run does not end in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while under_way := find_under_way(database):
        if time.monotonic() > deadline:
            raise PushMetricsTestingError(
                f"{under_way} did not end within {timeout_seconds:g} s after its test: let the test wait"
                " for the run, or cancel it."
            )
        time.sleep(QUIET_POLL_SECONDS)


def find_under_way(database: Database) -> str | None:
    """Find a run that has not ended, or a delivery to the receiver; describe it."""
    pending = select(Delivery.id).join(Subscription).where(Subscription.name == SUBSCRIPTION)
    with database.reading() as session:
        for kind in (Run, StandaloneQueryRun):
            query = select(kind.id, kind.report_id).where(kind.finished_on.is_(None)).limit(1)
            if found := session.execute(query).first():
                return f"run {found.id} of report {found.report_id}"
        found_id = session.scalar(pending.where(Delivery.finished_on.is_(None)).limit(1))
    return None if found_id is None else f"delivery {found_id}"


def list_cancel_paths(database: Database) -> list[str]:
    """List the paths of the API that cancel the runs that have not ended."""
    runs = select(Run.id).where(Run.finished_on.is_(None))
    query_runs = select(Block.uid, StandaloneQueryRun.id, StandaloneQueryRun.report_id).outerjoin(
        StandaloneQueryRun.block
    )
    with database.reading() as session:
        paths = [f"/api/v1/noteflow_run/{run_id}/cancel" for run_id in session.scalars(runs)]
        found = session.execute(query_runs.where(StandaloneQueryRun.finished_on.is_(None)))
        for uid, run_id, report_id in found:
            # One of a block that was not saved has only the path of its page.
            own = f"/app/notebook/{report_id}/block_runs" if uid is None else f"/api/v1/block/{uid}/run"
            paths.append(f"{own}/{run_id}/cancel")
        return paths


def clear_inbox(inbox_url: str) -> None:
    """Delete the events and the consumers of an inbox; its ids go on, so that every cursor stays valid."""
    engine = create_inbox_engine(inbox_url)
    with engine.connect().execution_options(**{IMMEDIATE: True}) as connection, connection.begin():
        for table in (events, rejections, consumers):
            connection.execute(delete(table))
        connection.execute(update(state).values(last_deleted_id=state.c.last_event_id))
    engine.dispose()
