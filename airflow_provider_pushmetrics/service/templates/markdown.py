"""Markdown as HTML, and as Slack's dialect of it."""

from __future__ import annotations

import re
from urllib.parse import quote

from markdown_it import MarkdownIt

from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.html import put_into_html
from airflow_provider_pushmetrics.service.templates.markup import Fragment, RenderedMarkup, get_text

MAX_MARKDOWN_LENGTH = 100_000
"""Characters of the author's Markdown, without values. The parser takes up to ten seconds for this."""

MAX_SLACK_LENGTH = 12_000
"""https://docs.slack.dev/reference/block-kit/blocks/markdown-block"""

OPTIONS = {"html": False, "breaks": True, "maxNesting": 20}
"""Tags are text, and the line breaks of paragraphs are kept."""

SPECIAL = re.compile(r"[\\`*_~\[\]|]")
"""Characters that are markup in any position; a backslash escapes them."""

BLOCK_START = re.compile(r"\A(\d{1,9}(?=[.)](?:\s|\Z))|(?=(?:#{1,6}|[-+]|[-=]+)(?:\s|\Z)))")
"""What begins a heading, a list or a rule at the start of a line."""

DESTINATION = re.compile(r"(?<=\]\()[^()\s]*|<[A-Za-z][A-Za-z0-9+.-]*:[^<>\s]*>")
"""The target of a link."""

ANGLED = re.compile(r"<[^<>]*>")
SLACK_ID = re.compile(r"[A-Z0-9]{1,24}\Z")

ALIGNMENT = re.compile(r'style="text-align:(left|right|center)"')

URL_CHARACTERS = "!#$%&'*+,-./:;=?@~"

_PARSER = MarkdownIt("commonmark", OPTIONS).enable(["table", "strikethrough"])


def write_markdown_as_html(markup: RenderedMarkup) -> str:
    """
    Write Markdown as HTML. The caller must sanitize it: its links may have any target.

    :raises BlockTemplateError: if it is too long.
    """
    if len(markup.source) > MAX_MARKDOWN_LENGTH:
        raise BlockTemplateError(f"the Markdown has more than {MAX_MARKDOWN_LENGTH} characters: write less.")
    html: str = _PARSER.render(markup.source)
    # The parser aligns columns by styles, which a strict content security policy refuses.
    html = ALIGNMENT.sub(r'align="\1"', html)
    alone = re.compile(rf"<p>({markup.mark.pattern})</p>")
    html = alone.sub(lambda match: match[1] if _is_table(markup, match) else match[0], html)
    return put_into_html(markup, html)


def write_markdown_for_slack(markup: RenderedMarkup) -> str:
    """
    Write Markdown for Slack's ``markdown`` block; no value can mention a user or a channel.

    The result may be too long: :func:`check_slack_length`.
    """
    source = DESTINATION.sub(
        lambda place: markup.mark.sub(lambda match: _write_as_url(markup, match), place[0]), markup.source
    )
    source = ANGLED.sub(lambda place: _write_mention(markup, place[0]), source)
    return markup.mark.sub(lambda match: _write_for_slack(markup, match), source)


def check_slack_length(text: str) -> str:
    """
    Give a text for Slack's ``markdown`` block.

    :raises BlockTemplateError: if it is longer than Slack accepts.
    """
    if len(text) > MAX_SLACK_LENGTH:
        raise BlockTemplateError(
            f"the message has {len(text)} characters, and Slack accepts {MAX_SLACK_LENGTH}: write less."
        )
    return text


def escape_slack(text: str) -> str:
    """Escape Slack's three control characters: https://api.slack.com/reference/surfaces/formatting#escaping."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _is_table(markup: RenderedMarkup, match: re.Match[str]) -> bool:
    value = markup.values[int(match[2])]
    return isinstance(value, Fragment) and value.html.startswith("<table")


def _write_for_slack(markup: RenderedMarkup, match: re.Match[str]) -> str:
    value = markup.find(match)
    if isinstance(value, Fragment):
        return f"\n```\n{escape_slack(value.text.replace('`', chr(0x2CB)))}\n```\n"
    lines = (line for one in value.splitlines() if (line := one.strip()))
    return escape_slack("\n".join(map(_escape_line, lines)))


def _escape_line(line: str) -> str:
    return BLOCK_START.sub(r"\1\\", SPECIAL.sub(r"\\\g<0>", line))


def _write_mention(markup: RenderedMarkup, place: str) -> str:
    """Insert ids into ``<@…>`` and ``<#…>``, and refuse any other value that could be a mention."""
    marks = list(markup.mark.finditer(place))
    if not marks:
        return place
    value = get_text(markup.find(marks[0]))
    if len(marks) > 1 or place not in (f"<@{marks[0][0]}>", f"<#{marks[0][0]}>") or not SLACK_ID.match(value):
        raise BlockTemplateError(
            "a {{ … }} is in <…>, where Slack could read it as a mention: only the id of a user or of a"
            " channel may, as in <@{{ user_id }}>. Write links as [text]({{ url }})."
        )
    return place.replace(marks[0][0], value)


def _write_as_url(markup: RenderedMarkup, match: re.Match[str]) -> str:
    return escape_slack(quote(get_text(markup.find(match)), safe=URL_CHARACTERS))
