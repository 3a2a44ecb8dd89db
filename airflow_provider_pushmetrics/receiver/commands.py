"""The commands of ``pushmetrics receiver`` besides serving. Each uses the inbox directly."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import requests
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError, PushMetricsParameterError
from airflow_provider_pushmetrics.receiver.endpoints.parsing import parse_webhook
from airflow_provider_pushmetrics.receiver.endpoints.reader import render_event
from airflow_provider_pushmetrics.receiver.inbox import replays
from airflow_provider_pushmetrics.receiver.inbox.cleanup import clean
from airflow_provider_pushmetrics.receiver.inbox.database import describe_outage
from airflow_provider_pushmetrics.receiver.inbox.records import StoredEvent
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.signatures import decode_secret, sign

SHOWN_PAGE = 500
FOLLOW_INTERVAL_SECONDS = 0.5
SEND_TIMEOUT_SECONDS = 30
TEST_EVENT = {
    "event": "report.run",
    "report_id": 1,
    "report_name": "Test of the receiver",
    "workspace_id": 1,
    "workspace_name": "Main Workspace",
    "report_notebook_outputs": "https://pushmetrics.io/api/reports/1/run/1",
    "queries": [],
}


@dataclass(frozen=True)
class IdRange:
    """A range of event ids, both ends included."""

    first: int
    last: int


def parse_range(text: str) -> IdRange:
    """
    Parse ``17`` or ``17-30``.

    :raises PushMetricsParameterError: for anything else.
    """
    first, _, last = text.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal() and int(first) <= int(last or first)):
        raise PushMetricsParameterError(f"{text!r} is not an event id or a range of them: write 17 or 17-30.")
    return IdRange(int(first), int(last or first))


def read_events(inbox: Inbox, wanted: EventFilter, *, after: int = 0) -> Iterator[StoredEvent]:
    """Read the current events after an id, page by page."""
    last_id = inbox.fetch_last_id()
    while after < last_id:
        page = inbox.fetch_page(wanted, after=after, limit=SHOWN_PAGE)
        yield from page.events
        after = page.cursor


def print_table(inbox: Inbox, wanted: EventFilter, *, after: int, console: Console) -> None:
    """Print events as a table."""
    table = _build_table("id", "received", "source", "event", "report", "query", "run", "replay of", "bytes")
    for event in read_events(inbox, wanted, after=after):
        about = parse_webhook(event.source, None, event.body)
        numbers = (about.report_id, about.query_id, about.run_id, event.replay_of, len(event.body))
        received = event.received_at.strftime("%Y-%m-%d %H:%M:%S")
        shown = ("" if number is None else str(number) for number in numbers)
        table.add_row(str(event.id), received, event.source, about.event, *shown)
    console.print(table)


def _build_table(*headers: str) -> Table:
    """Build a table that wraps wide cells instead of truncating them."""
    return Table(
        *(Column(header, overflow="fold") for header in headers), box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )


def export(inbox: Inbox, wanted: EventFilter, *, after: int, write: Callable[[str], object]) -> None:
    """Write events as in the feed, one JSON object a line."""
    for event in read_events(inbox, wanted, after=after):
        write(_write_line(event))


def follow(
    inbox: Inbox, wanted: EventFilter, *, write: Callable[[str], object], should_stop: Callable[[], bool]
) -> None:
    """Write events that arrive from now on, one JSON object a line, until interrupted."""
    after = inbox.fetch_last_id()
    while not should_stop():
        page = inbox.fetch_page(wanted, after=after, limit=SHOWN_PAGE)
        for event in page.events:
            write(_write_line(event))
        after = page.cursor
        if not page.events:
            time.sleep(FOLLOW_INTERVAL_SECONDS)


def _write_line(event: StoredEvent) -> str:
    """Format an event on one line, whatever line breaks its sender put into the body."""
    return json.dumps(json.loads(render_event(event)))


def replay(inbox: Inbox, chosen: IdRange, wanted: EventFilter) -> list[int]:
    """
    Append the events of a range again.

    :return: Their new ids.
    :raises PushMetricsConfigurationError: if the inbox fails after a part of them.
    """
    new_ids: list[int] = []
    after, through = chosen.first - 1, min(chosen.last, inbox.fetch_last_id())
    while after < through:
        try:
            page = inbox.fetch_page(wanted, after=after, limit=SHOWN_PAGE)
            found = [event.id for event in page.events if event.id <= through]
            new_ids += [item.id for item in replays.replay(inbox, found)]
        except SQLAlchemyError as error:
            if not new_ids:
                raise
            raise PushMetricsConfigurationError(
                f"{describe_outage(error)} Before that, {len(new_ids)} events, up to {after}, were replayed"
                f" as {new_ids[0]} to {new_ids[-1]}. To replay the rest without these, go on with"
                f" {after + 1}-{through}."
            ) from None
        after = page.cursor
    return new_ids


def clean_now(inbox: Inbox, keep_days: float | None) -> int:
    """
    Delete events beyond the limits.

    :raises PushMetricsConfigurationError: if no limit is given.
    """
    if keep_days is None:
        raise PushMetricsConfigurationError("there is no limit to clean by: set --keep-days.")
    return clean(inbox, keep_days, should_stop=lambda: False)


def build_test_event(now: datetime) -> bytes:
    """Build a ``report.run`` that is marked as a test."""
    return json.dumps({**TEST_EVENT, "timestamp": now.replace(microsecond=0).isoformat()}).encode("utf-8")


def send(url: str, *, token: str | None, signing_secret: str | None, body: bytes, message_id: str) -> str:
    """
    Send an event as PushMetrics would.

    :return: Status and response.
    :raises PushMetricsParameterError: if the URL is invalid.
    :raises PushMetricsConfigurationError: if the receiver cannot be reached.
    """
    if not url.startswith(("http://", "https://")):
        shown = url.partition("?")[0]  # the query may contain a token
        raise PushMetricsParameterError(
            f"{shown!r} is not a URL to send to: it must begin with http:// or https://, such as"
            f" http://{shown.rpartition('://')[2]}."
        )
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if signing_secret:
        timestamp = int(time.time())
        headers |= {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(decode_secret(signing_secret), message_id, timestamp, body),
        }
    try:
        answer = requests.post(
            url, data=body, headers=headers, timeout=SEND_TIMEOUT_SECONDS, allow_redirects=False
        )
    except requests.RequestException as error:
        # Its message contains the URL, which may contain a token.
        raise PushMetricsConfigurationError(
            f"the receiver cannot be reached ({type(error).__name__}): check the URL, and that it is running."
        ) from None
    return f"{answer.status_code} {answer.text[:500]}"


def read_body(file: str | None, now: datetime) -> bytes:
    """
    Read the event to send from a file, or build one.

    :raises PushMetricsParameterError: if the file cannot be read.
    """
    if file is None:
        return build_test_event(now)
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise PushMetricsParameterError(f"the file {file!r} cannot be read: {error.strerror}.") from None


def list_rejections(inbox: Inbox, console: Console, *, limit: int) -> None:
    """Print the newest rejected webhooks."""
    table = _build_table("when", "source", "from", "status", "outcome", "reason")
    for row in inbox.fetch_rejections(limit=limit):
        when = row.rejected_at.strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(when, row.source, row.client, str(row.status), row.outcome, row.reason)
    console.print(table)
