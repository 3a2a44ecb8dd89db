"""Rows of a result in JSON as Python values of their columns' types."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

NINE_DIGITS = re.compile(r"\.\d{7,}")
"""Nanoseconds, which Python truncates silently."""


def type_rows(result: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """
    Give the rows of a result the types of its columns.

    :param result: The JSON of a result, with its fractions parsed as Decimal.
    :return: None if it has no list of rows.
    """
    rows, columns = result.get("data"), result.get("columns")
    if not isinstance(rows, list):
        return None
    kinds = {
        str(column.get("name")): str(column.get("type"))
        for column in (columns if isinstance(columns, list) else [])
        if isinstance(column, dict)
    }
    readers = {name: _find_reader(kind) for name, kind in kinds.items()}
    return [
        {name: readers.get(name, _read_number)(value) for name, value in row.items()}
        if isinstance(row, dict)
        else row
        for row in rows
    ]


def parse_exact(digits: str) -> float | Decimal:
    """Read a number as a float, or as a Decimal where a float would round it."""
    number = float(digits)
    exact = Decimal(digits)
    return number if Decimal(repr(number)) == exact else exact


def _find_reader(kind: str) -> Callable[[Any], Any]:
    if kind.startswith("decimal"):
        return lambda value: Decimal(value) if isinstance(value, int) else value
    if kind == "json" or "decimal" in kind:
        return lambda value: value
    if kind in ("double", "float", "halffloat"):
        return lambda value: float(value) if isinstance(value, int | Decimal) else value
    if kind.startswith("date"):
        return _read_text(date.fromisoformat)
    if kind.startswith("timestamp"):
        return _read_text(datetime.fromisoformat)
    if kind.startswith("time"):
        return _read_text(time.fromisoformat)
    if kind in ("binary", "large_binary"):
        return _read_text(base64.b64decode)
    return _read_number


def _read_text(read: Callable[[str], Any]) -> Callable[[Any], Any]:
    """Parse texts; values that Python cannot hold stay text."""

    def read_or_leave(value: Any) -> Any:
        if not isinstance(value, str) or NINE_DIGITS.search(value) or value.startswith("24:"):
            return value
        try:
            return read(value)
        except ValueError:
            return value

    return read_or_leave


def _read_number(value: Any) -> Any:
    """Convert fractions, also inside lists and objects, to floats."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_read_number(one) for one in value]
    if isinstance(value, dict):
        return {name: _read_number(one) for name, one in value.items()}
    return value
