"""Check SQL templates when they are saved, when the values are not yet known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from jinja2 import nodes

from airflow_provider_pushmetrics.service.templates.binding import bind_sql
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.dialects import Dialect
from airflow_provider_pushmetrics.service.templates.rendering import check_sql_template, parse_template
from airflow_provider_pushmetrics.service.templates.values import Identifier, InClause

SAMPLE_VALUES = {"identifier": Identifier("name"), "inclause": InClause(("text",))}
"""A value for each filter that writes SQL, used in place of the unknown one."""


def check_sql(source: str, dialect: Dialect | None) -> None:
    """
    Refuse SQL that cannot be sent with any values.

    SQL with conditions and loops is checked twice, with every branch and with none. It is refused if neither
    can be sent.

    :param dialect: The dialect of its database; None if it is not known.
    :raises BlockTemplateError: with the reason.
    """
    check_sql_template(source)
    if dialect is None or "\x00" in source:
        return
    tree = parse_template(source)
    has_branches = next(tree.find_all((nodes.If, nodes.For)), None) is not None
    errors = [error for way in (True, False)[: 1 + has_branches] for error in _try(tree, way, dialect)]
    if len(errors) > has_branches:
        raise errors[0]


def _try(tree: nodes.Template, with_all: bool, dialect: Dialect) -> Iterator[BlockTemplateError]:
    marked: list[Any] = []
    text = "".join(_write(tree.body, with_all, marked))
    try:
        bind_sql(text, marked, dialect)
    except BlockTemplateError as error:
        yield error


def _write(body: Iterable[nodes.Node], with_all: bool, marked: list[Any]) -> Iterator[str]:
    """Write the text of a template with marks for its values."""
    for node in body:
        if isinstance(node, nodes.Output):
            yield from _write_output(node, marked)
        elif isinstance(node, nodes.If | nodes.For) and not with_all:
            yield from _write(node.else_, with_all, marked)
        elif isinstance(node, nodes.If | nodes.For | nodes.With):
            yield from _write(node.body, with_all, marked)


def _write_output(output: nodes.Output, marked: list[Any]) -> Iterator[str]:
    for part in output.nodes:
        if isinstance(part, nodes.TemplateData):
            yield part.data
            continue
        name = part.name if isinstance(part, nodes.Filter) else ""
        marked.append(SAMPLE_VALUES.get(name, "text"))
        yield f"\x00{len(marked) - 1}\x00"
