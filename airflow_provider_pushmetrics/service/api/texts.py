"""The texts that requests hold: names, and references to other rows."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, StringConstraints


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
