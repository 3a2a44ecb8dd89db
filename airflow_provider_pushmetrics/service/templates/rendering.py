"""
Jinja in blocks: which names a template refers to, text with values in it, and SQL with values beside it.

Templates run in a sandbox and an undefined name is an error, since a wrong query is worse than none. In SQL,
whatever ``{{ … }}`` gives is *bound*: the text that the database sees holds a placeholder in its place. There
is no way to splice a value: what a filter such as ``safe`` or ``tojson`` marks as markup is bound like the
rest. Two filters write SQL, from values that are bound or quoted: ``inclause`` gives ``(?, ?)`` and
``identifier`` a quoted name.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jinja2 import Template, TemplateError, Undefined, meta, nodes

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.templates.binding import BoundSql, bind_sql
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError, Budget
from airflow_provider_pushmetrics.service.templates.dialects import Dialect, is_encodable
from airflow_provider_pushmetrics.service.templates.sandbox import (
    FILTERS,
    PARSING,
    TESTS,
    BoundedEnvironment,
    parse_bounded,
)
from airflow_provider_pushmetrics.service.templates.values import Identifier, InClause

__all__ = [
    "BlockTemplateError",
    "References",
    "TemplateQuery",
    "check_sql_template",
    "find_references",
    "render_sql",
    "render_text",
]

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

TEMPLATE_FAILURES = (
    TemplateError,
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    NameError,
    RuntimeError,
    SyntaxError,
    MemoryError,
)
"""Whatever a template does with its values can fail; it is the author's to mend, not ours."""

CHARACTERS_PER_STEP = 10

QUERY_ATTRIBUTES = ("data", "table")
"""What only a query has in templates."""

MAX_NESTING = 16
"""How deep a query may be made of queries."""


@dataclass(frozen=True)
class References:
    """
    The names that a template uses.

    :param outputs: Names of which an attribute is used, such as ``query_1.data``: their blocks run first.
    :param texts: Names used as they are: parameters, or ``{{ query_1 }}``, the text of a query.
    :param queries: Those of the outputs that can only be queries: their ``data`` or ``table`` is used.
    :param optional: Those of them that the template can do without: it asks whether they are defined, or has
        a default.
    """

    outputs: frozenset[str]
    texts: frozenset[str]
    optional: frozenset[str] = frozenset()
    queries: frozenset[str] = frozenset()


@dataclass(frozen=True)
class TemplateQuery:
    """
    What a query is in the templates of other blocks.

    :param source: Its text: ``{{ query_1 }}`` composes one query of another.
    :param load_rows: Reads its rows.
    """

    source: str
    load_rows: Callable[[], list[dict[str, Any]]]

    @property
    def data(self) -> list[dict[str, Any]]:
        """Its rows, read when a template asks for them."""
        return self.load_rows()


def find_references(source: str) -> References:
    """
    Find the names that a template refers to.

    :raises BlockTemplateError: if it is no template.
    """
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


def _find_optional(tree: nodes.Template) -> Iterator[str]:
    """Find the names of which a template says what to do when they are not defined."""
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

    :param write_value: Writes each value that is no text.
    :raises BlockTemplateError: if it fails, for an undefined name above all.
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

    return render_template(load_template(BoundedEnvironment(budget, write), source), names)


def render_sql(source: str, names: Mapping[str, Any], dialect: Dialect) -> BoundSql:
    """
    Render SQL, with every value bound.

    :param dialect: By whose rules the SQL is read, to find where the values stand.
    :raises BlockTemplateError: if it fails, or if a value stands where none may.
    """
    binder = _Binder(names)
    return bind_sql(binder.render(source), binder.marked, dialect)


class _Binder:
    def __init__(self, names: Mapping[str, Any]) -> None:
        self.marked: list[Any] = []
        self._names = names
        self._depth = 0
        self._budget = Budget()
        self._templates: dict[str, Template] = {}
        self._environment = BoundedEnvironment(self._budget, self._finalize)

    def render(self, source: str) -> str:
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
            return str(value)  # raises, and says which name is undefined
        if isinstance(value, TemplateQuery):
            return self._compose(value)
        return self._bind(value)

    def _compose(self, query: TemplateQuery) -> str:
        if self._depth >= MAX_NESTING:
            raise BlockTemplateError(f"queries are composed more than {MAX_NESTING} deep: compose fewer.")
        self._depth += 1
        try:
            return self.render(query.source)
        finally:
            self._depth -= 1

    def _bind(self, value: Any) -> str:
        self._budget.write(0)
        self.marked.append(_make_plain(value))
        return f"\x00{len(self.marked) - 1}\x00"


def _make_plain(value: Any) -> Any:
    """Make the value that a database is to have, with all that is in it."""
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
    return str.__str__(value)  # Jinja's markup is a kind of str; databases want the plain one


@functools.lru_cache(256)
def check_sql_template(source: str) -> None:
    """
    Refuse SQL with constructs that make text of values, which would not be bound.

    :raises BlockTemplateError: for the first such construct, or if it is not a template.
    """
    for written in find_splicing(parse_template(source)):
        raise BlockTemplateError(
            f"SQL cannot have {written}: values would get into its text. Use {{{{ … }}}}, {{% if %}},"
            " {% for %} and {% set name = value %}, and compose queries of queries."
        )


def find_splicing(tree: nodes.Template) -> Iterator[str]:
    """Find what a template has that Jinja renders to text inside of it, such as ``{% macro %}``."""
    yield from (written for kind, written in SPLICING_NODES.items() if tree.find(kind) is not None)
    if any(loop.recursive for loop in tree.find_all(nodes.For)):
        yield "{% for … recursive %}"


def load_template(environment: BoundedEnvironment, source: str) -> Template:
    """
    Make a template that counts its steps.

    :raises BlockTemplateError: if it is none.
    """
    with _translating():
        return environment.load(source)


def render_template(template: Template, names: Mapping[str, Any]) -> str:
    """
    Render a template.

    :raises BlockTemplateError: if it fails, for an undefined name above all.
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
    Read a template without making it, and refuse what it calls and nobody knows.

    :raises BlockTemplateError: if it is none, or has a filter or a test that there is not.
    """
    try:
        tree = parse_bounded(PARSING, source)
    except (TemplateError, ValueError) as error:  # a number of too many digits is a ValueError
        raise BlockTemplateError(f"not a template: {error}") from error
    except RecursionError as error:
        raise BlockTemplateError("not a template: it is nested too deeply.") from error
    _check_filters(tree)
    return tree


def _check_filters(tree: nodes.Template) -> None:
    """Refuse what is misspelt now: Jinja says it when a template is compiled, and some of it when it runs."""
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        is_filter = isinstance(node, nodes.Filter)
        _check_known(FILTERS if is_filter else TESTS, "filter" if is_filter else "test", node.name)
        position, known, kind = CALLING_FILTERS.get(node.name, (0, FILTERS, "filter"))
        named = node.args[position : position + 1] if is_filter and node.name in CALLING_FILTERS else []
        for name in named:
            if isinstance(name, nodes.Const) and isinstance(name.value, str):
                _check_known(known, kind, name.value)


CALLING_FILTERS: Mapping[str, tuple[int, Mapping[str, Any], str]] = {
    "map": (0, FILTERS, "filter"),
    "select": (0, TESTS, "test"),
    "reject": (0, TESTS, "test"),
    "selectattr": (1, TESTS, "test"),
    "rejectattr": (1, TESTS, "test"),
}
"""Filters that call another filter, or a test, and at which place its name is given."""


def _check_known(known: Mapping[str, Any], kind: str, name: str) -> None:
    if name not in known:
        similar = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {similar[0]!r}?" if similar else "see the documentation of Jinja."
        raise BlockTemplateError(f"there is no {kind} {name!r}: {hint}")


def _find_key(node: nodes.Getattr | nodes.Getitem) -> str | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return node.arg.value
    return None
