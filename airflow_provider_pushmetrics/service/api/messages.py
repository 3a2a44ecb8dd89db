"""Messages by mail and Slack, sent or not."""

from __future__ import annotations

from airflow_provider_pushmetrics.service.api.conventions.access import Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.listing import Listing, match_integer, match_text
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.resources import Resource, rows_of
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_answer, build_one
from airflow_provider_pushmetrics.service.api.schemas.messages import MessageList, MessageResponse, MessageRow
from airflow_provider_pushmetrics.service.models import OutgoingMessage
from airflow_provider_pushmetrics.service.notifications.message_outbox import send_again
from airflow_provider_pushmetrics.service.storage.clock import read_database_clock
from airflow_provider_pushmetrics.service.storage.database import lock_row

router = make_router("/api/v1/message", "message")

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


def build_message_row(message: OutgoingMessage) -> MessageRow:
    return build_answer(MessageRow, message, files=[file["name"] for file in message.files])


Resource(
    name="message",
    plural="messages",
    rows=rows_of(OutgoingMessage),
    listing=LISTING,
    build_row=lambda message, _: build_message_row(message),
    list_schema=MessageList,
    schema=MessageResponse,
).add_routes(router)


@router.post("/{reference}/send")
def send_message(reference: Reference, parts: Parts, caller: Editor) -> MessageResponse:
    """Send a message whose status is `kept` or `failed`."""
    with parts.database.writing() as session:
        message = find_by_reference(session, OutgoingMessage, reference, caller)
        lock_row(session, message)  # a repeated call may just have sent it
        send_again(message, read_database_clock(session))
        return build_one(build_message_row(message))
