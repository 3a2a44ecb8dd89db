"""Subscriptions to events."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, HTTPException
from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.events import EVENT_NAMES
from airflow_provider_pushmetrics.exceptions import PushMetricsEndpointError
from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Name, check_storable
from airflow_provider_pushmetrics.service.api.conventions.listing import (
    Listing,
    match_integer,
    parse_list_query,
    parse_moment,
)
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference, select_in_workspace
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.api.deliveries import build_delivery_row
from airflow_provider_pushmetrics.service.egress.rules import check_subscription_url
from airflow_provider_pushmetrics.service.models import Subscription
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.storage.clock import format_moment, get_now
from airflow_provider_pushmetrics.service.webhooks.subscriptions import (
    TimeRange,
    count_failed,
    disable,
    enable,
    resend_failed,
    rotate_secret,
    send_test,
)
from airflow_provider_pushmetrics.signatures import generate_secret

router = APIRouter(prefix="/api/v1/webhook_subscription", tags=["webhook subscription"])

MAX_ENDPOINT_URL_LENGTH = 2048

LISTING = Listing(
    order=Subscription.id,
    columns={"id": Subscription.id, "name": Subscription.name},
    conditions={("id", "eq"): match_integer(Subscription.id, "id")},
)


def check_events(events: list[str]) -> list[str]:
    """
    Accept which events are sent, each once.

    :raises ValueError: if there are none, or one that does not exist.
    """
    unknown = [name for name in events if name not in EVENT_NAMES]
    if unknown or not events:
        raise ValueError(f"must be some of {', '.join(EVENT_NAMES)}")
    return list(dict.fromkeys(events))


Url: TypeAlias = Annotated[
    str, StringConstraints(max_length=MAX_ENDPOINT_URL_LENGTH), AfterValidator(check_storable)
]
Events: TypeAlias = Annotated[list[str], AfterValidator(check_events)]


class NewSubscription(BaseModel):
    """A subscription: which events are sent where."""

    name: Name = Field(examples=["airflow"])
    url: Url = Field(examples=["https://airflow.example/pushmetrics/webhooks/service"])
    events: Events = Field(examples=[["report.run"]])
    active: bool = True


class SubscriptionChange(BaseModel):
    """What to change of a subscription; what is left out stays."""

    name: Name | None = None
    url: Url | None = None
    events: Events | None = None
    active: bool | None = Field(None, examples=[False])


@router.get("/")
def list_subscriptions(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List the subscriptions of the workspace."""
    with parts.database.reading() as session:
        rows = select_in_workspace(Subscription, caller)
        count, page = LISTING.fetch(session, rows, parse_list_query(q))
        return build_list(count, [_build_row(subscription) for subscription in page])


@router.post("/", status_code=201)
def create_subscription(wanted: NewSubscription, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Subscribe to events; only this answer shows the secret that they are signed with."""
    _check_endpoint(wanted.url, parts)
    secret = generate_secret()
    with parts.database.writing() as session:
        subscription = Subscription(
            workspace_id=caller.workspace_id,
            owner_id=caller.user_id,
            name=wanted.name,
            url=wanted.url,
            events=wanted.events,
            active=wanted.active,
            secret_encrypted=parts.cipher.encrypt(secret),
        )
        session.add(subscription)
        session.flush()
        return {**build_one(_build_row(subscription)), "signing_secret": secret}


@router.get("/{reference}")
def get_subscription(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show a subscription."""
    with parts.database.reading() as session:
        return build_one(_build_row(find_by_reference(session, Subscription, reference, caller)))


@router.put("/{reference}")
def change_subscription(
    reference: str, wanted: SubscriptionChange, parts: Parts, caller: Editor
) -> dict[str, Any]:
    """Change a subscription, or enable or disable it."""
    if wanted.url is not None:
        _check_endpoint(wanted.url, parts)
    with parts.database.writing() as session:
        subscription = find_by_reference(session, Subscription, reference, caller)
        for name, value in wanted.model_dump(exclude_none=True, exclude={"active"}).items():
            setattr(subscription, name, value)
        subscription.updated_on = get_now()
        if wanted.active is not None and wanted.active != subscription.active:
            _switch(session, subscription, wanted.active)
        answer = build_one(_build_row(subscription))
    parts.engine.wake()
    return answer


@router.post("/{reference}/enable")
def enable_subscription(reference: str, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Send to a subscription again, beginning with what has waited."""
    return change_subscription(reference, SubscriptionChange(active=True), parts, caller)


@router.post("/{reference}/disable")
def disable_subscription(reference: str, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Send nothing to a subscription until it is enabled; what is on its way waits."""
    return change_subscription(reference, SubscriptionChange(active=False), parts, caller)


@router.post("/{reference}/rotate_secret")
def rotate_signing_secret(reference: str, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Make a new secret; only this answer shows it. For a day, the old one signs beside it."""
    with parts.database.writing() as session:
        subscription = find_by_reference(session, Subscription, reference, caller)
        secret, expires_on = rotate_secret(subscription, parts.cipher, get_now())
        session.flush()
        row = build_one(_build_row(subscription))
    return {**row, "signing_secret": secret, "previous_valid_until": format_moment(expires_on)}


@router.post("/{reference}/test")
def send_test_event(reference: str, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Send an event ``webhook.test``, which tells of nothing; the answer is its row of the delivery log."""
    with parts.database.writing() as session:
        subscription = find_by_reference(session, Subscription, reference, caller)
        if not subscription.active:
            raise HTTPException(409, "The subscription is disabled: enable it first")
        answer = build_one(build_delivery_row(send_test(session, subscription, get_now())))
    parts.engine.wake()
    return answer


@router.get("/{reference}/resend")
def count_failed_deliveries(
    reference: str, parts: Parts, caller: Caller, since: str | None = None, until: str | None = None
) -> dict[str, int]:
    """Count the failed deliveries of a range: what a POST would send again."""
    with parts.database.reading() as session:
        subscription = find_by_reference(session, Subscription, reference, caller)
        return {"count": count_failed(session, subscription, _parse_range(since, until))}


@router.post("/{reference}/resend")
def resend_failed_deliveries(
    reference: str, parts: Parts, caller: Editor, since: str | None = None, until: str | None = None
) -> dict[str, int]:
    """Send the failed events of a range once more, each under its old ``webhook-id``."""
    with parts.database.writing() as session:
        subscription = find_by_reference(session, Subscription, reference, caller)
        if not subscription.active:
            raise HTTPException(409, "The subscription is disabled: enable it first")
        count = resend_failed(session, subscription, _parse_range(since, until), get_now())
    parts.engine.wake()
    return {"count": count}


@router.delete("/{reference}")
def delete_subscription(reference: str, parts: Parts, caller: Editor) -> dict[str, str]:
    """Delete a subscription, and what was still to be delivered to it."""
    with parts.database.writing() as session:
        session.delete(find_by_reference(session, Subscription, reference, caller))
    return {"message": "OK"}


def _check_endpoint(url: str, parts: ServiceParts) -> None:
    try:
        check_subscription_url(url, parts.settings.egress_rules)
    except PushMetricsEndpointError as error:
        raise HTTPException(422, f"url: {error}") from None


def _build_row(subscription: Subscription) -> dict[str, Any]:
    return {
        "id": subscription.id,
        "uid": subscription.uid,
        "name": subscription.name,
        "url": subscription.url,
        "events": subscription.events,
        "active": subscription.active,
        "created_on": format_moment(subscription.created_on),
        "failing_since": format_moment(subscription.failing_since),
        "disabled_on": format_moment(subscription.disabled_on),
        "disabled_reason": subscription.disabled_reason,
    }


def _switch(session: Session, subscription: Subscription, active: bool) -> None:
    if active:
        enable(session, subscription, get_now())
    else:
        disable(subscription, get_now(), "by a user")


def _parse_range(since: str | None, until: str | None) -> TimeRange:
    return TimeRange(parse_moment(since) if since else None, parse_moment(until) if until else None)
