"""The fields that many requests and answers have: names, texts, ids and moments."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from fastapi import Header, Path
from pydantic import AfterValidator, Field, GetPydanticSchema, StrictBool, StringConstraints


def check_storable(text: str) -> str:
    """
    Accept what every database can store.

    :raises ValueError: for a NUL character or half a surrogate pair.
    """
    if "\x00" in text:
        raise ValueError("must have no NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode") from None
    return text


Name: TypeAlias = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=255),
    AfterValidator(check_storable),
]
ShortText: TypeAlias = Annotated[str, StringConstraints(max_length=255), AfterValidator(check_storable)]
LongText: TypeAlias = Annotated[str, StringConstraints(max_length=100_000), AfterValidator(check_storable)]

Reference: TypeAlias = Annotated[str, Path(description="The id or the uid", examples=["1"])]
"""The reference to a row in a path."""

Flag: TypeAlias = StrictBool
"""A boolean in a body. A ``bool`` of pydantic would also take ``0`` and ``"no"``, unlike its schema."""

IdempotencyKey: TypeAlias = Annotated[
    str | None,
    # Only described here: ``check_idempotency_key`` answers 400, where FastAPI would answer 422.
    Header(
        description="A repeat with the same key starts nothing.",
        json_schema_extra={"pattern": "^[!-~]{1,255}$"},
    ),
]

Id: TypeAlias = Annotated[int, Field(examples=[1])]
Uid: TypeAlias = Annotated[str, Field(examples=["kQ3vX8mWz1aB"])]
"""A short id of letters and digits, which begins with a letter."""

Moment: TypeAlias = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-01T12:00:00.123456+00:00"])
]
"""A moment as ``format_moment`` writes it."""


def one_of(*values: str) -> Any:
    """Say of a text, in ``Annotated``, which values it can have; for mypy it stays a text."""
    return GetPydanticSchema(lambda _, handler: handler(Literal[values]))
