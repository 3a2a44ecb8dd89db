"""Check SQL templates when they are saved, when the values are not yet known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Set
from functools import partial
from typing import Any

from jinja2 import nodes

from airflow_provider_pushmetrics.service.templates.binding import bind_sql
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.constant_items import ConstantItemError
from airflow_provider_pushmetrics.service.templates.dialects import Dialect
from airflow_provider_pushmetrics.service.templates.rendering import check_sql_template, parse_template
from airflow_provider_pushmetrics.service.templates.values import Identifier, InClause, UnknownText

SAMPLE_VALUES = {"identifier": Identifier("name"), "inclause": InClause(("text",))}
"""A value for each filter that writes SQL, used in place of the unknown one."""


def check_sql(source: str, dialect: Dialect | None, blocks: Collection[str] = ()) -> None:
    """
    Refuse SQL that cannot be sent with any values.

    SQL with conditions and loops is checked twice, with every branch and with none. It is refused if neither
    can be sent, or if a branch has a value in place of a column.

    :param dialect: The dialect of its database; None if it is not known.
    :param blocks: The names of the queries and texts that the SQL may be composed of; others are values.
    :raises BlockTemplateError: with the reason.
    """
    check_sql_template(source)
    if dialect is None or "\x00" in source:
        return
    tree = parse_template(source)
    has_branches = next(tree.find_all((nodes.If, nodes.For)), None) is not None
    may_be_name = partial(_may_be_name, assigned=_find_assigned(tree), blocks=blocks)
    ways = (True, False)[: 1 + has_branches]
    errors = [error for way in ways for error in _try(tree, way, dialect, may_be_name)]
    constant = [error for error in errors if isinstance(error, ConstantItemError)]
    if constant or len(errors) > has_branches:
        raise (constant or errors)[0]


def _try(
    tree: nodes.Template, with_all: bool, dialect: Dialect, may_be_name: Callable[[nodes.Expr], bool]
) -> Iterator[BlockTemplateError]:
    marked: list[Any] = []
    text = "".join(_write(tree.body, with_all, lambda part: _mark(marked, part, may_be_name)))
    try:
        bind_sql(text, marked, dialect)
    except BlockTemplateError as error:
        yield error


def _write(
    body: Iterable[nodes.Node], with_all: bool, write_mark: Callable[[nodes.Expr], str]
) -> Iterator[str]:
    """Write the text of a template with marks for its values."""
    for node in body:
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                yield part.data if isinstance(part, nodes.TemplateData) else write_mark(part)
        elif isinstance(node, nodes.If | nodes.For) and not with_all:
            yield from _write(node.else_, with_all, write_mark)
        elif isinstance(node, nodes.If | nodes.For | nodes.With):
            yield from _write(node.body, with_all, write_mark)


def _mark(marked: list[Any], part: nodes.Expr, may_be_name: Callable[[nodes.Expr], bool]) -> str:
    """Mark a ``{{ … }}``, with a sample of its value."""
    name = part.name if isinstance(part, nodes.Filter) else ""
    unknown = UnknownText("text") if may_be_name(part) else "text"
    marked.append(SAMPLE_VALUES.get(name, unknown))
    return f"\x00{len(marked) - 1}\x00"


def _may_be_name(part: nodes.Expr, assigned: Set[str], blocks: Collection[str]) -> bool:
    """Tell whether an expression may give SQL: a block, or ``identifier`` by a variable or inside it."""
    if isinstance(part, nodes.Name) and part.name in blocks:
        return True
    parts = (part, *part.find_all((nodes.Name, nodes.Filter, nodes.Const)))
    return any(
        one.name in (assigned if isinstance(one, nodes.Name) else SAMPLE_VALUES)
        if isinstance(one, nodes.Name | nodes.Filter)
        else isinstance(one, nodes.Const) and one.value in tuple(SAMPLE_VALUES)
        for one in parts
    )


def _find_assigned(tree: nodes.Template) -> Set[str]:
    """Find the variables of a template."""
    return {one.name for one in tree.find_all(nodes.Name) if one.ctx == "store"}
