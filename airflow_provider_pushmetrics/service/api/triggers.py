"""Triggers of reports: creating, showing, changing and deleting them."""

from __future__ import annotations

import json

from airflow_provider_pushmetrics.service.accounts.roles import Role
from airflow_provider_pushmetrics.service.api.conventions.access import Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.listing import Listing, match_integer
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.resources import Resource, Viewer, rows_of
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    OK,
    Confirmation,
    build_answer,
    build_one,
)
from airflow_provider_pushmetrics.service.api.schemas.triggers import (
    NewTrigger,
    TriggerChange,
    TriggerDetails,
    TriggerList,
    TriggerResponse,
    TriggerRow,
    TriggerSettings,
)
from airflow_provider_pushmetrics.service.models import Report, ReportTrigger
from airflow_provider_pushmetrics.service.reports.block_types import check_json
from airflow_provider_pushmetrics.service.runs.notices import (
    check_addresses,
    check_channels,
    parse_details,
    parse_list,
)
from airflow_provider_pushmetrics.service.runs.triggers import build_trigger_url, set_token
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.storage.clock import get_now

router = make_router("/api/v1/webhook", "webhook trigger", has_secrets=True)

LISTING = Listing(
    order=ReportTrigger.id,
    columns={"id": ReportTrigger.id},
    conditions={
        ("id", "eq"): match_integer(ReportTrigger.id, "id"),
        ("report_id", "eq"): match_integer(ReportTrigger.report_id, "report_id"),
    },
)


def build_trigger_row(webhook: ReportTrigger) -> TriggerRow:
    """Build what lists show of a trigger."""
    return build_answer(
        TriggerRow,
        webhook,
        recipients_json=parse_list(webhook.recipients),
        slack_recipients_json=parse_list(webhook.slack_recipients),
    )


def build_trigger_details(webhook: ReportTrigger, parts: ServiceParts) -> TriggerDetails:
    """Build a trigger with its token and its URL."""
    token = parts.cipher.decrypt(webhook.token_encrypted)
    url = build_trigger_url(parts.settings.base_url, webhook.report_id, token)
    return {**build_trigger_row(webhook), "token": token, "url": url}


def _build_for(webhook: ReportTrigger, viewer: Viewer) -> TriggerRow:
    may_run = viewer.caller.role.includes(Role.USER)
    return build_trigger_details(webhook, viewer.parts) if may_run else build_trigger_row(webhook)


Resource(
    name="trigger",
    plural="triggers",
    rows=rows_of(ReportTrigger),
    listing=LISTING,
    build_row=lambda webhook, _: build_trigger_row(webhook),
    list_schema=TriggerList,
    build_details=_build_for,
    schema=TriggerResponse,
).add_routes(router)


@router.post("/", status_code=201)
def create_trigger(wanted: NewTrigger, parts: Parts, caller: Editor) -> TriggerResponse:
    """Create a trigger of a report."""
    with parts.database.writing() as session:
        report = find_by_reference(session, Report, str(wanted.report_id), caller)
        webhook = ReportTrigger(report_id=report.id)
        set_token(webhook, wanted.token, parts.cipher)
        _apply(webhook, wanted)
        session.add(webhook)
        session.flush()
        return build_one(build_trigger_details(webhook, parts))


@router.put("/{reference}")
def update_trigger(
    reference: Reference, wanted: TriggerChange, parts: Parts, caller: Editor
) -> TriggerResponse:
    """Enable or disable a trigger, or change its token or its notifications."""
    with parts.database.writing() as session:
        webhook = find_by_reference(session, ReportTrigger, reference, caller)
        if wanted.token is not None or wanted.refresh_token:
            set_token(webhook, wanted.token, parts.cipher)
        _apply(webhook, wanted)
        return build_one(build_trigger_details(webhook, parts))


@router.delete("/{reference}")
def delete_trigger(reference: Reference, parts: Parts, caller: Editor) -> Confirmation:
    """Delete a trigger."""
    with parts.database.writing() as session:
        session.delete(find_by_reference(session, ReportTrigger, reference, caller))
    return OK


def _apply(webhook: ReportTrigger, wanted: TriggerSettings) -> None:
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
