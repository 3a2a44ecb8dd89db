"""The figures of waiting work, on both databases."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from airflow_provider_pushmetrics.service.models import Delivery, OutboxEvent, Subscription, Workspace
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.worker.backlog import Backlog


def add_deliveries(
    database: Database, *due_seconds: float, is_active: bool = True, attempts: int = 0
) -> None:
    """Add deliveries of one subscription that are due in so many seconds."""
    with database.writing() as session:
        workspace_id = session.scalars(select(Workspace.id)).one()
        subscription = Subscription(
            workspace_id=workspace_id, name="s", url="u", events=[], secret_encrypted="", active=is_active
        )
        session.add(subscription)
        for seconds in due_seconds:
            event = OutboxEvent(workspace_id=workspace_id, event="report.run", body="{}")
            due = get_now() + timedelta(seconds=seconds)
            delivery = Delivery(
                workspace_id=workspace_id,
                outbox_event=event,
                event=event.event,
                subscription=subscription,
                next_attempt_on=due,
            )
            delivery.attempt_count = attempts
            session.add(delivery)


def read_figures(database: Database) -> dict[tuple[str, ...], float]:
    return {
        (sample.name.removeprefix("pushmetrics_service_"), *sample.labels.values()): sample.value
        for family in Backlog(database, 20).collect()
        for sample in family.samples
    }


def test_the_lag_is_that_of_the_oldest_work_that_is_due(database: Database) -> None:
    add_deliveries(database, -50, -100, 1000)
    figures = read_figures(database)
    assert figures["work_waiting", "delivery"] == 3
    assert 0 <= figures["work_lag_seconds", "delivery"] - 100 < 120


def test_work_that_is_due_later_is_not_late(database: Database) -> None:
    add_deliveries(database, 1000)
    assert read_figures(database)["work_lag_seconds", "delivery"] == 0


def test_deliveries_that_wait_are_counted_by_state(database: Database) -> None:
    add_deliveries(database, 0)
    add_deliveries(database, 5, 5, attempts=2)
    add_deliveries(database, -500, -500, -500, is_active=False, attempts=2)
    figures = read_figures(database)
    assert [figures["deliveries_waiting", state] for state in ("new", "retried", "paused")] == [1, 2, 3]
    assert figures["work_waiting", "delivery"] == 6
    assert figures["work_lag_seconds", "delivery"] < 120
