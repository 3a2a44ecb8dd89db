"""Webhook triggers: their tokens and URLs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, or_, select
from sqlalchemy.exc import DataError

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.accounts.authentication import (
    URL_SAFE,
    generate_trigger_token,
    hash_token,
    is_same_hash,
)
from airflow_provider_pushmetrics.service.models import Report, ReportTrigger
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database, execute_core
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.service.storage.ids import MAX_INTEGER_ID, is_uid, parse_id

SELECT_TRIGGERS = (
    select(
        *(ReportTrigger.id, ReportTrigger.report_id, ReportTrigger.active, ReportTrigger.token_hash),
        Report.uid,
    )
    .join(Report)
    .where(
        or_(
            Report.id.in_(bindparam("numbers", expanding=True)),
            Report.uid.in_(bindparam("uids", expanding=True)),
        )
    )
)


@dataclass(frozen=True)
class TriggerCall:
    """
    A call of a trigger's URL.

    :param report: The id or the uid of the report in the URL.
    """

    report: str
    token: str


@dataclass(frozen=True)
class CalledTrigger:
    """The trigger of a call."""

    id: int
    report_id: int
    is_active: bool


def find_called_triggers(database: Database, calls: Sequence[TriggerCall]) -> list[CalledTrigger | None]:
    """
    Find the trigger of each call, enabled or not; None if there is none.

    An unknown report and a wrong token are indistinguishable. Values that the database would reject count
    as unknown, and do not affect other calls.
    """
    try:
        return _find_called_triggers(database, calls)
    except DataError:
        if len(calls) == 1:
            return [None]
        return [found for call in calls for found in find_called_triggers(database, [call])]


def _find_called_triggers(database: Database, calls: Sequence[TriggerCall]) -> list[CalledTrigger | None]:
    ids = {call.report: parse_id(call.report) for call in calls}
    # Invalid uids must not reach PostgreSQL: a zero byte would fail the query of all calls.
    uids = {reference for reference, number in ids.items() if number is None and is_uid(reference)}
    # Nor must a number that its columns cannot hold.
    numbers = {number for number in ids.values() if number is not None and number <= MAX_INTEGER_ID}
    named = {"numbers": list(numbers), "uids": list(uids)}
    by_report = defaultdict[int | str, list[tuple[str, CalledTrigger]]](list)
    with database.reading() as session:
        for row in execute_core(session, SELECT_TRIGGERS, named):
            found = (row.token_hash, CalledTrigger(row.id, row.report_id, row.active))
            by_report[row.report_id].append(found)
            by_report[row.uid].append(found)
    return [_choose(call, by_report[ids[call.report] or call.report]) for call in calls]


def _choose(call: TriggerCall, candidates: Sequence[tuple[str, CalledTrigger]]) -> CalledTrigger | None:
    offered = hash_token(call.token)
    chosen = None
    for token_hash, trigger in candidates:
        if is_same_hash(token_hash, offered):
            chosen = trigger
    return chosen


def set_token(webhook: ReportTrigger, token: str | None, cipher: Cipher) -> None:
    """
    Set a trigger's token, a random one by default; the old one is invalid after the commit.

    :raises PushMetricsParameterError: if the given one is not URL-safe.
    """
    if token is not None and not URL_SAFE.match(token):
        raise PushMetricsParameterError(
            "The token must be 16 to 256 letters, digits and '-', '_', '.', '~', or left out"
        )
    token = token or generate_trigger_token()
    webhook.token_hash = hash_token(token)
    webhook.token_encrypted = cipher.encrypt(token)
    webhook.updated_on = get_now()


def build_trigger_url(base_url: str, report_id: int, token: str) -> str:
    """Build the URL that starts a run, including its token."""
    return f"{base_url}/api/v1/report/{report_id}/webhook?token={token}"
