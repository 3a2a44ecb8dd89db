"""Deliveries: the events that were sent or will be, with every attempt."""

from __future__ import annotations

import json

from fastapi import HTTPException
from sqlalchemy.orm import joinedload

from airflow_provider_pushmetrics.service.api.conventions.access import Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.listing import (
    Listing,
    match_integer,
    match_moment,
    match_text,
)
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.resources import Resource, rows_of
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_answer, build_one
from airflow_provider_pushmetrics.service.api.schemas.deliveries import (
    Attempt,
    DeliveryDetails,
    DeliveryDetailsResponse,
    DeliveryList,
    DeliveryResponse,
    DeliveryRow,
)
from airflow_provider_pushmetrics.service.models import Delivery
from airflow_provider_pushmetrics.service.models.statuses import PENDING
from airflow_provider_pushmetrics.service.storage.clock import read_database_clock
from airflow_provider_pushmetrics.service.storage.database import lock_row
from airflow_provider_pushmetrics.service.webhooks.subscriptions import resend

router = make_router("/api/v1/webhook_delivery", "webhook delivery")

DISABLED = "The subscription is disabled: enable it first"

LISTING = Listing(
    order=Delivery.id,
    is_descending=True,
    columns={"id": Delivery.id, "created_on": Delivery.created_on, "status": Delivery.status},
    conditions={
        ("id", "eq"): match_integer(Delivery.id, "id"),
        ("id", "gt"): match_integer(Delivery.id, "id", above=True),
        ("webhook_subscription", "eq"): match_integer(Delivery.subscription_id, "webhook_subscription"),
        ("event", "eq"): match_text(Delivery.event),
        ("status", "eq"): match_text(Delivery.status),
        ("created_on", "gte"): match_moment(Delivery.created_on, since=True),
        ("created_on", "lt"): match_moment(Delivery.created_on, since=False),
    },
    default_page_size=25,
    max_page_size=1000,
)


def build_delivery_row(delivery: Delivery) -> DeliveryRow:
    """Build what lists show of a delivery."""
    last = delivery.last_attempt
    return build_answer(
        DeliveryRow,
        delivery,
        webhook_id=delivery.outbox_event.uid,
        webhook_subscription_id=delivery.subscription_id,
        event=delivery.event,
        last_status_code=None if last is None else last.status_code,
        last_error=None if last is None else last.error,
        next_attempt_on=delivery.next_attempt_on if delivery.status == PENDING else None,
    )


def build_delivery_details(delivery: Delivery) -> DeliveryDetails:
    return {
        **build_delivery_row(delivery),
        "body": json.loads(delivery.outbox_event.body),
        "attempts": [build_answer(Attempt, attempt) for attempt in delivery.attempts],
    }


Resource(
    name="delivery",
    plural="deliveries",
    rows=rows_of(Delivery, joinedload(Delivery.outbox_event), joinedload(Delivery.last_attempt)),
    listing=LISTING,
    build_row=lambda delivery, _: build_delivery_row(delivery),
    list_schema=DeliveryList,
    build_details=lambda delivery, _: build_delivery_details(delivery),
    schema=DeliveryDetailsResponse,
).add_routes(router)


@router.post("/{reference}/resend")
def resend_delivery(reference: Reference, parts: Parts, caller: Editor) -> DeliveryResponse:
    """Send an event again, delivered or not, with the same ``webhook-id``."""
    with parts.database.writing() as session:
        delivery = find_by_reference(session, Delivery, reference, caller)
        lock_row(session, delivery)  # a worker may just have begun to send it
        if not delivery.subscription.active:
            raise HTTPException(409, DISABLED)
        if delivery.status == PENDING and delivery.worker_id is not None:
            raise HTTPException(409, "The event is being sent just now")
        resend(delivery, read_database_clock(session))
        session.flush()
        answer = build_one(build_delivery_row(delivery))
    return answer
