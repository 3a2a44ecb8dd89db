"""
Find the position of each ``{{ … }}`` in rendered SQL, and write the SQL with placeholders for the values.

A value in the position of an expression is bound. A text literal with values in it becomes one bound text.
A comment is sent without the value. A value in a quoted name, or in SQL that a database could read in more
than one way, is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.constant_items import refuse_constant_items
from airflow_provider_pushmetrics.service.templates.dialects import ANY_TYPE, Dialect
from airflow_provider_pushmetrics.service.templates.lexer import MARK, Kind, Token
from airflow_provider_pushmetrics.service.templates.literals import decode_text
from airflow_provider_pushmetrics.service.templates.values import (
    NULL,
    Identifier,
    InClause,
    Pieces,
    UnknownText,
    Value,
)


@dataclass(frozen=True)
class BoundSql:
    """
    SQL and its bound values.

    :param parts: The text between the values; one more than the values.
    :param values: The values, in the order of their placeholders.
    """

    parts: tuple[str, ...]
    values: tuple[Any, ...]

    def write(self, write_placeholder: Callable[[int], str]) -> str:
        """Write the text with the placeholders of a driver, which are numbered from 1."""
        text = [self.parts[0]]
        for number, part in enumerate(self.parts[1:], start=1):
            text += write_placeholder(number), part
        return "".join(text)


OPENS = frozenset(" \t\n(,")
CLOSES = frozenset(" \t\n),;")
"""Characters that separate a placeholder from the text before and after it."""

TYPED = re.compile(
    r"(?:(?<![\w.])(?:timestamp|time)\s*(?:\(\s*\d+\s*\)\s*)?\s(?:with|without)\s+time\s+zone"
    r"|\bdouble\s+precision|\bcharacter\s+varying"
    r"|(?P<word>[\w$.]+)(?P<precision>\s*\(\s*\d+\s*(?:,\s*\d+\s*)?\))?)\s*\Z",
    re.IGNORECASE,
)
"""The name of a type before a text literal, as in ``date '…'``."""

# fmt: off
WORDS_BEFORE_A_VALUE = frozenset(
    {
        "after", "against", "all", "and", "any", "as", "at", "before", "between", "binary", "by", "case",
        "contains", "default", "distinct", "div", "else", "escape", "fetch", "first", "for", "from", "glob",
        "having", "ilike", "in", "is", "like", "limit", "match", "mod", "next", "not", "of", "offset", "on",
        "or", "overlaps", "regexp", "returning", "rlike", "select", "separator", "set", "similar", "some",
        "then", "to", "top", "using", "values", "when", "where", "with", "xor", "zone",
    }
)
"""SQL keywords that an expression follows."""
# fmt: on

INTERVAL_UNIT = re.compile(
    r"(?>\s|--[^\n]*\n|/\*.*?\*/)*+(?:year|quarter|month|week|day|hour|minute|second|millisecond|microsecond)s?\b",
    re.IGNORECASE | re.DOTALL,
)
HINTS = ("/*+", "--+")
CONTEXT = 200
"""How many characters before a text literal are searched for the name of its type."""
BESIDE = ("\x01", ")", "]")
"""A text literal after one of these is joined to it by the database. The first stands for any other token."""
LAST_WORD = re.compile(r"(\w+)\s*\Z")


def bind_sql(text: str, marked: Sequence[Any], dialect: Dialect) -> BoundSql:
    """
    Write rendered SQL with a placeholder for each value.

    :param text: The SQL, with marks.
    :param marked: The value of each mark, or an :class:`Identifier` or an :class:`InClause`.
    :raises BlockTemplateError: if a mark is in a position where no value can be bound, or has no effect.
    """
    if "\x00" not in text:
        return BoundSql((text,), ())
    tokens = dialect.lexer.scan(text)
    refuse_constant_items(text, tokens, lambda mark: not isinstance(marked[mark], Identifier | UnknownText))
    rendered = _Rendered(text, tokens, marked, dialect)
    writer = _Writer()
    position = 0
    for index, token in enumerate(tokens):
        _write_token(writer, rendered, index, text[position : token.start])
        position = token.end
    _check_plain(text[position:], dialect)
    writer.write(text[position:])
    bound = writer.build()
    _verify(bound, dialect)
    return bound


@dataclass(frozen=True)
class _Rendered:
    """Rendered SQL, its tokens and the values of its marks."""

    text: str
    tokens: Sequence[Token]
    marked: Sequence[Any]
    dialect: Dialect


class _Writer:
    """Collects SQL and values, and separates each placeholder from the text next to it."""

    def __init__(self) -> None:
        self._parts: list[list[str]] = [[]]
        self._values: list[Any] = []
        self._last = ""
        self._is_after_placeholder = False

    def write(self, text: str) -> None:
        if not text:
            return
        if self._is_after_placeholder and text[0] not in CLOSES:
            self._parts[-1].append(" ")
        self._parts[-1].append(text)
        self._last, self._is_after_placeholder = text[-1], False

    def write_pieces(self, pieces: Pieces) -> None:
        """Write the SQL of a value."""
        if self._is_after_placeholder or (self._last and self._last not in OPENS):
            self._parts[-1].append(" ")
        for piece in pieces:
            if isinstance(piece, Value):
                self._values.append(piece.value)
                self._parts.append([])
            else:
                self._parts[-1].append(piece)
        self._is_after_placeholder = True

    def write_name(self, name: str) -> None:
        """Write a quoted name, which a dot may precede."""
        if self._is_after_placeholder or (self._last and self._last not in OPENS and self._last != "."):
            self._parts[-1].append(" ")
        self._parts[-1].append(name)
        self._last, self._is_after_placeholder = name[-1], False

    def build(self) -> BoundSql:
        return BoundSql(tuple("".join(part) for part in self._parts), tuple(self._values))


def _write_token(writer: _Writer, sql: _Rendered, index: int, before: str) -> None:
    """
    Write a token, and the text before it.

    :param before: The text between it and the previous token.
    """
    token = sql.tokens[index]
    written = sql.text[token.start : token.end]
    _check_plain(before, sql.dialect)
    has_marks = MARK.search(written) is not None
    if has_marks and token.kind == Kind.TEXT:
        pieces, replaced = _write_text(sql, index, before)
        writer.write(before[: len(before) - replaced])
        writer.write_pieces(pieces)
        return
    writer.write(before)
    if token.kind == Kind.MARK:
        _write_mark(writer, sql.marked[int(written[1:-1])], before, sql.dialect)
    elif has_marks:
        writer.write(_write_without_marks(token, written))
    else:
        writer.write(written)


def _write_without_marks(token: Token, written: str) -> str:
    """Write a comment without its marks; each becomes a space, which keeps the text around it apart."""
    if token.kind == Kind.NAME:
        raise BlockTemplateError(
            f"a {{{{ … }}}} is inside a quoted name, {_show(written)}: use {{{{ name | identifier }}}}"
            " without the quotes."
        )
    if written.startswith(HINTS):
        raise BlockTemplateError("a {{ … }} is inside a hint for the database, where no value can be bound.")
    return MARK.sub(" ", written)


def _write_mark(writer: _Writer, value: Any, before: str, dialect: Dialect) -> None:
    if isinstance(value, Identifier):
        writer.write_name(dialect.quote_identifier(value.name))
    elif isinstance(value, InClause):
        written = [piece for one in value.values for piece in (", ", *dialect.write_value(one))]
        writer.write_pieces(("(", *written[1:], ")"))
    else:
        writer.write_pieces(_fit(dialect.write_value(value), _find_last_word(before), dialect))


def _fit(pieces: Pieces, word: str, dialect: Dialect) -> Pieces:
    """Write a value as the word before it requires."""
    if word in dialect.bare_after:
        return tuple(piece for piece in pieces if isinstance(piece, Value)) or pieces
    return ("(", *pieces, ")") if word in dialect.brackets_after else pieces


def _write_text(sql: _Rendered, index: int, before: str) -> tuple[Pieces, int]:
    """
    Write a text literal with values in it as one bound text.

    :return: The text, and the number of characters before it that it replaces: the name of its type.
    """
    token = sql.tokens[index]
    for number in MARK.findall(sql.text[token.start : token.end]):
        if isinstance(sql.marked[int(number)], Identifier | InClause):
            raise BlockTemplateError(
                "a {{ … | identifier }} or {{ … | inclause }} is inside a text literal: remove the quotes."
            )
    context = _read_before(sql, index)
    named = TYPED.search(context)
    if (named is None and context.endswith(BESIDE)) or _is_before_text(sql, index):
        raise BlockTemplateError(
            f"a text literal with a {{{{ … }}}} is next to another one, {_show_beside(sql, index)}:"
            " put an operator between them."
        )
    content = decode_text(sql.text, token, sql.marked, sql.dialect.known_escapes)
    word = (named["word"] or "").lower() if named else ""
    if named is None or (not named["precision"] and word in WORDS_BEFORE_A_VALUE | sql.dialect.words):
        return _fit(sql.dialect.write_value(content), word, sql.dialect), 0
    return _write_typed(sql, index, named[0], content), _measure_end(before, named[0])


def _write_typed(sql: _Rendered, index: int, named: str, content: Any) -> Pieces:
    """Write a text literal that follows the name of its type, as in ``date '…'``, with a cast."""
    kind = " ".join(named.split())
    forms = sql.dialect.typed_texts
    form = forms.get(re.sub(r"\s*\(.*?\)", "", kind).lower(), forms.get(ANY_TYPE))
    is_counted = INTERVAL_UNIT.match(sql.text, sql.tokens[index].end) is not None
    if form is None or (is_counted and kind.lower() == "interval"):
        way_out = sql.dialect.interval_way_out if kind.lower() == "interval" else sql.dialect.cast_way_out
        raise BlockTemplateError(
            f"a text literal with a {{{{ … }}}} follows {kind!r:.60}, where it cannot be bound:"
            f" write {way_out.replace('{type}', kind[:60])}."
        )
    if content is None:
        return NULL
    before, after = form.replace("{type}", kind).split("{}")
    return before, Value(content), after


def _measure_end(before: str, named: str) -> int:
    """Count the characters of the name of a type at the end of the text before a literal, with its spaces."""
    stripped = before.rstrip()
    if not stripped.endswith(named):
        raise BlockTemplateError(f"a comment is between {named!r:.60} and its text literal: remove it.")
    return len(before) - len(stripped) + len(named)


def _read_before(sql: _Rendered, index: int) -> str:
    """Read the SQL before a token, without comments and trailing spaces."""
    read: list[str] = []
    end = sql.tokens[index].start
    for token in reversed(sql.tokens[:index]):
        read.append(sql.text[token.end : end])
        end = token.start
        if token.kind != Kind.COMMENT:
            read.append(BESIDE[0])
            break
        if read[-1].strip():
            break
    else:
        read.append(sql.text[max(end - CONTEXT, 0) : end])
    return " ".join(reversed(read)).rstrip()


def _is_before_text(sql: _Rendered, index: int) -> bool:
    """Tell whether another text literal follows, which the database would join to this one."""
    end = sql.tokens[index].end
    for token in sql.tokens[index + 1 :]:
        if sql.text[end : token.start].strip():
            return False
        if token.kind != Kind.COMMENT:
            return token.kind == Kind.TEXT
        end = token.end
    return False


def _show_beside(sql: _Rendered, index: int) -> str:
    start, end = sql.tokens[index].start, sql.tokens[index].end
    return _show(sql.text[max(start - 20, 0) : end + 20])


def _find_last_word(before: str) -> str:
    found = LAST_WORD.search(before)
    return found[1].lower() if found else ""


def _check_plain(text: str, dialect: Dialect) -> None:
    """Refuse a placeholder of the author: the values would be bound to the wrong placeholders."""
    found = dialect.own_placeholder.search(text) if dialect.own_placeholder else None
    if found is not None:
        raise BlockTemplateError(
            f"the SQL has {found[0]!r}, which {dialect.title} reads as a placeholder:"
            " write {{ name }} instead."
        )


def _verify(bound: BoundSql, dialect: Dialect) -> None:
    """Scan the SQL once more: each value must have one placeholder, and none may be in a literal."""
    written = bound.write(lambda number: f"\x00{number}\x00")
    placeholders = sum(token.kind == Kind.MARK for token in dialect.lexer.scan(written))
    if placeholders != len(bound.values):
        raise BlockTemplateError(
            f"the SQL would have {placeholders} placeholders for {len(bound.values)} values:"
            " put spaces around each {{ … }}."
        )


def _show(sql: str) -> str:
    return repr(MARK.sub("{{ … }}", sql))[:80]
