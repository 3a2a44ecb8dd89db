"""Webhook triggers: their tokens, and who may pull them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.exc import DataError

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.accounts.authentication import (
    URL_SAFE,
    generate_trigger_token,
    hash_token,
    is_same_hash,
)
from airflow_provider_pushmetrics.service.models import Report, Webhook
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Vault
from airflow_provider_pushmetrics.service.storage.ids import MAX_INTEGER, is_uid, parse_id


@dataclass(frozen=True)
class Pull:
    """
    A call of a trigger's URL.

    :param report: The report that it names, by its id or its uid.
    """

    report: str
    token: str


@dataclass(frozen=True)
class PulledTrigger:
    """The trigger that a call pulls."""

    id: int
    report_id: int
    is_active: bool


def find_pulled_triggers(database: Database, pulls: Sequence[Pull]) -> list[PulledTrigger | None]:
    """
    Find the trigger that each call pulls, enabled or not; None where there is none.

    An unknown report and a wrong token take the same way and give the same answer. What the database refuses
    to look for is unknown, and spoils no other call's answer.
    """
    try:
        return _find_pulled_triggers(database, pulls)
    except DataError:
        if len(pulls) == 1:
            return [None]
        return [found for pull in pulls for found in find_pulled_triggers(database, [pull])]


def _find_pulled_triggers(database: Database, pulls: Sequence[Pull]) -> list[PulledTrigger | None]:
    ids = {pull.report: parse_id(pull.report) for pull in pulls}
    # What cannot be a uid must not reach PostgreSQL: for a zero byte it would refuse the question of all.
    uids = {reference for reference, number in ids.items() if number is None and is_uid(reference)}
    # Nor must a number that its columns cannot hold.
    numbers = {number for number in ids.values() if number is not None and number <= MAX_INTEGER}
    named = or_(Report.id.in_(numbers), Report.uid.in_(uids))
    wanted = select(Webhook.id, Webhook.report_id, Webhook.active, Webhook.token_hash, Report.uid)
    by_report = defaultdict[int | str, list[tuple[str, PulledTrigger]]](list)
    with database.reading() as session:
        for row in session.execute(wanted.join(Report).where(named)):
            found = (row.token_hash, PulledTrigger(row.id, row.report_id, row.active))
            by_report[row.report_id].append(found)
            by_report[row.uid].append(found)
    return [_choose(pull, by_report[ids[pull.report] or pull.report]) for pull in pulls]


def _choose(pull: Pull, candidates: Sequence[tuple[str, PulledTrigger]]) -> PulledTrigger | None:
    offered = hash_token(pull.token)
    chosen = None
    for token_hash, trigger in candidates:
        if is_same_hash(token_hash, offered):
            chosen = trigger
    return chosen


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
