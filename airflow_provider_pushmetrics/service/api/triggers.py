"""Webhook triggers: making, showing, changing and deleting them."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from airflow_provider_pushmetrics.service.accounts.roles import Role
from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.listing import (
    Listing,
    match_integer,
    parse_list_query,
)
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference, select_in_workspace
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.models import Report, Webhook
from airflow_provider_pushmetrics.service.reports.block_types import check_json
from airflow_provider_pushmetrics.service.runs.notices import (
    check_addresses,
    check_channels,
    parse_details,
    parse_list,
)
from airflow_provider_pushmetrics.service.runs.triggers import build_trigger_url, set_token
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.storage.clock import format_moment, get_now

router = APIRouter(prefix="/api/v1/webhook", tags=["webhook trigger"])

LISTING = Listing(
    order=Webhook.id,
    columns={"id": Webhook.id},
    conditions={
        ("id", "eq"): match_integer(Webhook.id, "id"),
        ("report_id", "eq"): match_integer(Webhook.report_id, "report_id"),
    },
)


class WebhookSettings(BaseModel):
    """
    What can be set of a trigger.

    :param active: Whether calling it starts a run.
    :param token: A token of one's own; without it, one is made.
    :param details: When recipients are told: ``{"email_on": "failure", "slack_on": "both"}``; ``success``,
        ``failure`` or ``both``, which it is without them. It may be the JSON text, and hold more.
    :param recipients: Mail addresses such as ``ann@example.com`` or ``Ann <ann@example.com>``: a list, its
        JSON text, or a text with commas, semicolons or line breaks between them.
    :param slack_recipients: Channels of Slack, in the same forms.
    """

    active: bool | None = Field(None, examples=[True])
    token: str | None = None
    details: Any = Field(None, examples=[{"email_on": "failure"}])
    recipients: Any = Field(None, examples=[["ops@example.com"]])
    slack_recipients: Any = None


class NewWebhook(WebhookSettings):
    """A trigger for a report."""

    report_id: int = Field(examples=[1])


class WebhookChange(WebhookSettings):
    """
    What to change of a trigger.

    :param refresh_token: Whether to make a new token; the old URL is dead at once.
    """

    refresh_token: bool = False


@router.get("/")
def list_webhooks(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List the triggers of the workspace, without their tokens."""
    with parts.database.reading() as session:
        rows = select_in_workspace(Webhook, caller)
        count, page = LISTING.fetch(session, rows, parse_list_query(q))
        return build_list(count, [_build_row(webhook) for webhook in page])


@router.post("/", status_code=201)
def create_webhook(wanted: NewWebhook, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Make a trigger; the answer shows its token and its URL."""
    with parts.database.writing() as session:
        report = find_by_reference(session, Report, str(wanted.report_id), caller)
        webhook = Webhook(report_id=report.id)
        set_token(webhook, wanted.token, parts.cipher)
        _apply(webhook, wanted)
        session.add(webhook)
        session.flush()
        return build_one(_build_owner_row(parts, webhook))


@router.get("/{reference}")
def get_webhook(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show a trigger; its token too, to those who may run the report."""
    with parts.database.reading() as session:
        webhook = find_by_reference(session, Webhook, reference, caller)
        is_owner = caller.role.includes(Role.USER)
        return build_one(_build_owner_row(parts, webhook) if is_owner else _build_row(webhook))


@router.put("/{reference}")
def change_webhook(reference: str, wanted: WebhookChange, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Enable or disable a trigger, give it another token, or change what it notifies."""
    with parts.database.writing() as session:
        webhook = find_by_reference(session, Webhook, reference, caller)
        if wanted.token is not None or wanted.refresh_token:
            set_token(webhook, wanted.token, parts.cipher)
        _apply(webhook, wanted)
        return build_one(_build_owner_row(parts, webhook))


@router.delete("/{reference}")
def delete_webhook(reference: str, parts: Parts, caller: Editor) -> dict[str, str]:
    """Delete a trigger."""
    with parts.database.writing() as session:
        session.delete(find_by_reference(session, Webhook, reference, caller))
    return {"message": "OK"}


def _apply(webhook: Webhook, wanted: WebhookSettings) -> None:
    for name in wanted.model_fields_set & {"details", "recipients", "slack_recipients"}:
        value = getattr(wanted, name)
        check_json(value)
        setattr(webhook, name, value if value is None or isinstance(value, str) else json.dumps(value))
    parse_details(webhook.details)
    check_addresses(parse_list(webhook.recipients))
    check_channels(parse_list(webhook.slack_recipients))
    if wanted.active is not None:
        webhook.active = wanted.active
    webhook.updated_on = get_now()


def _build_row(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "uid": webhook.uid,
        "report_id": webhook.report_id,
        "active": webhook.active,
        "details": webhook.details,
        "recipients": webhook.recipients,
        "slack_recipients": webhook.slack_recipients,
        "recipients_json": parse_list(webhook.recipients),
        "slack_recipients_json": parse_list(webhook.slack_recipients),
        "created_on": format_moment(webhook.created_on),
    }


def _build_owner_row(parts: ServiceParts, webhook: Webhook) -> dict[str, Any]:
    token = parts.cipher.decrypt(webhook.token_encrypted)
    url = build_trigger_url(parts.settings.base_url, webhook.report_id, token)
    return {**_build_row(webhook), "token": token, "url": url}
