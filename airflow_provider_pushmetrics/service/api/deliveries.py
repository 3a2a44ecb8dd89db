"""The delivery log: every event that was sent or is to be, and every attempt."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, HTTPException

from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.listing import (
    Listing,
    match_integer,
    match_moment,
    match_text,
    parse_list_query,
)
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference, select_in_workspace
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.models import Delivery, DeliveryAttempt
from airflow_provider_pushmetrics.service.models.statuses import PENDING
from airflow_provider_pushmetrics.service.storage.clock import format_moment, get_now
from airflow_provider_pushmetrics.service.webhooks.subscriptions import resend

router = APIRouter(prefix="/api/v1/webhook_delivery", tags=["webhook delivery"])

LISTING = Listing(
    order=Delivery.id,
    is_descending=True,
    columns={"id": Delivery.id, "created_on": Delivery.created_on, "status": Delivery.status},
    conditions={
        ("id", "eq"): match_integer(Delivery.id, "id"),
        ("id", "gt"): match_integer(Delivery.id, "id", above=True),
        ("webhook_subscription", "eq"): match_integer(Delivery.subscription_id, "webhook_subscription"),
        ("status", "eq"): match_text(Delivery.status),
        ("created_on", "gte"): match_moment(Delivery.created_on, since=True),
        ("created_on", "lt"): match_moment(Delivery.created_on, since=False),
    },
    default_page_size=25,
    max_page_size=1000,
)


@router.get("/")
def list_deliveries(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List deliveries, the newest first."""
    with parts.database.reading() as session:
        rows = select_in_workspace(Delivery, caller)
        count, page = LISTING.fetch(session, rows, parse_list_query(q))
        return build_list(count, [build_delivery_row(delivery) for delivery in page])


@router.get("/{reference}")
def get_delivery(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show a delivery: the event, and every attempt with what came back."""
    with parts.database.reading() as session:
        delivery = find_by_reference(session, Delivery, reference, caller)
        row = build_delivery_row(delivery)
        row["body"] = json.loads(delivery.event.body)
        row["attempts"] = [_build_attempt(attempt) for attempt in delivery.attempts]
        return build_one(row)


@router.post("/{reference}/resend")
def resend_delivery(reference: str, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Send an event once more, under its old ``webhook-id``: a delivered one too."""
    with parts.database.writing() as session:
        delivery = find_by_reference(session, Delivery, reference, caller)
        if not delivery.subscription.active:
            raise HTTPException(409, "The subscription is disabled: enable it first")
        if delivery.status == PENDING and delivery.enqueued_attempt > delivery.attempt_count:
            raise HTTPException(409, "The event is being sent just now")
        resend(delivery, get_now())
        session.flush()
        answer = build_one(build_delivery_row(delivery))
    parts.engine.wake()
    return answer


def build_delivery_row(delivery: Delivery) -> dict[str, Any]:
    """Build what lists show of a delivery."""
    return {
        "id": delivery.id,
        "uid": delivery.uid,
        "webhook_id": delivery.event.uid,
        "webhook_subscription_id": delivery.subscription_id,
        "event": delivery.event.event,
        "status": delivery.status,
        "attempt_count": delivery.attempt_count,
        "next_attempt_on": format_moment(delivery.next_attempt_on) if delivery.status == PENDING else None,
        "created_on": format_moment(delivery.created_on),
        "finished_on": format_moment(delivery.finished_on),
    }


def _build_attempt(attempt: DeliveryAttempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "started_on": format_moment(attempt.started_on),
        "duration_ms": attempt.duration_ms,
        "status_code": attempt.status_code,
        "error": attempt.error,
        "answer": attempt.answer,
    }
