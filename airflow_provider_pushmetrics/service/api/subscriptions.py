"""Subscriptions to events."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, HTTPException
from pydantic import AfterValidator, BaseModel, StringConstraints

from airflow_provider_pushmetrics.events import EVENT_NAMES
from airflow_provider_pushmetrics.exceptions import PushMetricsEndpointError
from airflow_provider_pushmetrics.service.api.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.lookup import find_by_reference, select_in_workspace
from airflow_provider_pushmetrics.service.api.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.clock import format_moment, get_now
from airflow_provider_pushmetrics.service.endpoints import check_subscription_url
from airflow_provider_pushmetrics.service.listing import Listing, match_integer, parse_list_query
from airflow_provider_pushmetrics.service.models import Subscription
from airflow_provider_pushmetrics.service.parts import ServiceParts
from airflow_provider_pushmetrics.signatures import generate_secret

router = APIRouter(prefix="/api/v1/webhook_subscription", tags=["webhook subscription"])

MAX_URL_LENGTH = 2048

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


Name: TypeAlias = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
Url: TypeAlias = Annotated[str, StringConstraints(max_length=MAX_URL_LENGTH)]
Events: TypeAlias = Annotated[list[str], AfterValidator(check_events)]


class NewSubscription(BaseModel):
    """A subscription: which events are sent where."""

    name: Name
    url: Url
    events: Events
    active: bool = True


class SubscriptionChange(BaseModel):
    """What to change of a subscription; what is left out stays."""

    name: Name | None = None
    url: Url | None = None
    events: Events | None = None
    active: bool | None = None


@router.get("/")
def list_subscriptions(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List the subscriptions of the workspace."""
    with parts.database.reading() as session:
        rows = select_in_workspace(Subscription, caller)
        count, page = LISTING.fetch(session, rows, parse_list_query(q))
        return build_list(count, [_build_row(subscription) for subscription in page])


@router.post("/", status_code=201)
def create_subscription(wanted: NewSubscription, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Subscribe to events; only this answer shows the secret that they are signed with."""
    _check_endpoint(wanted.url, parts)
    secret = generate_secret()
    with parts.database.writing() as session:
        subscription = Subscription(
            workspace_id=caller.workspace_id,
            name=wanted.name,
            url=wanted.url,
            events=wanted.events,
            active=wanted.active,
            secret_encrypted=parts.vault.encrypt(secret),
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
    reference: str, wanted: SubscriptionChange, parts: Parts, caller: Caller
) -> dict[str, Any]:
    """Change a subscription, or enable or disable it."""
    if wanted.url is not None:
        _check_endpoint(wanted.url, parts)
    with parts.database.writing() as session:
        subscription = find_by_reference(session, Subscription, reference, caller)
        for name, value in wanted.model_dump(exclude_none=True).items():
            setattr(subscription, name, value)
        subscription.updated_on = get_now()
        return build_one(_build_row(subscription))


@router.delete("/{reference}")
def delete_subscription(reference: str, parts: Parts, caller: Caller) -> dict[str, str]:
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
    }
