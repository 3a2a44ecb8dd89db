"""
Templates of HTML and Markdown: the author's text with a mark for each value.

The values are kept apart while the text is parsed, and are inserted afterwards, as text only. No value is
read as markup: not with ``| safe``, not with another filter, and not by a difference between parsers. Only a
:class:`Fragment`, which this package builds, is inserted as it is.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

from jinja2 import Undefined

from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError, Budget
from airflow_provider_pushmetrics.service.templates.rendering import (
    TemplateQuery,
    find_splicing,
    load_template,
    parse_template,
    render_template,
)
from airflow_provider_pushmetrics.service.templates.sandbox import BoundedEnvironment
from airflow_provider_pushmetrics.service.templates.values import Identifier, InClause

UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
"""Characters that HTML or UTF-8 cannot contain."""


@dataclass(frozen=True)
class Fragment:
    """
    Markup that this package builds, such as the table of a result; its values are already escaped.

    :param html: As HTML.
    :param text: As plain text of one or more lines.
    """

    html: str
    text: str


@runtime_checkable
class Embeddable(Protocol):
    """A value with markup of its own. In templates without markup, ``str`` gives its text."""

    def embed(self) -> Fragment:
        """Build its markup."""


Value: TypeAlias = str | Fragment
Converted = TypeVar("Converted")

WriteValue: TypeAlias = Callable[[Any], str]
"""Writes a value of a template as text for people."""


@dataclass(frozen=True)
class RenderedMarkup:
    """
    A rendered template and its values.

    :param source: Its text, with a mark for each value: a word of ASCII letters and digits.
    :param mark: Finds the marks.
    """

    source: str
    values: Sequence[Value]
    mark: re.Pattern[str]

    def find(self, match: re.Match[str]) -> Value:
        """Find the value of a mark."""
        return self.values[int(match[1])]

    def write_text(self) -> str:
        """Write it as plain text, each value as it is."""
        return self.mark.sub(lambda match: get_text(self.find(match)), self.source)


def render_markup(source: str, names: Mapping[str, Any], write: WriteValue) -> RenderedMarkup:
    """
    Render a template of HTML or Markdown.

    :param write: Writes each value that is not a text.
    :raises BlockTemplateError: if it fails, or has a construct that renders values to text.
    """
    check_markup_template(source)

    def convert(value: Any) -> Value:
        return value.embed() if isinstance(value, Embeddable) else write_plain(value, write)

    return RenderedMarkup(*_render_with_marks(source, names, convert, write))


def render_entries(source: str, names: Mapping[str, Any], write: WriteValue) -> list[str]:
    """
    Render one entry of a list, such as a recipient: one text, or one for each item of a list of values.

    :raises BlockTemplateError: if it fails, or if a list is combined with other text.
    """
    check_markup_template(source)

    def convert(value: Any) -> list[str] | str:
        is_list = isinstance(value, list | tuple)
        return [write_plain(one, write) for one in value] if is_list else write_plain(value, write)

    text, values, mark = _render_with_marks(source.strip(), names, convert, write)
    only = mark.fullmatch(text)
    if only is not None and isinstance(items := values[int(only[1])], list):
        return items
    if any(isinstance(values[int(found[1])], list) for found in mark.finditer(text)):
        raise BlockTemplateError(
            f"a list is combined with other text in {source!r:.100}: write {{{{ … }}}} of a list by itself."
        )
    return [mark.sub(lambda found: str(values[int(found[1])]), text)]


def check_markup_template(source: str) -> None:
    """
    Refuse a template with constructs that render values to text before they are inserted.

    :raises BlockTemplateError: for the first such construct, or if it is not a template.
    """
    for written in _find_splicing(source):
        raise BlockTemplateError(
            f"HTML and Markdown cannot have {written}: a value in it could become markup. Use"
            " {{ … }}, {% if %}, {% for %} and {% set name = value %}."
        )


def has_splicing(source: str) -> bool:
    """
    Tell whether a template has such a construct.

    :raises BlockTemplateError: if it is not a template.
    """
    return any(True for _ in _find_splicing(source))


def get_text(value: Value) -> str:
    return value.text if isinstance(value, Fragment) else value


def write_plain(value: Any, write: WriteValue) -> str:
    """Write a value as text that HTML, mail and databases can contain."""
    text = value.source if isinstance(value, TemplateQuery) else value
    # The Markup of ``| safe`` is a subclass of str; here it is plain text.
    text = str.__str__(text) if isinstance(text, str) else write(text)
    return UNWRITABLE.sub("\ufffd", text)


def _find_splicing(source: str) -> Iterator[str]:
    return find_splicing(parse_template(source))


def _render_with_marks(
    source: str, names: Mapping[str, Any], convert: Callable[[Any], Converted], write: WriteValue
) -> tuple[str, list[Converted], re.Pattern[str]]:
    """
    Render a template with a mark in place of each value.

    :return: The text, the values, and the pattern of the marks, whose group is the number of the value.
    """
    key = secrets.token_hex(4)
    while key in source:
        key = secrets.token_hex(4)
    values: list[Converted] = []
    budget = Budget()

    def put_aside(value: Any) -> str:
        budget.weigh(value)
        if isinstance(value, Undefined):
            return str(value)  # raises an error with the undefined name
        if isinstance(value, Identifier | InClause):
            raise BlockTemplateError("identifier and inclause can be used in SQL only: remove them.")
        converted = convert(value)
        budget.write(_measure(converted))
        values.append(converted)
        return f"x{key}n{len(values) - 1}x"

    template = load_template(BoundedEnvironment(budget, put_aside, write), UNWRITABLE.sub("\ufffd", source))
    return render_template(template, names), values, re.compile(rf"x{key}n([0-9]+)x")


def _measure(value: object) -> int:
    if isinstance(value, list):
        return sum(map(len, value))
    return len(value.text) if isinstance(value, Fragment) else len(str(value))
