"""Mail that the service has written: shown here whether or not it could be sent."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from airflow_provider_pushmetrics.service.api.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.lookup import find_by_reference, select_in_workspace
from airflow_provider_pushmetrics.service.api.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.clock import format_moment
from airflow_provider_pushmetrics.service.listing import (
    Listing,
    match_integer,
    match_text,
    parse_list_query,
)
from airflow_provider_pushmetrics.service.models import OutgoingMail
from airflow_provider_pushmetrics.service.notifications.outgoing import ask_again

router = APIRouter(prefix="/api/v1/mail", tags=["mail"])

LISTING = Listing(
    order=OutgoingMail.id,
    is_descending=True,
    columns={"id": OutgoingMail.id, "created_on": OutgoingMail.created_on},
    conditions={
        ("id", "eq"): match_integer(OutgoingMail.id, "id"),
        ("status", "eq"): match_text(OutgoingMail.status),
        ("recipient", "eq"): match_text(OutgoingMail.recipient),
    },
)


@router.get("/")
def list_mails(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List the mails of the workspace, the newest first."""
    with parts.database.reading() as session:
        rows = select_in_workspace(OutgoingMail, caller)
        count, page = LISTING.fetch(session, rows, parse_list_query(q))
        return build_list(count, [_build_row(mail) for mail in page])


@router.get("/{reference}")
def get_mail(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show a mail."""
    with parts.database.reading() as session:
        return build_one(_build_row(find_by_reference(session, OutgoingMail, reference, caller)))


@router.post("/{reference}/send")
def send_mail(reference: str, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Send a mail that was kept or that failed."""
    with parts.database.writing() as session:
        mail = find_by_reference(session, OutgoingMail, reference, caller)
        ask_again(session, mail.id)
        return build_one(_build_row(mail))


def _build_row(mail: OutgoingMail) -> dict[str, Any]:
    return {
        "id": mail.id,
        "uid": mail.uid,
        "recipient": mail.recipient,
        "subject": mail.subject,
        "text": mail.text,
        "attachments": [file["name"] for file in mail.attachments or ()],
        "status": mail.status,
        "attempt_count": mail.attempt_count,
        "created_on": format_moment(mail.created_on),
        "finished_on": format_moment(mail.finished_on),
        "error": mail.error,
    }
