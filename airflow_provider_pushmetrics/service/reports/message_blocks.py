"""Rendering of text, email and Slack blocks."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, TypeVar

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.notifications.message_outbox import MailDraft, SlackDraft
from airflow_provider_pushmetrics.service.notifications.recipients import (
    check_channel,
    parse_recipient,
    split_recipients,
)
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText, build_subject
from airflow_provider_pushmetrics.service.reports.block_graph import PlannedBlock
from airflow_provider_pushmetrics.service.results.values import write_text
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.html import put_into_html, sanitize_mail, sanitize_page
from airflow_provider_pushmetrics.service.templates.markdown import (
    check_slack_length,
    escape_slack,
    write_markdown_as_html,
    write_markdown_for_slack,
)
from airflow_provider_pushmetrics.service.templates.markup import has_splicing, render_entries, render_markup
from airflow_provider_pushmetrics.service.templates.plain_text import write_plain_text
from airflow_provider_pushmetrics.service.templates.rendering import render_text

HTML = "html"
MARKDOWN = "markdown"
PLAIN_TEXT = "text"

MAX_FILE_NAME_LENGTH = 100
MAX_FALLBACK_LENGTH = 3000
UNSAFE_IN_NAMES = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u2028\u2029\ud800-\udfff]+')
"""Characters that are invalid in file names on some system, and line ends."""

Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class WantedFile:
    """
    A query's result to attach to a mail.

    :param name: The name of the file.
    :param skip_if_empty: Whether to leave it out if the query returned no rows.
    """

    query: str
    format: str
    name: str
    skip_if_empty: bool


def build_text(block: PlannedBlock, names: Mapping[str, Any]) -> tuple[str, str | None]:
    """
    Render a text block: as text, and its Markdown as HTML for a page.

    :return: The text, and the HTML; None for a template in which values could become markup.
    :raises BlockTemplateError: if its template fails.
    """
    if has_splicing(block.template):
        return render_text(block.template, names, write_text), None
    markup = render_markup(block.template, names, write_text)
    return markup.write_text(), sanitize_page(write_markdown_as_html(markup))


def build_mail(
    block: PlannedBlock, names: Mapping[str, Any], list_notes: Callable[[], Sequence[str]]
) -> MailDraft:
    """
    Build the mail of an email block.

    :param list_notes: Lists the notes for the end of the mail; called when the body is rendered.
    :raises BlockTemplateError: if a template fails, or renders an invalid address.
    """
    content = block.content
    subject = build_subject(_render_plain(content.get("subject"), names))
    recipients = _render_recipients(content.get("to_"), names, parse_recipient)
    text, html = _render_body(content, names, list_notes)
    return MailDraft(tuple(recipients), NoticeText(subject, text, html))


def build_slack(
    block: PlannedBlock, names: Mapping[str, Any], list_notes: Callable[[], Sequence[str]]
) -> SlackDraft:
    """
    Build the message of a Slack block.

    :param list_notes: Lists the notes for the end of the message; called when it is rendered.
    :raises BlockTemplateError: if a template fails, or renders an invalid channel.
    """
    channels = _render_recipients(block.content.get("channels"), names, check_channel)
    markup = render_markup(str(block.content.get("value_markdown", "")), names, write_text)
    notes = [escape_slack(note) for note in list_notes()]
    markdown = check_slack_length("\n\n".join([write_markdown_for_slack(markup), *notes]))
    fallback = escape_slack(markup.write_text()[:MAX_FALLBACK_LENGTH])
    return SlackDraft(tuple(channels), fallback, markdown)


def list_wanted_files(block: PlannedBlock, names: Mapping[str, Any]) -> list[WantedFile]:
    """
    List the attachments of an email block. Duplicate names are made unique.

    :raises BlockTemplateError: if the template of a name fails.
    """
    wanted: list[WantedFile] = []
    for number, content in enumerate(block.content.get("attachments") or (), start=1):
        extension = content["format"]
        stem = _render_plain(content.get("filename") or content["query"], names)
        stem = UNSAFE_IN_NAMES.sub("_", stem).strip(" .").removesuffix(f".{extension}")[:MAX_FILE_NAME_LENGTH]
        stem = stem or f"file_{number}"
        taken = {other.name.casefold() for other in wanted}  # some systems do not tell A from a
        stems = itertools.chain([stem], (f"{stem}_{count}" for count in itertools.count(number)))
        name = next(name for one in stems if (name := f"{one}.{extension}").casefold() not in taken)
        wanted.append(WantedFile(content["query"], extension, name, bool(content.get("skip_if_empty"))))
    return wanted


def _render_body(
    content: Mapping[str, Any], names: Mapping[str, Any], list_notes: Callable[[], Sequence[str]]
) -> tuple[str, str | None]:
    """Render a body in its format: as text, and as HTML unless it is plain text."""
    source, form = str(content.get("value", "")), content.get("format", PLAIN_TEXT)
    if form == PLAIN_TEXT:
        text = render_text(source, names, write_text)
        return "\n\n".join([text, *list_notes()]), None
    markup = render_markup(source, names, write_text)
    html = write_markdown_as_html(markup) if form == MARKDOWN else put_into_html(markup, markup.source)
    notes = (f"<p>{escape(note)}</p>" for note in list_notes())
    clean = sanitize_mail("\n".join([html, *notes]))
    return write_plain_text(clean), clean


def _render_plain(value: Any, names: Mapping[str, Any]) -> str:
    return render_text(str(value or ""), names, write_text)


def _render_recipients(value: Any, names: Mapping[str, Any], parse: Callable[[str], Parsed]) -> list[Parsed]:
    """Render each entry to one recipient; entries are split before values are inserted, never after."""
    texts = [value] if isinstance(value, str) else list(value or [])
    entries = [entry for text in texts for entry in split_recipients(str(text))]
    rendered = [text for entry in entries for text in render_entries(entry, names, write_text)]
    try:
        recipients = [parse(text.strip()) for text in rendered if text.strip()]
    except PushMetricsParameterError as error:
        raise BlockTemplateError(
            f"{error} A value makes one recipient; a parameter that is a list makes one of each item."
        ) from None
    if not recipients:
        raise BlockTemplateError("the list of recipients is empty.")
    return recipients
