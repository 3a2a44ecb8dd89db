"""
Laying out the SQL of a block.

``sqlglot`` parses the SQL and writes it again, in which it may change more than the layout: it is made to
translate SQL. So what it wrote is compared with the original, by the lexer of the database: the words, texts,
quoted names and operators must be the same in the same order, and no comment may be missing. Otherwise the
SQL is refused, since a query that silently means something else is worse than one that looks untidy.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlglot
from jinja2 import TemplateError
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.dialects import Dialect, find_dialect
from airflow_provider_pushmetrics.service.templates.lexer import Kind, Token
from airflow_provider_pushmetrics.service.templates.sandbox import PARSING

MAX_FORMATTED_LENGTH = 20_000
MAX_FORMATTED_DEPTH = 40
"""How deep brackets may be nested: sqlglot needs a multiple of the time for each level."""

SQLGLOT_NAMES: Mapping[str, str] = {"postgresql": "postgres", "mssql": "tsql"}
"""The dialects whose names differ from those of SQLAlchemy."""

WORD = re.compile(r"[A-Za-z0-9_$\x80-\U0010ffff]+|[^\sA-Za-z0-9_$\x80-\U0010ffff]")
OPTIONAL_WORDS = frozenset({"as", "asc", "cast", "inner", "outer", "(", ")", ":"})
"""What may come or go: brackets are compared by the tree, and ``a::b`` becomes ``CAST(a AS b)``."""
SYNONYMS: Mapping[str, str] = {"int": "integer", "int4": "integer", "bool": "boolean", "numeric": "decimal"}


TYPE_BEFORE = re.compile(r"\b(?:date|time|timestamp|timestamptz|datetime|interval)\s+$", re.IGNORECASE)
_UNIT = "(?:year|quarter|month|week|day|hour|minute|second)s?"
UNIT_AFTER = re.compile(rf"\s+{_UNIT}(?:\s+to\s+{_UNIT})?\b", re.IGNORECASE)


UNFORESEEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What sqlglot raises for SQL that its authors did not think of."""


class FormattingError(PushMetricsError):
    """SQL that is not formatted, and why."""


@dataclass(frozen=True)
class _Masked:
    """
    SQL with a name in place of each ``{{ … }}``, and then of each text with a type before it.

    :param tags: The ``{{ … }}`` and ``{# … #}``, by their names.
    :param atoms: The SQL such as ``interval '{{ n }} days'``, by its name; sqlglot would write it otherwise.
    """

    text: str
    tags: Mapping[str, str]
    atoms: Mapping[str, str]

    @property
    def names(self) -> frozenset[str]:
        return frozenset({*self.tags, *self.atoms})

    def restore(self, text: str) -> str:
        for known in (self.atoms, self.tags):
            text = _replace(text, known)
        return text


def _replace(text: str, known: Mapping[str, str]) -> str:
    return re.sub("|".join(known) or r"(?!)", lambda found: known[found[0]], text)


def format_sql(source: str, backend: str) -> str:
    """
    Lay out SQL without changing what it says; its ``{{ … }}`` and its comments stay as they are.

    :param backend: The kind of the database, by its name in SQLAlchemy.
    :raises FormattingError: if that cannot be done.
    """
    dialect = find_dialect(backend)
    if dialect is None:
        raise FormattingError(f"SQL of databases of the kind {backend!r} cannot be formatted.")
    if len(source) > MAX_FORMATTED_LENGTH:
        raise FormattingError(f"SQL of more than {MAX_FORMATTED_LENGTH:,} characters is not formatted.")
    masked = _mask(source.rstrip(), dialect)
    _check_depth(masked.text, dialect)
    written = _write(masked.text, SQLGLOT_NAMES.get(dialect.name, dialect.name))
    _compare(masked, written, dialect)
    formatted = masked.restore(written)
    if _mask_tags(formatted)[1] != masked.tags:
        raise FormattingError("the SQL cannot be formatted: its {{ … }} would not stay in their order.")
    return formatted


def _mask(source: str, dialect: Dialect) -> _Masked:
    text, tags = _mask_tags(source)
    stem = _find_stem(text)
    atoms: dict[str, str] = {}
    parts: list[str] = []
    position = 0
    for token in _scan(text, dialect):
        type_name = TYPE_BEFORE.search(text, position, token.start)
        if token.kind != Kind.TEXT or token.prefix or type_name is None:
            continue
        unit = UNIT_AFTER.match(text, token.end)
        end = unit.end() if unit else token.end
        name = f"{stem}{len(atoms)}z"
        atoms[name] = text[type_name.start() : end]
        parts += [text[position : type_name.start()], name]
        position = end
    masked = _Masked("".join([*parts, text[position:]]), tags, atoms)
    _check_places(masked, dialect)
    return masked


def _mask_tags(source: str) -> tuple[str, dict[str, str]]:
    stem = _find_stem(source)
    parts: list[str] = []
    tags: dict[str, str] = {}
    for kind, text in _split(source):
        if kind == "data":
            parts.append(text)
            continue
        name = f"{stem}{len(tags)}z"
        tags[name] = text
        parts.append(name if kind == "variable" else f"/* {name} */")
    return "".join(parts), tags


def _find_stem(text: str) -> str:
    """Find a beginning of names that the SQL does not have."""
    stem = "pm"
    while stem in text.lower():
        stem += "q"
    return stem


def _check_places(masked: _Masked, dialect: Dialect) -> None:
    """Refuse a ``{{ … }}`` that is a part of a word: sqlglot would read another word."""
    for word in _list_words(masked.text, dialect):
        for name in masked.tags:
            if name in word and name != word and word[0] != "$" and WORD.fullmatch(word):
                tag = masked.tags[name][:60]
                raise FormattingError(
                    f"the SQL cannot be formatted: put a blank between {tag} and what is beside it."
                )


def _split(source: str) -> Iterator[tuple[str, str]]:
    """Split a template into SQL (``data``), values (``variable``) and remarks (``comment``)."""
    whole, tag, is_open = "", "", False
    try:
        for _, kind, text in PARSING.lex(source):
            whole += text
            if kind.startswith(("block", "raw", "linestatement", "linecomment")):
                raise FormattingError(
                    "SQL with {% … %} cannot be formatted: only whole statements can be parsed."
                )
            if kind == "data":
                yield "data", text
                continue
            tag += text
            if kind in ("variable_end", "comment_end"):
                yield kind.removesuffix("_end"), tag
                tag = ""
            is_open = bool(tag)
    except TemplateError as error:
        raise FormattingError(f"the SQL cannot be formatted: it is not a template: {error}") from error
    if is_open or whole != source:
        raise FormattingError("the SQL cannot be formatted: its {{ … }} cannot be told from the rest.")


def _check_depth(text: str, dialect: Dialect) -> None:
    depth = 0
    for word in _list_words(text, dialect):
        depth += (word in "([") - (word in ")]")
        if depth > MAX_FORMATTED_DEPTH:
            raise FormattingError(
                f"SQL with more than {MAX_FORMATTED_DEPTH} nested brackets is not formatted."
            )


def _write(text: str, dialect: str) -> str:
    """Let sqlglot lay out one statement, and check that it reads the same in its own words."""
    try:
        trees = [tree for tree in sqlglot.parse(text, read=dialect) if tree is not None]
        if len(trees) != 1 or isinstance(trees[0], exp.Command):
            raise FormattingError("only a single query is formatted.")
        written = _lay_out(trees[0], dialect)
        if sqlglot.parse_one(written, read=dialect) != trees[0]:
            raise FormattingError("the SQL cannot be formatted without changing what it means.")
    except SqlglotError as error:
        raise FormattingError(f"the SQL cannot be formatted: {_describe(error)}") from error
    except UNFORESEEN as error:
        raise FormattingError("the SQL cannot be formatted: it cannot be read.") from error
    except RecursionError as error:
        raise FormattingError("the SQL cannot be formatted: it is nested too deeply.") from error
    return written


def _lay_out(tree: Any, name: str) -> str:
    dialect = sqlglot.Dialect.get_or_raise(name)

    class Generator(dialect.generator_class):  # type: ignore[name-defined,misc]
        """Writes ``a IS NOT NULL`` and ``a NOT IN b`` as people do."""

        def not_sql(self, expression: exp.Not) -> str:
            inner = expression.this
            written = str(self.sql(inner))
            subject = f"{self.sql(inner, 'this')} "
            if isinstance(inner, exp.Is) and written.startswith(f"{subject}IS "):
                return f"{subject}IS NOT {written[len(subject) + 3 :]}"
            if isinstance(inner, NEGATED) and written.startswith(subject):
                return f"{subject}NOT {written[len(subject) :]}"
            return str(super().not_sql(expression))

    options = {"pretty": True, "unsupported_level": ErrorLevel.RAISE}
    return str(Generator(dialect=dialect, **options).generate(tree))


NEGATED = (exp.In, exp.Like, exp.ILike, exp.Between)


def _describe(error: SqlglotError) -> str:
    details = getattr(error, "errors", None)
    if not details:
        return "it cannot be read."
    return f"{details[0]['description'].rstrip('.')} in line {details[0]['line']}."


def _compare(masked: _Masked, written: str, dialect: Dialect) -> None:
    """Compare what was written with the original, token by token."""
    before, after = (
        list(_normalize(_list_words(text, dialect), masked.names)) for text in (masked.text, written)
    )
    if before != after:
        lost = next((a for a, b in zip([*before, ""], [*after, ""], strict=False) if a != b), "")
        where = f"{masked.restore(lost)[:60]!r} would be replaced" if lost else "its end would be another"
        raise FormattingError(f"the SQL cannot be formatted without other changes: {where}.")
    if _count_comments(masked.text, dialect) != _count_comments(written, dialect):
        raise FormattingError("the SQL cannot be formatted: a comment would be changed.")


def _list_words(text: str, dialect: Dialect) -> Iterator[str]:
    """List the words, operators, texts and quoted names of SQL."""
    position = 0
    for token in _scan(text, dialect):
        yield from WORD.findall(text[position : token.start])
        if token.kind != Kind.COMMENT:
            yield text[token.start : token.end]
        position = token.end
    yield from WORD.findall(text[position:])


def _normalize(words: Iterator[str], names: frozenset[str]) -> Iterator[str]:
    """
    Write words in one case, leave out those that may come and go, and unify what means the same.

    :param names: Each stands for a ``{{ … }}``, that is, any SQL: its brackets and an ``AS`` before it stay.
    """
    kept = [word.lower() if WORD.fullmatch(word) else word for word in words]
    while kept and kept[-1] == ";":
        kept.pop()
    for index, word in enumerate(kept):
        if word == "!" and kept[index + 1 : index + 2] == ["="]:
            yield "<"
        elif word == "=" and kept[index - 1 : index] == ["!"]:
            yield ">"
        elif word not in OPTIONAL_WORDS or (
            word == "as" and kept[index + 1 : index + 2] and kept[index + 1] in names
        ):
            yield SYNONYMS.get(word, word)
            if word in names and kept[index - 1 : index] + kept[index + 1 : index + 2] == ["(", ")"]:
                yield "in brackets"


def _count_comments(text: str, dialect: Dialect) -> Counter[str]:
    comments = (text[one.start : one.end] for one in _scan(text, dialect) if one.kind == Kind.COMMENT)
    return Counter(_read_comment(one) for one in comments)


def _read_comment(comment: str) -> str:
    if comment.startswith("/*+"):
        raise FormattingError("SQL with a hint (/*+ … */) is not formatted: its place matters.")
    body = comment[2:-2] if comment.startswith("/*") else comment.lstrip("-#/")
    return " ".join(body.split())


def _scan(text: str, dialect: Dialect) -> list[Token]:
    try:
        return dialect.lexer.scan(text)
    except BlockTemplateError as error:
        raise FormattingError(f"the SQL cannot be formatted: {error}") from error
