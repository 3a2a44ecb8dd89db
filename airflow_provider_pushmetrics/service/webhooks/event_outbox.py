"""The bodies of events, and the outbox, to which they are added in the transaction of what happened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, bindparam, insert, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import (
    Delivery,
    OutboxEvent,
    Query,
    Report,
    Subscription,
    Workspace,
)
from airflow_provider_pushmetrics.service.models.base import get_table
from airflow_provider_pushmetrics.service.models.statuses import PENDING
from airflow_provider_pushmetrics.service.storage.clock import CLOCK, format_event_moment
from airflow_provider_pushmetrics.service.storage.database import execute_core
from airflow_provider_pushmetrics.service.storage.ids import generate_uid

REPORT_CREATED = "report.created"
REPORT_UPDATED = "report.updated"
REPORT_DELETED = "report.deleted"
QUERY_CREATED = "query.created"
QUERY_UPDATED = "query.updated"
QUERY_DELETED = "query.deleted"
TEST = "webhook.test"

# Built once: building them takes as long as executing them.
INSERT_EVENT = insert(get_table(OutboxEvent))
INSERT_DELIVERY = insert(get_table(Delivery))
SELECT_SUBSCRIPTIONS = (
    select(Subscription.id, Subscription.events, CLOCK.label("now"))
    .where(Subscription.workspace_id == bindparam("workspace"), Subscription.active.is_(True))
    # As their deliveries lock them: a subscription that is being deleted is waited for, and left out.
    .with_for_update(read=True, key_share=True)
)


def build_report_change(event: str, report: Report, moment: datetime) -> dict[str, Any]:
    """Build ``report.created``, ``report.updated`` or ``report.deleted``; the last has no description."""
    body = {
        "event": event,
        "report_id": report.id,
        "report_name": report.name,
        "report_description": report.description,
        "workspace_id": report.workspace_id,
        "workspace_name": report.workspace.name,
        "timestamp": format_event_moment(moment),
    }
    if event == REPORT_DELETED:
        del body["report_description"]
    return body


def build_query_change(event: str, query: Query, moment: datetime) -> dict[str, Any]:
    """Build ``query.created``, ``query.updated`` or ``query.deleted``; the last has no name."""
    report = query.block.report
    body = {
        "event": event,
        "query_id": query.id,
        "query_name": query.block.name,
        **_name_report(report),
        "timestamp": format_event_moment(moment),
    }
    if event == QUERY_DELETED:
        del body["query_name"]
    return body


def _name_report(report: Report) -> dict[str, Any]:
    """Build the fields that name a report and its workspace, in the documented order."""
    return {
        "report_id": report.id,
        "report_name": report.name,
        "workspace_id": report.workspace_id,
        "workspace_name": report.workspace.name,
    }


def build_test(subscription: Subscription, workspace_name: str, moment: datetime) -> dict[str, Any]:
    """Build a test event. Its name is none of the documented ones, so receivers do not act on it."""
    return {
        "event": TEST,
        "webhook_subscription_id": subscription.id,
        "workspace_id": subscription.workspace_id,
        "workspace_name": workspace_name,
        "timestamp": format_event_moment(moment),
    }


def put_test_in_outbox(session: Session, subscription: Subscription, now: datetime) -> Delivery:
    """Add a test event for one subscription, whatever its events are."""
    workspace = session.get_one(Workspace, subscription.workspace_id)
    event_id, _ = _write_event(session, workspace.id, build_test(subscription, workspace.name, now))
    delivery = Delivery(
        workspace_id=workspace.id,
        event_id=event_id,
        event=TEST,
        subscription_id=subscription.id,
        status=PENDING,
        next_attempt_on=now,
    )
    session.add(delivery)
    session.flush()
    return delivery


def put_in_outbox(
    session: Session,
    workspace_id: int,
    body: Mapping[str, Any],
    traceparent: str | None = None,
    *,
    run_id: int | None = None,
) -> str:
    """
    Add an event and its deliveries. They are sent after the commit.

    :param traceparent: The trace that the deliveries continue.
    :param run_id: The run that it tells of, which is kept as long as the event.
    :return: The ``webhook-id``.
    """
    event_id, uid = _write_event(session, workspace_id, body, traceparent, run_id)
    deliveries = [
        {
            "workspace_id": workspace_id,
            "event_id": event_id,
            "event": body["event"],
            "subscription_id": row.id,
            "status": PENDING,
            "next_attempt_on": row.now,
        }
        for row in execute_core(session, SELECT_SUBSCRIPTIONS, {"workspace": workspace_id})
        if body["event"] in row.events
    ]
    if deliveries:
        session.execute(INSERT_DELIVERY, deliveries)
    return uid


def _write_event(
    session: Session,
    workspace_id: int,
    body: Mapping[str, Any],
    traceparent: str | None = None,
    run_id: int | None = None,
) -> tuple[int, str]:
    """Write an event, and return its id and uid."""
    session.flush()  # what the event tells of comes first
    uid = f"msg_{generate_uid()}{generate_uid()}"[:32]
    event = {
        "uid": uid,
        "workspace_id": workspace_id,
        "event": body["event"],
        "run_id": run_id,
        "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        "traceparent": traceparent,
    }
    key = cast("CursorResult[Any]", session.execute(INSERT_EVENT, event)).inserted_primary_key
    assert key is not None
    return int(key[0]), uid
