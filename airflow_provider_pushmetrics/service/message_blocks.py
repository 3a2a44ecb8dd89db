"""What message and chart blocks make of their templates and of rows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from html import escape
from typing import Any, TypeVar

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.notifications.outbox import MailDraft, SlackDraft
from airflow_provider_pushmetrics.service.notifications.recipients import (
    check_channel,
    parse_recipient,
    split_recipients,
)
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText, build_subject
from airflow_provider_pushmetrics.service.plan import PlannedBlock
from airflow_provider_pushmetrics.service.templates.rendering import BlockTemplateError, render_text

MAX_CHART_ROWS = 10_000
MAX_NAME_LENGTH = 100
UNSAFE_IN_NAMES = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u2028\u2029\ud800-\udfff]+')
"""What some system does not take in the name of a file, and what ends a line."""

Parsed = TypeVar("Parsed")

VEGA_LITE = "https://vega.github.io/schema/vega-lite/v5.json"


@dataclass(frozen=True)
class WantedFile:
    """
    A query's result that a block wants to go with its mail.

    :param name: What the file is called.
    :param skip_if_empty: Whether it stays away when the query gave no rows.
    """

    query: str
    format: str
    name: str
    skip_if_empty: bool


def build_mail(block: PlannedBlock, names: Mapping[str, Any]) -> MailDraft:
    """
    Build the mail of an email block.

    :raises BlockTemplateError: if a template fails, or makes something that is no address.
    """
    content = block.content
    subject = build_subject(render_text(str(content.get("subject", "")), names))
    body = render_text(str(content.get("value", "")), names)
    recipients = _render_recipients(content.get("to_"), names, parse_recipient)
    return MailDraft(tuple(recipients), NoticeText(subject, body, _write_html(body)))


def list_wanted_files(block: PlannedBlock, names: Mapping[str, Any]) -> list[WantedFile]:
    """
    List the files of an email block. Two of one name get different ones.

    :raises BlockTemplateError: if the template of a name fails.
    """
    wanted: list[WantedFile] = []
    for number, content in enumerate(block.content.get("attachments") or (), start=1):
        extension = content["format"]
        stem = render_text(str(content.get("filename") or content["query"]), names)
        stem = UNSAFE_IN_NAMES.sub("_", stem).strip(" .").removesuffix(f".{extension}")[:MAX_NAME_LENGTH]
        stem = stem or f"file_{number}"
        name = f"{stem}.{extension}"
        if any(other.name == name for other in wanted):
            name = f"{stem}_{number}.{extension}"
        wanted.append(WantedFile(content["query"], extension, name, bool(content.get("skip_if_empty"))))
    return wanted


def build_slack(block: PlannedBlock, names: Mapping[str, Any]) -> SlackDraft:
    """
    Build the message of a Slack block.

    :raises BlockTemplateError: if a template fails.
    """
    channels = _render_recipients(block.content.get("channels"), names, check_channel)
    return SlackDraft(tuple(channels), render_text(str(block.content.get("value_markdown", "")), names))


def build_chart(block: PlannedBlock, rows: Sequence[Mapping[str, Any]], names: Mapping[str, Any]) -> str:
    """
    Build a chart: its Vega-Lite specification with its texts rendered and the rows of its query in it.

    :raises BlockTemplateError: if a template fails, or there are more rows than a chart can show.
    """
    if len(rows) > MAX_CHART_ROWS:
        raise BlockTemplateError(
            f"{len(rows)} rows are too many for a chart, which takes {MAX_CHART_ROWS}: aggregate them."
        )
    spec = _render_texts(dict(block.content["spec"]), names)
    spec = {"$schema": VEGA_LITE, **spec, "data": {"values": [_simplify_row(row) for row in rows]}}
    return json.dumps(spec, ensure_ascii=False, separators=(",", ":"))


def _render_recipients(value: Any, names: Mapping[str, Any], parse: Callable[[str], Parsed]) -> list[Parsed]:
    """Render each entry to one recipient; entries are split before values are put in, never after."""
    texts = [value] if isinstance(value, str) else list(value or [])
    entries = [entry for text in texts for entry in split_recipients(str(text))]
    rendered = [text for entry in entries if (text := render_text(entry, names).strip())]
    if not rendered:
        raise BlockTemplateError("the list of recipients is empty.")
    try:
        return [parse(text) for text in rendered]
    except PushMetricsParameterError as error:
        raise BlockTemplateError(str(error)) from None


def _render_texts(value: Any, names: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return render_text(value, names) if "{" in value else value
    if isinstance(value, dict):
        return {key: _render_texts(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_render_texts(one, names) for one in value]
    return value


def _write_html(text: str) -> str:
    """Give a body that is HTML as it is, and another as paragraphs."""
    if text.lstrip().startswith("<"):
        return text
    return "".join(f"<p>{escape(part)}</p>\n" for part in text.split("\n\n"))


def _simplify_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _simplify(value) for name, value in row.items()}


def _simplify(value: Any) -> Any:
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_simplify(one) for one in value]
    return _simplify_row(value) if isinstance(value, dict) else value
