"""Subscriptions to events."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import Depends, HTTPException, Query
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsEndpointError
from airflow_provider_pushmetrics.redaction import REDACTED
from airflow_provider_pushmetrics.service.accounts.roles import Role
from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.listing import Listing, match_integer, parse_moment
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.resources import Resource, Viewer, rows_of
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    OK,
    Confirmation,
    build_answer,
    build_one,
    wrap,
)
from airflow_provider_pushmetrics.service.api.deliveries import DISABLED, build_delivery_row
from airflow_provider_pushmetrics.service.api.schemas.deliveries import DeliveryResponse
from airflow_provider_pushmetrics.service.api.schemas.subscriptions import (
    CreatedSubscription,
    DeliveryCount,
    NewSubscription,
    OutcomeCounts,
    RotatedSecret,
    SubscriptionChange,
    SubscriptionList,
    SubscriptionResponse,
    SubscriptionRow,
    SuccessRateDetails,
    SuccessRateResponse,
)
from airflow_provider_pushmetrics.service.egress.rules import check_subscription_url
from airflow_provider_pushmetrics.service.models import Subscription
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.storage.clock import format_moment, get_now, read_database_clock
from airflow_provider_pushmetrics.service.storage.database import lock_row
from airflow_provider_pushmetrics.service.webhooks.custom_headers import (
    hide_path,
    move_endpoint,
    read_headers,
    write_headers,
)
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_test_in_outbox
from airflow_provider_pushmetrics.service.webhooks.subscriptions import (
    ResendRange,
    count_in_range,
    disable,
    enable,
    resend_range,
    rotate_secret,
)
from airflow_provider_pushmetrics.service.webhooks.success_rates import SuccessRates, read_success_rates
from airflow_provider_pushmetrics.signatures import generate_secret

router = make_router("/api/v1/webhook_subscription", "webhook subscription", has_secrets=True)

MOMENT = {"format": "date-time"}

Since: TypeAlias = Annotated[
    str | None,
    Query(description="The first moment at which their delivery ended", json_schema_extra=MOMENT),
]
Until: TypeAlias = Annotated[
    str | None, Query(description="The first moment after their creation", json_schema_extra=MOMENT)
]
IncludeDelivered: TypeAlias = Annotated[
    bool,
    Query(description="Also those that the endpoint accepted, such as before its storage was restored"),
]


def parse_range(
    since: Since = None, until: Until = None, include_delivered: IncludeDelivered = False
) -> ResendRange:
    """Parse which deliveries are sent again."""
    first = None if since is None else parse_moment(since)
    last = None if until is None else parse_moment(until)
    return ResendRange(first, last, include_delivered)


WantedRange: TypeAlias = Annotated[ResendRange, Depends(parse_range)]

LISTING = Listing(
    order=Subscription.id,
    columns={"id": Subscription.id, "name": Subscription.name},
    conditions={("id", "eq"): match_integer(Subscription.id, "id")},
)


def build_subscription_row(subscription: Subscription, viewer: Viewer) -> SubscriptionRow:
    """Build the row of a subscription, without its secrets; a Guest sees only the host of its URL."""
    may_edit = viewer.caller.role.includes(Role.USER)
    return build_answer(
        SubscriptionRow,
        subscription,
        url=subscription.url if may_edit else hide_path(subscription.url),
        headers=dict.fromkeys(read_headers(subscription.headers_encrypted, viewer.parts.cipher), REDACTED),
    )


Resource(
    name="subscription",
    plural="subscriptions",
    rows=rows_of(Subscription),
    listing=LISTING,
    build_row=build_subscription_row,
    list_schema=SubscriptionList,
    schema=SubscriptionResponse,
).add_routes(router)


@router.post("/", status_code=201)
def create_subscription(wanted: NewSubscription, parts: Parts, caller: Editor) -> CreatedSubscription:
    """Create a subscription. No other answer shows the secret that signs its events."""
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
        write_headers(subscription, parts.cipher, wanted.headers)
        session.add(subscription)
        session.flush()
        row = build_subscription_row(subscription, Viewer(caller, parts))
    return {"id": row["id"], "result": row, "signing_secret": secret}


@router.put("/{reference}")
def update_subscription(
    reference: Reference, wanted: SubscriptionChange, parts: Parts, caller: Editor
) -> SubscriptionResponse:
    """Change, enable or disable a subscription."""
    if wanted.url is not None:
        _check_endpoint(wanted.url, parts)
    with parts.database.writing() as session:
        subscription = find_by_reference(session, Subscription, reference, caller)
        lock_row(session, subscription)
        if wanted.url is not None:
            move_endpoint(subscription, wanted.url, wanted.headers)
        if wanted.headers is not None:
            write_headers(subscription, parts.cipher, wanted.headers)
        for name, value in wanted.model_dump(exclude_none=True, include={"name", "events"}).items():
            setattr(subscription, name, value)
        subscription.updated_on = get_now()
        if wanted.active is not None and wanted.active != subscription.active:
            _switch(session, subscription, wanted.active)
        answer = build_one(build_subscription_row(subscription, Viewer(caller, parts)))
    return answer


@router.post("/{reference}/enable")
def enable_subscription(reference: Reference, parts: Parts, caller: Editor) -> SubscriptionResponse:
    """Enable a subscription. Its waiting events are sent first."""
    return update_subscription(reference, SubscriptionChange(active=True), parts, caller)


@router.post("/{reference}/disable")
def disable_subscription(reference: Reference, parts: Parts, caller: Editor) -> SubscriptionResponse:
    """Disable a subscription. Its pending events wait until it is enabled."""
    return update_subscription(reference, SubscriptionChange(active=False), parts, caller)


@router.post("/{reference}/rotate_secret")
def rotate_signing_secret(reference: Reference, parts: Parts, caller: Editor) -> RotatedSecret:
    """Replace the secret. No other answer shows the new one. The old one signs events too for a day."""
    with parts.database.writing() as session:
        subscription = find_by_reference(session, Subscription, reference, caller)
        lock_row(session, subscription)  # its secret may be encrypted again meanwhile
        secret, expires_on = rotate_secret(subscription, parts.cipher, read_database_clock(session))
        session.flush()
        row = build_subscription_row(subscription, Viewer(caller, parts))
    return {
        "id": row["id"],
        "result": row,
        "signing_secret": secret,
        "previous_valid_until": format_moment(expires_on),
    }


@router.post("/{reference}/test")
def send_test_event(reference: Reference, parts: Parts, caller: Editor) -> DeliveryResponse:
    """Send the event ``webhook.test``. The answer is its delivery."""
    with parts.database.writing() as session:
        subscription = find_by_reference(session, Subscription, reference, caller)
        if not subscription.active:
            raise HTTPException(409, DISABLED)
        delivery = put_test_in_outbox(session, subscription, read_database_clock(session))
        answer = build_one(build_delivery_row(delivery))
    return answer


def build_success_rates(rates: SuccessRates) -> SuccessRateDetails:
    return build_answer(
        SuccessRateDetails,
        rates,
        last_day=build_answer(OutcomeCounts, rates.last_day),
        last_week=build_answer(OutcomeCounts, rates.last_week),
    )


@router.get("/{reference}/success_rate")
def get_success_rate(reference: Reference, parts: Parts, caller: Caller) -> SuccessRateResponse:
    """Show which share of the deliveries of the last day and week the endpoint accepted."""
    with parts.database.reading() as session:
        subscription = find_by_reference(session, Subscription, reference, caller)
        rates = read_success_rates(session, subscription.id, read_database_clock(session))
    return wrap(build_success_rates(rates))


@router.get("/{reference}/resend")
def count_deliveries_to_resend(
    reference: Reference, parts: Parts, caller: Caller, wanted: WantedRange
) -> DeliveryCount:
    """Count the deliveries of a period that a POST sends again: those that failed, or all that ended."""
    with parts.database.reading() as session:
        subscription = find_by_reference(session, Subscription, reference, caller)
        return {"count": count_in_range(session, subscription, wanted)}


@router.post("/{reference}/resend")
def resend_deliveries(
    reference: Reference, parts: Parts, caller: Editor, wanted: WantedRange
) -> DeliveryCount:
    """Send the failed events of a period again, or all of it, each with the same ``webhook-id``."""
    with parts.database.writing() as session:
        subscription = find_by_reference(session, Subscription, reference, caller)
        if not subscription.active:
            raise HTTPException(409, DISABLED)
        count = resend_range(session, subscription, wanted, read_database_clock(session))
    return {"count": count}


@router.delete("/{reference}")
def delete_subscription(reference: Reference, parts: Parts, caller: Editor) -> Confirmation:
    """Delete a subscription with its deliveries."""
    with parts.database.writing() as session:
        session.delete(find_by_reference(session, Subscription, reference, caller))
    return OK


def _check_endpoint(url: str, parts: ServiceParts) -> None:
    try:
        check_subscription_url(url, parts.settings.egress_rules)
    except PushMetricsEndpointError as error:
        raise HTTPException(422, f"url: {error}") from None


def _switch(session: Session, subscription: Subscription, active: bool) -> None:
    if active:
        enable(subscription, read_database_clock(session))
    else:
        disable(subscription, read_database_clock(session), "by a user")
