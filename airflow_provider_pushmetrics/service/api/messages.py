"""Messages by mail and Slack: listed here whether or not they could be sent."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.listing import (
    Listing,
    match_integer,
    match_text,
    parse_list_query,
)
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference, select_in_workspace
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.models import OutgoingMessage
from airflow_provider_pushmetrics.service.notifications.outbox import send_again
from airflow_provider_pushmetrics.service.storage.clock import format_moment

router = APIRouter(prefix="/api/v1/message", tags=["message"])

LISTING = Listing(
    order=OutgoingMessage.id,
    is_descending=True,
    columns={"id": OutgoingMessage.id, "created_on": OutgoingMessage.created_on},
    conditions={
        ("id", "eq"): match_integer(OutgoingMessage.id, "id"),
        ("kind", "eq"): match_text(OutgoingMessage.kind),
        ("status", "eq"): match_text(OutgoingMessage.status),
        ("recipient", "eq"): match_text(OutgoingMessage.recipient),
    },
)


@router.get("/")
def list_messages(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List the messages of the workspace, the newest first."""
    with parts.database.reading() as session:
        rows = select_in_workspace(OutgoingMessage, caller)
        count, page = LISTING.fetch(session, rows, parse_list_query(q))
        return build_list(count, [_build_row(message) for message in page])


@router.get("/{reference}")
def get_message(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show a message."""
    with parts.database.reading() as session:
        return build_one(_build_row(find_by_reference(session, OutgoingMessage, reference, caller)))


@router.post("/{reference}/send")
def send_message(reference: str, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Send a message that was kept or that failed."""
    with parts.database.writing() as session:
        message = find_by_reference(session, OutgoingMessage, reference, caller)
        send_again(message)
        return build_one(_build_row(message))


def _build_row(message: OutgoingMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "uid": message.uid,
        "kind": message.kind,
        "recipient": message.recipient,
        "recipient_name": message.recipient_name,
        "subject": message.subject,
        "text": message.text,
        "files": [file["name"] for file in message.files],
        "status": message.status,
        "attempt_count": message.attempt_count,
        "created_on": format_moment(message.created_on),
        "finished_on": format_moment(message.finished_on),
        "error": message.error,
    }
