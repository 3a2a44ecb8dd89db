"""Lists in the form of Flask-AppBuilder: ``q`` in Rison with filters, an order and a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

import prison
from prison.decoder import ParserException
from sqlalchemy import ColumnElement, Select, SQLColumnExpression, func
from sqlalchemy.orm import InstrumentedAttribute, Session

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.api.conventions.fields import check_storable

MAX_QUERY_LENGTH = 10_000
MAX_SIGNED_64 = 2**63 - 1
DIRECTIONS = ("asc", "desc")

MAX_NUMBER = MAX_SIGNED_64 // 5000
"""The largest integer of a query: a page of it times the largest page size fits the databases' integers."""

Row = TypeVar("Row")
Schema: TypeAlias = dict[str, Any]

INTEGER: Schema = {
    "type": ["integer", "string"],
    "minimum": -MAX_NUMBER,
    "maximum": MAX_NUMBER,
    "pattern": "^[0-9]{1,15}$",
}
"""An integer, or its digits."""

TEXT: Schema = {"type": ["string", "number"]}
"""A text, which Rison writes as a number when it looks like one."""


@dataclass(frozen=True)
class Condition:
    """
    One filter of a list.

    :param build: Makes the SQL of the filter's value.
    :param schema: The JSON Schema of the value.
    """

    build: Callable[[Any], ColumnElement[bool]]
    schema: Schema


@dataclass(frozen=True)
class ListQuery:
    """The part of a list that is requested."""

    filters: tuple[tuple[str, str, Any], ...] = ()
    order_column: str | None = None
    is_descending: bool = False
    page: int = 0
    page_size: int | None = None


@dataclass(frozen=True)
class Listing:
    """
    How one resource is listed.

    :param order: The column of the default order.
    :param columns: The columns that a request can order by.
    :param conditions: The filters, by column and operator.
    :param is_descending: Whether the default order is descending.
    """

    order: InstrumentedAttribute[int]
    columns: Mapping[str, SQLColumnExpression[Any]]
    conditions: Mapping[tuple[str, str], Condition]
    default_page_size: int = 20
    max_page_size: int = 100
    is_descending: bool = False

    def narrow(self, rows: Select[Row], wanted: ListQuery) -> Select[Row]:
        """
        Apply the filters.

        :raises PushMetricsParameterError: for a filter that this list does not have.
        """
        return rows.where(*(self._build_condition(*one) for one in wanted.filters))

    def fetch(self, session: Session, rows: Select[Row], wanted: ListQuery) -> list[Row]:
        """
        Fetch one page.

        :raises PushMetricsParameterError: for an order that this list does not have.
        """
        size = min(max(wanted.page_size or self.default_page_size, 1), self.max_page_size)
        page = rows.order_by(*self._build_order(wanted)).limit(size).offset(wanted.page * size)
        return list(session.scalars(page).unique())

    def _build_condition(self, column: str, operator: str, value: Any) -> ColumnElement[bool]:
        condition = self.conditions.get((column, operator))
        if condition is not None:
            return condition.build(value)
        if all(column != known for known, _ in self.conditions):
            raise PushMetricsParameterError(f"Filter column: {column} not allowed to filter")
        raise PushMetricsParameterError(f"Filter operation: {operator} not allowed on column: {column}")

    def _build_order(self, wanted: ListQuery) -> list[ColumnElement[Any]]:
        if wanted.order_column is None:
            return [self.order.desc() if self.is_descending else self.order.asc()]
        column = self.columns.get(wanted.order_column)
        if column is None:
            raise PushMetricsParameterError(f"Order column: {wanted.order_column} not allowed to order")
        return [column.desc() if wanted.is_descending else column.asc(), self.order.asc()]

    def describe_query(self) -> Schema:
        """Describe ``q`` as a parameter of OpenAPI: a JSON value, as Flask-AppBuilder describes it."""
        return {
            "name": "q",
            "in": "query",
            "required": False,
            "description": "The filters, the order and the page, in Rison or in JSON, for example"
            ' `(page:0,page_size:20)` or `{"page":0,"page_size":20}`. A row must match all filters.'
            f" Without `page_size`, a page has {self.default_page_size} rows.",
            "content": {"application/json": {"schema": self._describe_fields()}},
        }

    def _describe_fields(self) -> Schema:
        fields = {
            "page": INTEGER | {"description": "The number of the page, from 0."},
            "page_size": INTEGER
            | {"description": f"The rows of a page: the nearest number from 1 to {self.max_page_size}."},
            "order_column": {"type": "string", "enum": list(self.columns)},
            "order_direction": {"type": "string", "enum": list(DIRECTIONS)},
            "filters": {"type": "array", "items": self._describe_filter()},
        }
        return {"type": "object", "properties": fields}

    def _describe_filter(self) -> Schema:
        kinds = [
            {
                "type": "object",
                "required": ["col", "opr", "value"],
                "properties": {
                    "col": {"type": "string", "enum": [column]},
                    "opr": {"type": "string", "enum": [operator]},
                    "value": condition.schema,
                },
            }
            for (column, operator), condition in self.conditions.items()
        ]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


def count_selected(session: Session, rows: Select[Any]) -> int:
    """Count rows one by one, by an index if one has what is asked for."""
    # Not of a subquery, for which databases would read all columns.
    return session.scalar(rows.with_only_columns(func.count(), maintain_column_froms=True)) or 0


def parse_list_query(text: str | None) -> ListQuery:
    """
    Read ``q``.

    :raises PushMetricsParameterError: if it is neither Rison nor JSON, or invalid for a list.
    """
    if not text:
        return ListQuery()
    value = _parse_rison(text)
    if not isinstance(value, dict):
        raise _build_schema_error("an object is wanted")
    filters = value.get("filters", [])
    if not isinstance(filters, list):
        raise _build_schema_error("filters must be a list")
    direction = value.get("order_direction", "asc")
    if direction not in DIRECTIONS:
        raise _build_schema_error(f"order_direction must be one of {', '.join(DIRECTIONS)}")
    order_column = value.get("order_column")
    if "order_column" in value and not isinstance(order_column, str):
        raise _build_schema_error("order_column must be a name")
    return ListQuery(
        filters=tuple(_parse_filter(one) for one in filters),
        order_column=order_column,
        is_descending=direction == "desc",
        page=max(_parse_integer(value.get("page", 0), "page"), 0),
        page_size=None
        if "page_size" not in value
        else max(_parse_integer(value["page_size"], "page_size"), 1),
    )


def match_text(column: SQLColumnExpression[Any]) -> Condition:
    """Make the condition that a text equals the filter's value."""
    return Condition(lambda value: column == parse_text(value), TEXT)


def match_part(column: InstrumentedAttribute[Any]) -> Condition:
    """Make the condition that a text contains the filter's value, in any case."""
    return Condition(lambda value: column.icontains(parse_text(value), autoescape=True), TEXT)


def match_integer(column: InstrumentedAttribute[Any], name: str, *, above: bool = False) -> Condition:
    """Make the condition that a column of integers equals the filter's value, or is above it."""

    def build(value: Any) -> ColumnElement[bool]:
        number = _parse_integer(value, name)
        return column > number if above else column == number

    return Condition(build, INTEGER)


def match_moment(column: InstrumentedAttribute[Any], *, since: bool) -> Condition:
    """Make the condition that a column is not before the filter's moment, or is before it."""

    def build(value: Any) -> ColumnElement[bool]:
        moment = parse_moment(parse_text(value))
        return column >= moment if since else column < moment

    return Condition(build, {"type": "string", "format": "date-time"})


def parse_moment(text: str) -> datetime:
    """
    Read a moment; without a zone, it is UTC.

    :raises PushMetricsParameterError: if it is none.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise PushMetricsParameterError(
            f"Not a moment: {text[:64]!r}. Write it as in 2026-03-01T12:00:00Z"
        ) from None


def _parse_filter(value: Any) -> tuple[str, str, Any]:
    if not isinstance(value, dict) or not {"col", "opr", "value"} <= value.keys():
        raise _build_schema_error("a filter has col, opr and value")
    return str(value["col"]), str(value["opr"]), value["value"]


def parse_text(value: Any) -> str:
    """
    Read a text, which Rison may have parsed as a number.

    :raises PushMetricsParameterError: if it is not a text, or a database cannot store it.
    """
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise _build_schema_error("the value of a filter must be a text or a number")
    try:
        return check_storable(str(value))
    except ValueError as error:
        raise _build_schema_error(f"a text {error}") from None


def _parse_integer(value: Any, name: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > MAX_NUMBER:
        raise _build_schema_error(f"{name} must be an integer")
    return value


def _parse_rison(text: str) -> Any:
    if len(text) > MAX_QUERY_LENGTH:
        raise PushMetricsParameterError("Not a valid rison/json argument")
    try:
        return prison.loads(text)
    except (ParserException, IndexError, TypeError, ValueError, RecursionError):
        pass  # prison raises any of these for invalid Rison
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise PushMetricsParameterError("Not a valid rison/json argument") from None


def _build_schema_error(reason: str) -> PushMetricsParameterError:
    return PushMetricsParameterError(f"Not a valid rison schema: {reason}")
