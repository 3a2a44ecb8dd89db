"""
Jinja in blocks: which names a template refers to, text with values in it, and SQL with values beside it.

Templates run in a sandbox and an undefined name is an error, since a wrong query is worse than none. In SQL,
whatever ``{{ … }}`` gives is *bound*: the text that the database sees holds a placeholder in its place. There
is no way to splice a value: what a filter such as ``safe`` or ``tojson`` marks as markup is bound like the
rest. Two filters write SQL, from values that are bound or quoted: ``inclause`` gives ``(?, ?)`` and
``identifier`` a quoted name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jinja2 import Template, TemplateError, Undefined, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.templates.binding import BoundSql, Identifier, InClause, bind_sql
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError, Budget
from airflow_provider_pushmetrics.service.templates.dialects import Dialect, is_encodable
from airflow_provider_pushmetrics.service.templates.sandbox import BoundedEnvironment, parse_bounded

__all__ = [
    "BlockTemplateError",
    "QueryOutput",
    "References",
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
    RuntimeError,
    SyntaxError,
    MemoryError,
)
"""Whatever a template does with its values can fail; it is the author's to mend, not ours."""

CHARACTERS_PER_STEP = 10

MAX_NESTING = 16
"""How deep a query may be made of queries."""


@dataclass(frozen=True)
class References:
    """
    The names that a template uses.

    :param outputs: Names of which an attribute is used, such as ``query_1.data``: their blocks run first.
    :param texts: Names used as they are: parameters, or ``{{ query_1 }}``, the text of a query.
    """

    outputs: frozenset[str]
    texts: frozenset[str]


@dataclass(frozen=True)
class QueryOutput:
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
    tree = _parse(source)
    free = meta.find_undeclared_variables(tree)
    outputs: set[str] = set()
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
        elif (key := _find_key(access)) is not None:
            parameters.add(key)
    texts = {node.name for node in tree.find_all(nodes.Name) if id(node) not in owned}
    return References(frozenset(outputs & free), frozenset(texts & free | parameters))


def render_text(source: str, names: Mapping[str, Any]) -> str:
    """
    Render a text.

    :raises BlockTemplateError: if it fails, for an undefined name above all.
    """
    budget = Budget()

    def write(value: Any) -> str:
        budget.weigh(value)
        text = value.source if isinstance(value, QueryOutput) else value
        text = text if isinstance(text, str) else str(text)
        budget.write(len(text))
        return text

    return _render(_load(BoundedEnvironment(budget, write), source), names)


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
        self._environment.filters.update(SQL_FILTERS)

    def render(self, source: str) -> str:
        if "\x00" in source:
            raise BlockTemplateError("the SQL holds a NUL character: take it out.")
        self._budget.step(1 + len(source) // CHARACTERS_PER_STEP)
        if source not in self._templates:
            _refuse_splicing(_parse(source))
            self._templates[source] = _load(self._environment, source)
        return _render(self._templates[source], self._names)

    def _finalize(self, value: Any) -> str:
        self._budget.weigh(value)
        if isinstance(value, Undefined):
            return str(value)  # raises, and says which name is undefined
        if isinstance(value, QueryOutput):
            return self._compose(value)
        return self._bind(value)

    def _compose(self, query: QueryOutput) -> str:
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
        raise BlockTemplateError(
            "a value for the SQL holds a NUL character. If it comes from loop(…): this makes a value,"
            " not SQL."
        )
    if not is_encodable(value):
        raise BlockTemplateError("a value for the SQL holds half a character (a surrogate): take it out.")
    return str.__str__(value)  # Jinja's markup is a kind of str; databases want the plain one


def _collect_values(values: Iterable[Any]) -> InClause:
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise BlockTemplateError(f"inclause needs a list of values, not {type(values).__name__}.")
    collected = tuple(values)
    if not collected:
        raise BlockTemplateError("inclause needs at least one value, and the list is empty.")
    return InClause(collected)


SQL_FILTERS: Mapping[str, Callable[[Any], Any]] = {"inclause": _collect_values, "identifier": Identifier}
"""Those that write SQL, from values that are bound or quoted."""


def check_sql_template(source: str) -> None:
    """
    Refuse SQL with constructs that make text of values. What is no template is let pass: it fails later.

    :raises BlockTemplateError: for the first such construct.
    """
    try:
        tree = _parse(source)
    except BlockTemplateError:
        return
    _refuse_splicing(tree)


def _refuse_splicing(tree: nodes.Template) -> None:
    """Refuse what Jinja renders to text inside of a template: there, values are not bound yet."""
    for kind, written in SPLICING_NODES.items():
        if tree.find(kind) is not None:
            raise BlockTemplateError(
                f"SQL cannot have {written}: values would get into its text. Use {{{{ … }}}}, {{% if %}},"
                " {% for %} and {% set name = value %}, and compose queries of queries."
            )


def _load(environment: BoundedEnvironment, source: str) -> Template:
    with _translating():
        return environment.load(source)


def _render(template: Template, names: Mapping[str, Any]) -> str:
    with _translating():
        return template.render(names)


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except PushMetricsError:
        raise
    except RecursionError as error:
        raise BlockTemplateError("the template failed: it is nested too deep.") from error
    except TEMPLATE_FAILURES as error:
        raise BlockTemplateError(f"the template failed: {error}") from error


def _parse(source: str) -> nodes.Template:
    try:
        return parse_bounded(ImmutableSandboxedEnvironment(), source)
    except TemplateError as error:
        raise BlockTemplateError(f"not a template: {error}") from error
    except RecursionError as error:
        raise BlockTemplateError("not a template: it is nested too deep.") from error


def _find_key(node: nodes.Getattr | nodes.Getitem) -> str | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return node.arg.value
    return None
