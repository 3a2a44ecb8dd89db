"""
Base classes of the schemas of requests and answers, and the answer shapes of Flask-AppBuilder.

The schema of a request is a ``RequestBody``. The schema of an answer is a ``TypedDict`` under ``@answer``:
pydantic checks what the service answers. Both go into the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from airflow_provider_pushmetrics.service.api.conventions.fields import Id
from airflow_provider_pushmetrics.service.storage.clock import format_moment


class RequestBody(BaseModel):
    """The body of a request; the docstrings of its fields are their descriptions."""

    model_config = ConfigDict(use_attribute_docstrings=True)


def _allow_more(schema: dict[str, Any]) -> None:
    """Leave a schema open for clients: an answer may have more keys one day."""
    schema.pop("additionalProperties", None)


answer = with_config(
    # Closed and strict: an answer with another key or type fails in tests.
    ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True, json_schema_extra=_allow_more)
)
"""Declares a ``TypedDict`` as the schema of an answer; the docstrings of its keys are their descriptions."""


@answer
class RowWithId(TypedDict):
    """A row with its id."""

    id: int


Row = TypeVar("Row", bound=RowWithId)
Result = TypeVar("Result")
Answer = TypeVar("Answer")


@answer
class Page(TypedDict, Generic[Row]):
    """One page of a list."""

    count: Annotated[int, Field(examples=[1])]
    """The number of rows on all pages."""
    ids: list[Id]
    """The ids of the rows of this page."""
    result: list[Row]
    """The rows of this page."""


@answer
class One(TypedDict, Generic[Row]):
    """One row, and its id."""

    id: Id
    """The id of the row."""
    result: Row


@answer
class Wrapped(TypedDict, Generic[Result]):
    """One result."""

    result: Result


@answer
class Confirmation(TypedDict):
    """Confirms that something was done."""

    message: Annotated[str, Field(examples=["OK"])]


OK: Confirmation = {"message": "OK"}


def build_page(count: int, rows: Sequence[Row]) -> Page[Row]:
    """Build the answer of a list."""
    return {"count": count, "ids": [row["id"] for row in rows], "result": list(rows)}


def build_one(row: Row) -> One[Row]:
    return {"id": row["id"], "result": row}


def wrap(result: Result) -> Wrapped[Result]:
    """Build the answer with a result that has no id."""
    return {"result": result}


def build_answer(schema: type[Answer], row: object, **others: Any) -> Answer:
    """
    Build an answer from a row of the database.

    Each key of the schema publishes the attribute of that name.

    :param schema: The ``TypedDict``; its keys are attributes of the row, or in ``others``.
    :param others: The values that the row has under another name, or does not have.
    """
    named = {name: getattr(row, name) for name in schema.__annotations__ if name not in others}
    return cast(Answer, {name: _write_value(value) for name, value in {**named, **others}.items()})


def _write_value(value: object) -> object:
    if isinstance(value, datetime):
        return format_moment(value)
    return value.isoformat() if isinstance(value, date) else value
