"""
Decide for each ``{{ … }}`` of rendered SQL where it stands, and write the SQL with places for the values.

A value is bound where a value may stand. A text literal becomes one bound text as a whole. A comment is
sent without the value. In a quoted name, and wherever it cannot be told what the database would see, nothing
is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.dialects import ANY_TYPE, Dialect
from airflow_provider_pushmetrics.service.templates.lexer import MARK, Kind, Token
from airflow_provider_pushmetrics.service.templates.literals import decode_text
from airflow_provider_pushmetrics.service.templates.values import NULL, Identifier, InClause, Pieces, Value


@dataclass(frozen=True)
class BoundSql:
    """
    SQL whose values are beside it.

    :param parts: The text between the values; one more than there are values.
    :param values: The values, in the order in which the text needs them.
    """

    parts: tuple[str, ...]
    values: tuple[Any, ...]

    def write(self, write_placeholder: Callable[[int], str]) -> str:
        """Write the text with the placeholders of some database; they are numbered from 1."""
        text = [self.parts[0]]
        for number, part in enumerate(self.parts[1:], start=1):
            text += write_placeholder(number), part
        return "".join(text)


OPENS = frozenset(" \t\n(,")
CLOSES = frozenset(" \t\n),;")
"""What a place may stand beside without growing together with it."""

TYPED = re.compile(
    r"(?:(?<![\w.])(?:timestamp|time)\s*(?:\(\s*\d+\s*\)\s*)?\s(?:with|without)\s+time\s+zone"
    r"|\bdouble\s+precision|\bcharacter\s+varying"
    r"|(?P<word>[\w$.]+)(?P<precision>\s*\(\s*\d+\s*(?:,\s*\d+\s*)?\))?)\s*\Z",
    re.IGNORECASE,
)
"""What stands before a text and may be the name of its type."""

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
"""Words of SQL after which an expression stands."""
# fmt: on

INTERVAL_UNIT = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:year|quarter|month|week|day|hour|minute|second|millisecond|microsecond)s?\b",
    re.IGNORECASE | re.DOTALL,
)
HINTS = ("/*+", "--+")
CONTEXT = 200
"""How many characters before a text are looked at for the name of its type."""
BESIDE = ("\x01", ")", "]")
"""After these no text stands, unless the database joins the two. The first is any other token."""
LAST_WORD = re.compile(r"(\w+)\s*\Z")


def bind_sql(text: str, marked: Sequence[Any], dialect: Dialect) -> BoundSql:
    """
    Write rendered SQL with a place for each value.

    :param text: The SQL, with marks.
    :param marked: What stands at each mark: a value, an :class:`Identifier` or an :class:`InClause`.
    :raises BlockTemplateError: if a mark stands where it must not, or it cannot be told where it stands.
    """
    if not marked:
        return BoundSql((text,), ())
    tokens = dialect.lexer.scan(text)
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
    """Rendered SQL with all that is known of it."""

    text: str
    tokens: Sequence[Token]
    marked: Sequence[Any]
    dialect: Dialect


class _Writer:
    """Collects SQL and values, and keeps each place apart from what stands beside it."""

    def __init__(self) -> None:
        self._parts: list[list[str]] = [[]]
        self._values: list[Any] = []
        self._last = ""
        self._is_after_place = False

    def write(self, text: str) -> None:
        if not text:
            return
        if self._is_after_place and text[0] not in CLOSES:
            self._parts[-1].append(" ")
        self._parts[-1].append(text)
        self._last, self._is_after_place = text[-1], False

    def write_pieces(self, pieces: Pieces) -> None:
        """Write SQL that stands for a value."""
        if self._is_after_place or (self._last and self._last not in OPENS):
            self._parts[-1].append(" ")
        for piece in pieces:
            if isinstance(piece, Value):
                self._values.append(piece.value)
                self._parts.append([])
            else:
                self._parts[-1].append(piece)
        self._is_after_place = True

    def write_name(self, name: str) -> None:
        """Write a quoted name, which may stand beside a dot."""
        if self._is_after_place or (self._last and self._last not in OPENS and self._last != "."):
            self._parts[-1].append(" ")
        self._parts[-1].append(name)
        self._last, self._is_after_place = name[-1], False

    def build(self) -> BoundSql:
        return BoundSql(tuple("".join(part) for part in self._parts), tuple(self._values))


def _write_token(writer: _Writer, sql: _Rendered, index: int, before: str) -> None:
    """
    Write a token, and what stands between it and the one before.

    :param before: What stands there.
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
    """Write a comment whose marks are gone; a blank stays, so that what stood around them does not join."""
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
    """Write a value as it must be after a certain word."""
    if word in dialect.bare_after:
        return tuple(piece for piece in pieces if isinstance(piece, Value)) or pieces
    return ("(", *pieces, ")") if word in dialect.brackets_after else pieces


def _write_text(sql: _Rendered, index: int, before: str) -> tuple[Pieces, int]:
    """
    Write a text literal with values in it: one bound text.

    :return: It, and how much of what stands before it is replaced with it: the name of its type.
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
    """Write a text after the name of its type, as in ``date '…'``, as a text with a cast."""
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
    """Measure the name of a type with the blanks after it, at the end of what stands before a text."""
    stripped = before.rstrip()
    if not stripped.endswith(named):
        raise BlockTemplateError(f"a comment is between {named!r:.60} and its text literal: remove it.")
    return len(before) - len(stripped) + len(named)


def _read_before(sql: _Rendered, index: int) -> str:
    """Read what stands before a token, without comments and the blanks at the end."""
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
    """Tell whether a text follows, to which the database joins the one before."""
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
    """Refuse an author's own place for a value: the values would come to stand in the wrong places."""
    found = dialect.own_placeholder.search(text) if dialect.own_placeholder else None
    if found is not None:
        raise BlockTemplateError(
            f"the SQL has {found[0]!r}, which {dialect.title} reads as a placeholder:"
            " write {{ name }} instead."
        )


def _verify(bound: BoundSql, dialect: Dialect) -> None:
    """Read what would be sent once more: each value must have its place, and no place may be in a literal."""
    written = bound.write(lambda number: f"\x00{number}\x00")
    places = sum(token.kind == Kind.MARK for token in dialect.lexer.scan(written))
    if places != len(bound.values):
        raise BlockTemplateError(
            f"the SQL would have {places} placeholders for {len(bound.values)} values:"
            " put spaces around each {{ … }}."
        )


def _show(sql: str) -> str:
    return repr(MARK.sub("{{ … }}", sql))[:80]
