"""Webhook triggers: their tokens, and who may pull them."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.clock import get_now
from airflow_provider_pushmetrics.service.credentials import (
    URL_SAFE,
    generate_trigger_token,
    hash_token,
    is_same_hash,
)
from airflow_provider_pushmetrics.service.encryption import Vault
from airflow_provider_pushmetrics.service.ids import parse_id
from airflow_provider_pushmetrics.service.models import Report, Webhook


def find_pulled_trigger(session: Session, report_reference: str, token: str) -> Webhook | None:
    """
    Find the trigger of a report that this token pulls, enabled or not.

    An unknown report and a wrong token take the same way and give the same answer.
    """
    report_id = parse_id(report_reference)
    report = Report.uid == report_reference if report_id is None else Report.id == report_id
    offered = hash_token(token)
    found = None
    for webhook in session.scalars(select(Webhook).join(Report).where(report)):
        if is_same_hash(webhook.token_hash, offered):
            found = webhook
    return found


def set_token(webhook: Webhook, token: str | None, vault: Vault) -> None:
    """
    Give a trigger a token, a new one unless somebody chose it; the old one is dead at the commit.

    :raises PushMetricsParameterError: if the chosen one cannot ride in a URL.
    """
    if token is not None and not URL_SAFE.match(token):
        raise PushMetricsParameterError(
            "The token must be 16 to 256 letters, digits and '-', '_', '.', '~', or left out"
        )
    token = token or generate_trigger_token()
    webhook.token_hash = hash_token(token)
    webhook.token_encrypted = vault.encrypt(token)
    webhook.updated_on = get_now()


def build_trigger_url(base_url: str, report_id: int, token: str) -> str:
    """Build the URL that starts a run, its token included."""
    return f"{base_url}/api/v1/report/{report_id}/webhook?token={token}"
