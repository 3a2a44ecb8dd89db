"""Python source of texts and of values of JSON, as ``ruff format`` writes it."""

from __future__ import annotations

import math
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsProtocolError

INDENT = "    "


def write_text(text: str) -> str:
    """
    Write a text as a literal.

    Everything that is not printable is escaped, also what changes the direction of a line.
    """
    quote = "'" if text.count('"') > text.count("'") else '"'
    body = "".join(_escape(character, quote) for character in text)
    return f"{quote}{body}{quote}"


def write_value(value: Any, indent: str = "") -> str:
    """
    Write a value of JSON as a literal; a list or an object with one item a line.

    :param indent: The indentation of the line that it begins on.
    :raises PushMetricsProtocolError: for a number that is not finite, which Python's parser of JSON accepts.
    """
    if isinstance(value, str):
        return write_text(value)
    if isinstance(value, list | tuple):
        return write_lines("[", [write_value(item, indent + INDENT) for item in value], "]", indent)
    if isinstance(value, dict):
        rows = [f"{write_text(name)}: {write_value(item, indent + INDENT)}" for name, item in value.items()]
        return write_lines("{", rows, "}", indent)
    if isinstance(value, float) and not math.isfinite(value):
        raise PushMetricsProtocolError(f"the report has the value {value!r}, which is no number of JSON.")
    return repr(value).replace("e+", "e")


def write_type(names: Any) -> str:
    """Write the type of a JSON schema, one name or a short list of them, on one line."""
    if isinstance(names, str):
        return write_text(names)
    return f"[{', '.join(map(write_text, names))}]"


def write_lines(opening: str, rows: list[str], closing: str, indent: str) -> str:
    """Write rows between brackets, each with a comma, which keeps a formatter from joining them."""
    if not rows:
        return opening + closing
    lines = "".join(f"{indent}{INDENT}{row},\n" for row in rows)
    return f"{opening}\n{lines}{indent}{closing}"


def _escape(character: str, quote: str) -> str:
    if character in ("\\", quote):
        return "\\" + character
    if character.isprintable():
        return character
    return repr(character)[1:-1]
