"""
Jinja in blocks: the names that a template refers to, rendered text, and rendered SQL with bound values.

Templates run in a sandbox, and an undefined name is an error, since a wrong query is worse than none. In SQL,
the value of every ``{{ … }}`` is *bound*: the database gets a placeholder in its place. No value can be
spliced: the output of a filter such as ``safe`` or ``tojson`` is bound too. Two filters write SQL from values
that are bound or quoted: ``inclause`` writes ``(?, ?)`` and ``identifier`` a quoted name.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jinja2 import Template, TemplateError, Undefined, meta, nodes

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.templates.binding import BoundSql, bind_sql
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError, Budget
from airflow_provider_pushmetrics.service.templates.dialects import Dialect, is_encodable
from airflow_provider_pushmetrics.service.templates.lexer import MARK, Escapes, Kind, Lexer, Token
from airflow_provider_pushmetrics.service.templates.literals import write_text as write_literal
from airflow_provider_pushmetrics.service.templates.sandbox import (
    PARSING,
    BoundedEnvironment,
    check_filters,
    parse_bounded,
)
from airflow_provider_pushmetrics.service.templates.values import ComposedSql, Identifier, InClause

SPLICING_NODES: Mapping[type[nodes.Node], str] = {
    nodes.FilterBlock: "{% filter %}",
    nodes.AssignBlock: "{% set %}…{% endset %}",
    nodes.Macro: "{% macro %}",
    nodes.CallBlock: "{% call %}",
    nodes.Include: "{% include %}",
    nodes.Import: "{% import %}",
    nodes.FromImport: "{% from … import %}",
    nodes.Extends: "{% extends %}",
    nodes.Block: "{% block %}",
    nodes.ScopedEvalContextModifier: "{% autoescape %}",
}

# fmt: off
TEMPLATE_FAILURES = (
    TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, NameError,
    RuntimeError, SyntaxError, MemoryError,
)
"""The errors of a template's own operations on values."""
# fmt: on

CHARACTERS_PER_STEP = 10

QUERY_ATTRIBUTES = ("data", "table")
"""The attributes that only a query has in templates."""

MAX_CACHED_TEMPLATE_LENGTH = 4096
"""The references of a longer template are found anew each time: a cache of them would take much memory."""

MAX_NESTING = 16
"""How deep queries may be composed of queries."""


@dataclass(frozen=True)
class References:
    """
    The names that a template uses.

    :param outputs: Names with an attribute, such as ``query_1.data``; their blocks run first.
    :param texts: Names without one: parameters, or ``{{ query_1 }}``, the text of a query.
    :param queries: The outputs that must be queries, since their ``data`` or ``table`` is used.
    :param optional: The names that the template tests with ``is defined`` or gives a default.
    """

    outputs: frozenset[str]
    texts: frozenset[str]
    optional: frozenset[str] = frozenset()
    queries: frozenset[str] = frozenset()


@dataclass(frozen=True)
class TemplateQuery:
    """
    A query in the templates of other blocks.

    :param source: Its text; ``{{ query_1 }}`` composes one query of another.
    :param load_rows: Reads its rows.
    """

    source: str
    load_rows: Callable[[], list[dict[str, Any]]]

    @property
    def data(self) -> list[dict[str, Any]]:
        """Its rows, read when a template uses them."""
        return self.load_rows()

    def __str__(self) -> str:
        """Return its text, as ``{{ query_1 }}`` does."""
        return self.source


def find_references(source: str) -> References:
    """
    Find the names that a template refers to.

    :raises BlockTemplateError: if it is not a template.
    """
    is_short = len(source) <= MAX_CACHED_TEMPLATE_LENGTH
    return _find_references_cached(source) if is_short else _find_references(source)


def _find_references(source: str) -> References:
    tree = parse_template(source)
    free = meta.find_undeclared_variables(tree) - set(PARSING.globals)
    outputs: set[str] = set()
    queries: set[str] = set()
    parameters: set[str] = set()
    owned: set[int] = set()
    accesses: list[nodes.Getattr | nodes.Getitem] = [
        *tree.find_all(nodes.Getattr),
        *tree.find_all(nodes.Getitem),
    ]
    for access in accesses:
        if not isinstance(access.node, nodes.Name):
            continue
        owned.add(id(access.node))
        if access.node.name != "params":
            outputs.add(access.node.name)
            if _find_key(access) in QUERY_ATTRIBUTES:
                queries.add(access.node.name)
        elif (key := _find_key(access)) is not None:
            parameters.add(key)
    texts = {node.name for node in tree.find_all(nodes.Name) if id(node) not in owned}
    return References(
        outputs=frozenset(outputs & free),
        texts=frozenset(texts & free | parameters),
        optional=frozenset(_find_optional(tree)),
        queries=frozenset(queries & free),
    )


_find_references_cached = functools.lru_cache(maxsize=2048)(_find_references)


def _find_optional(tree: nodes.Template) -> Iterator[str]:
    """Find the names that a template handles when they are undefined."""
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        if node.name in ("default", "d", "defined", "undefined"):
            asked = node.node
            if isinstance(asked, nodes.Name):
                yield asked.name
            elif isinstance(asked, nodes.Getattr | nodes.Getitem) and (key := _find_key(asked)) is not None:
                yield key


def render_text(source: str, names: Mapping[str, Any], write_value: Callable[[Any], str] = str) -> str:
    """
    Render a text.

    :param write_value: Writes each value that is not a text.
    :raises BlockTemplateError: if it fails, such as for an undefined name.
    """
    budget = Budget()

    def write(value: Any) -> str:
        budget.weigh(value)
        if isinstance(value, Identifier | InClause):
            raise BlockTemplateError("identifier and inclause can be used in SQL only: remove them.")
        text = value.source if isinstance(value, TemplateQuery) else value
        text = text if isinstance(text, str) else write_value(text)
        budget.write(len(text))
        return text

    return render_template(load_template(BoundedEnvironment(budget, write, write_value), source), names)


def render_sql(source: str, names: Mapping[str, Any], dialect: Dialect) -> BoundSql:
    """
    Render SQL, with every value bound.

    :param dialect: The rules by which the positions of the values are found.
    :raises BlockTemplateError: if it fails, or if a value is in a position where none can be bound.
    """
    binder = _Binder(names, dialect.lexer)
    return bind_sql(binder.compose(source), binder.marked, dialect)


def _write_joined(value: Any) -> str:
    """
    Write a value that a template makes a text of.

    :raises BlockTemplateError: if it is null or a list.
    """
    if value is None or isinstance(value, (list, tuple)):
        kind = "null" if value is None else "a list"
        raise BlockTemplateError(
            f"the template makes a text of what is {kind} (by ~, | join, | lower and the like): test it"
            " first, as in {% if name is not none %}, or give it a value, such as"
            " {{ name | default('', true) }}."
        )
    return write_literal(value)


class _Binder:
    def __init__(self, names: Mapping[str, Any], lexer: Lexer) -> None:
        self.marked: list[Any] = []
        self._lexer = lexer
        self._names = names
        self._depth = 0
        self._budget = Budget()
        self._templates: dict[str, Template] = {}
        self._environment = BoundedEnvironment(self._budget, self._finalize, _write_joined)

    def compose(self, source: str) -> str:
        """Render SQL, with the queries that it is composed of, and with marks for its values."""
        text = self._render(source)
        if not any(isinstance(value, ComposedSql) for value in self.marked):
            return text
        composed, ends = self._insert_queries(text)
        if [token.end for token in self._lexer.scan(composed)] != ends:
            raise BlockTemplateError(
                "a query that the SQL is composed of would join the text beside it: put spaces around it."
            )
        return composed

    def _insert_queries(self, text: str) -> tuple[str, list[int]]:
        """
        Insert queries in place of their marks; in a comment they stay marks, and are left out.

        :return: The SQL, and where its tokens end.
        """
        written, ends, position = "", [], 0
        for token in self._lexer.scan(text):
            written += text[position : token.start]
            position = token.end
            inserted, inner_ends = self._insert_in_token(token, text[token.start : token.end])
            ends += [len(written) + end for end in inner_ends]
            written += inserted
        return written + text[position:], ends

    def _insert_in_token(self, token: Token, written: str) -> tuple[str, list[int]]:
        if token.kind == Kind.MARK and isinstance(query := self.marked[int(written[1:-1])], ComposedSql):
            return self._cut_end(*self._insert_queries(query.text))
        if token.kind == Kind.TEXT:
            written = MARK.sub(lambda mark: self._insert_in_text(token, mark), written)
        return written, [len(written)]

    def _insert_in_text(self, token: Token, mark: re.Match[str]) -> str:
        query = self.marked[int(mark[1])]
        if not isinstance(query, ComposedSql):
            return mark[0]
        text, _ = self._insert_queries(query.text)
        if token.quote in text or (token.escapes == Escapes.BACKSLASH and "\\" in text):
            raise BlockTemplateError(
                f"a query in a text literal contains {token.quote} or a backslash: write its SQL there."
            )
        return text

    def _cut_end(self, text: str, ends: list[int]) -> tuple[str, list[int]]:
        """Cut the semicolon and the comments at the end of a query: nothing after it is part of a comment."""
        end = len(text)
        for token in reversed(self._lexer.scan(text)):
            if text[token.end : end].strip("; \t\r\n") or token.kind != Kind.COMMENT:
                break
            end = token.start
        kept = text[:end].rstrip("; \t\r\n")
        return kept + "\n" * (kept != text), [one for one in ends if one <= len(kept)]

    def _render(self, source: str) -> str:
        if "\x00" in source:
            raise BlockTemplateError("the SQL contains a NUL character: remove it.")
        self._budget.step(1 + len(source) // CHARACTERS_PER_STEP)
        if source not in self._templates:
            check_sql_template(source)
            self._templates[source] = load_template(self._environment, source)
        return render_template(self._templates[source], self._names)

    def _finalize(self, value: Any) -> str:
        self._budget.weigh(value)
        if isinstance(value, Undefined):
            return str(value)  # raises an error with the undefined name
        if isinstance(value, TemplateQuery):
            return self._compose(value)
        return self._bind(value)

    def _compose(self, query: TemplateQuery) -> str:
        if self._depth >= MAX_NESTING:
            raise BlockTemplateError(f"queries are composed more than {MAX_NESTING} deep: compose fewer.")
        self._depth += 1
        try:
            return self._mark(ComposedSql(self._render(query.source)))
        finally:
            self._depth -= 1

    def _bind(self, value: Any) -> str:
        self._budget.write(0)
        return self._mark(_make_plain(value))

    def _mark(self, value: Any) -> str:
        self.marked.append(value)
        return f"\x00{len(self.marked) - 1}\x00"


def _make_plain(value: Any) -> Any:
    """Convert a value and its items to plain values for a database."""
    if isinstance(value, InClause):
        return InClause(tuple(map(_make_plain, value.values)))
    if isinstance(value, list | tuple):
        return [_make_plain(one) for one in value]
    if not isinstance(value, str):
        return value
    if "\x00" in value:
        raise BlockTemplateError("a value for the SQL contains a NUL character: remove it.")
    if not is_encodable(value):
        raise BlockTemplateError("a value for the SQL contains a lone surrogate: remove it.")
    return str.__str__(value)  # Jinja's Markup is a subclass of str


@functools.lru_cache(256)
def check_sql_template(source: str) -> None:
    """
    Refuse SQL with constructs that render values to text, which would not be bound.

    :raises BlockTemplateError: for the first such construct, or if it is not a template.
    """
    for written in find_splicing(parse_template(source)):
        raise BlockTemplateError(
            f"SQL cannot have {written}: values would get into its text. Use {{{{ … }}}}, {{% if %}},"
            " {% for %} and {% set name = value %}, and compose queries of queries."
        )


def find_splicing(tree: nodes.Template) -> Iterator[str]:
    """Find the constructs of a template that Jinja renders to text inside it, such as ``{% macro %}``."""
    yield from (written for kind, written in SPLICING_NODES.items() if tree.find(kind) is not None)
    if any(loop.recursive for loop in tree.find_all(nodes.For)):
        yield "{% for … recursive %}"


def load_template(environment: BoundedEnvironment, source: str) -> Template:
    """
    Load a template that counts its steps.

    :raises BlockTemplateError: if it is not a template.
    """
    with _translating():
        return environment.load(source)


def render_template(template: Template, names: Mapping[str, Any]) -> str:
    """
    Render a template.

    :raises BlockTemplateError: if it fails, such as for an undefined name.
    """
    with _translating():
        return template.render(names)


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except PushMetricsError:
        raise
    except RecursionError as error:
        raise BlockTemplateError("the template failed: it is nested too deeply.") from error
    except TEMPLATE_FAILURES as error:
        raise BlockTemplateError(f"the template failed: {error}") from error


def parse_template(source: str) -> nodes.Template:
    """
    Parse a template without compiling it, and check the names of its filters and tests.

    :raises BlockTemplateError: if it is not a template, or has an unknown filter or test.
    """
    try:
        tree = parse_bounded(PARSING, source)
    except (TemplateError, ValueError) as error:  # a number with too many digits is a ValueError
        raise BlockTemplateError(f"not a template: {error}") from error
    except RecursionError as error:
        raise BlockTemplateError("not a template: it is nested too deeply.") from error
    check_filters(tree)
    return tree


def _find_key(node: nodes.Getattr | nodes.Getitem) -> str | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return node.arg.value
    return None
