"""Messages to Slack: what is on its way, what was posted, and what could not be."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from airflow_provider_pushmetrics.service.api.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.lookup import select_in_workspace
from airflow_provider_pushmetrics.service.api.shapes import build_list
from airflow_provider_pushmetrics.service.clock import format_moment
from airflow_provider_pushmetrics.service.listing import Listing, match_integer, match_text, parse_list_query
from airflow_provider_pushmetrics.service.models import SlackMessage

router = APIRouter(prefix="/api/v1/slack_message", tags=["Slack"])

MESSAGES = Listing(
    order=SlackMessage.id,
    columns={"id": SlackMessage.id},
    conditions={
        ("id", "eq"): match_integer(SlackMessage.id, "id"),
        ("channel", "eq"): match_text(SlackMessage.channel),
        ("status", "eq"): match_text(SlackMessage.status),
    },
    is_descending=True,
)


@router.get("/")
def list_messages(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List the messages to Slack, the newest first."""
    with parts.database.reading() as session:
        rows = select_in_workspace(SlackMessage, caller)
        count, page = MESSAGES.fetch(session, rows, parse_list_query(q))
        return build_list(count, [_build_message_row(message) for message in page])


def _build_message_row(message: SlackMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "uid": message.uid,
        "channel": message.channel,
        "text": message.text,
        "status": message.status,
        "attempt_count": message.attempt_count,
        "error": message.error,
        "created_on": format_moment(message.created_on),
        "finished_on": format_moment(message.finished_on),
    }
