"""Notifications of a run's end, added to the outbox in the transaction that ends it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.models import ReportSchedule, ReportTrigger, Run
from airflow_provider_pushmetrics.service.models.statuses import FAILED, SUCCESS
from airflow_provider_pushmetrics.service.notifications.message_outbox import SlackDraft, add_mail, add_slack
from airflow_provider_pushmetrics.service.notifications.recipients import (
    check_channel,
    parse_recipient,
    split_recipients,
    unique_recipients,
)
from airflow_provider_pushmetrics.service.notifications.texts import (
    FailedBlock,
    NotifyOn,
    RunNotice,
    build_slack_text,
    build_text,
)
from airflow_provider_pushmetrics.service.results.links import ResultLinks
from airflow_provider_pushmetrics.service.webhooks.run_events import EndedRun

MAX_RECIPIENTS = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipients:
    """The recipients of a notification: mail addresses and Slack channels."""

    addresses: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


def notify_recipients(session: Session, run: EndedRun, links: ResultLinks) -> None:
    """
    Add the notifications of a finished run to the outbox.

    Who cannot be notified is logged: recipients were checked when they were stored, perhaps by another
    version, and must not keep the run from its end.
    """
    try:
        recipients = find_recipients(session, run)
    except PushMetricsParameterError as error:
        log.warning("the recipients of run %s cannot be notified: %s", run.id, error)
        return
    if recipients == Recipients():
        return
    notice = build_notice(run, links)
    addresses = [one for one in recipients.addresses if _is_valid(one, run)]
    add_mail(session, run.workspace_id, addresses, build_text(notice))
    add_slack(session, run.workspace_id, SlackDraft(recipients.channels, build_slack_text(notice)))


def find_recipients(session: Session, run: EndedRun) -> Recipients:
    """Find the recipients for the run's final status."""
    if run.schedule_id is not None:
        schedule = session.get(ReportSchedule, run.schedule_id)
        if schedule is None:
            return Recipients()
        wanted = {SUCCESS: schedule.success_recipients, FAILED: schedule.failure_recipients}
        return Recipients(tuple(wanted.get(run.status, ())))
    webhook = session.get(ReportTrigger, run.webhook_id) if run.webhook_id else None
    if webhook is None:
        return Recipients()
    settings = parse_details(webhook.details)
    addresses, channels = parse_list(webhook.recipients), parse_list(webhook.slack_recipients)
    return Recipients(
        tuple(addresses) if settings["email_on"].includes(run.status) else (),
        tuple(channels) if settings["slack_on"].includes(run.status) else (),
    )


def _is_valid(address: str, run: EndedRun) -> bool:
    try:
        parse_recipient(address)
    except PushMetricsParameterError as error:
        log.warning("a recipient of run %s cannot be notified: %s", run.id, error)
        return False
    return True


def build_notice(run: EndedRun, links: ResultLinks) -> RunNotice:
    """Build the notification of a finished run."""
    if run.kind is Run:
        name, url = run.report_name, links.link_outputs(run.report_id, run.id)
    else:
        name = f"{run.report_name} / {run.block_name}"
        url = links.link_query(run.report_id, run.query_id, run.id) if run.query_id else ""
    failures = tuple(
        FailedBlock(block.name, block.error or "") for block in run.blocks if block.status == FAILED
    )
    return RunNotice(
        report_name=name,
        run_id=run.id,
        status=run.status,
        origin=run.origin,
        finished_on=run.finished_on,
        started_on=run.started_on,
        outputs_url=url or None,
        error=None if failures else run.error,
        failures=failures,
    )


def parse_list(text: str | None) -> list[str]:
    """Parse recipients as triggers store them: a JSON list, or a text with separators."""
    if not text:
        return []
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if isinstance(value, dict):
        value = value.get("emails") or value.get("channels") or []
    texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [entry for one in texts if isinstance(one, str) for entry in split_recipients(one)]


def parse_details(text: str | None) -> dict[str, NotifyOn]:
    """
    Parse when a trigger's recipients are notified: ``email_on`` and ``slack_on``, or ``on`` for both.

    :raises PushMetricsParameterError: if a value is not ``success``, ``failure`` or ``both``.
    """
    try:
        value: Any = json.loads(text or "{}")
    except (ValueError, RecursionError):
        value = {}
    if not isinstance(value, dict):
        value = {}
    found = {}
    for name in ("email_on", "slack_on"):
        word = value.get(name, value.get("on", NotifyOn.BOTH.value))
        try:
            found[name] = NotifyOn(word)
        except ValueError:
            raise PushMetricsParameterError(
                f"{name} is {word!r}: it must be success, failure or both"
            ) from None
    return found


def check_addresses(addresses: Iterable[str]) -> list[str]:
    """
    Check mail addresses and remove duplicates.

    :raises PushMetricsParameterError: if one is invalid, or there are too many.
    """
    parsed = [parse_recipient(entry) for one in addresses for entry in split_recipients(one)]
    return _check_count(list(map(str, unique_recipients(parsed))))


def check_channels(channels: Iterable[str]) -> list[str]:
    """
    Check Slack channels and remove duplicates.

    :raises PushMetricsParameterError: if one is invalid, or there are too many.
    """
    return _check_count([check_channel(channel) for channel in dict.fromkeys(channels)])


def _check_count(recipients: list[str]) -> list[str]:
    if len(recipients) > MAX_RECIPIENTS:
        raise PushMetricsParameterError(
            f"{len(recipients)} recipients are too many: at most {MAX_RECIPIENTS}"
        )
    return recipients
