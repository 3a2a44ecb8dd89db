"""The Airflow ``Param`` of a Parameter block: a default and a JSON schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from airflow_provider_pushmetrics.commands.dag_files.reports import ANY, ReportParameter

TYPES = {
    "text": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "date": "string",
    "timestamp": "string",
}
"""The type in a JSON schema of each type of a Parameter block."""

FORMATS = {
    "date": ("date", re.compile(r"\d{4}-\d\d-\d\d")),
    "timestamp": ("date-time", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")),
}
"""What Airflow accepts; PushMetrics accepts more, and such a parameter is a text without a format."""


@dataclass(frozen=True)
class ParamSpec:
    """
    A ``Param``.

    :param has_default: Whether it has a default; without one it must be given.
    :param schema: The JSON schema.
    :param note: What is different from the report, if anything.
    """

    name: str
    default: Any
    has_default: bool
    schema: Mapping[str, Any]
    note: str | None = None


def build_param(parameter: ReportParameter) -> ParamSpec:
    """Build the ``Param`` of a parameter."""
    default, choices = _fit(parameter, parameter.default), _fit_all(parameter, parameter.choices or ())
    examples = _fit_all(parameter, parameter.examples)
    values = [*_list_items(parameter, default), *choices, *examples]
    is_typed = parameter.kind != ANY and all(is_of_kind(parameter.kind, value) for value in values)
    choices = choices and [*choices, *_list_other(_list_items(parameter, default), choices)]
    schema: dict[str, Any] = {}
    if parameter.is_multiple:
        item = _build_type(parameter.kind, values) if is_typed else {}
        schema = {"type": _allow_null(parameter, "array"), "items": _add_choices(item, choices)}
    elif is_typed:
        schema = _build_type(parameter.kind, values)
        schema["type"] = _allow_null(parameter, schema["type"])
    if not parameter.is_multiple:
        missing = [] if parameter.is_required else [None]
        schema = _add_choices(schema, [*choices, *missing] if choices else [])
    if examples:
        schema["examples"] = examples
    if parameter.title:
        schema["title"] = parameter.title
    note = None
    if parameter.kind != ANY and not is_typed:
        note = (
            f"parameter {parameter.name!r}: its default or a choice is no {parameter.kind} of JSON, so its"
            " Param has no type"
        )
    has_default = default is not None or not parameter.is_required
    return ParamSpec(parameter.name, default, has_default, schema, note)


def _build_type(kind: str, values: Iterable[Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": TYPES[kind]}
    if kind in FORMATS:
        name, pattern = FORMATS[kind]
        if all(value is None or pattern.fullmatch(value) for value in values):
            schema["format"] = name
    return schema


def _allow_null(parameter: ReportParameter, name: str) -> Any:
    return name if parameter.is_required else ["null", name]


def _add_choices(schema: dict[str, Any], choices: list[Any]) -> dict[str, Any]:
    return {**schema, "enum": choices} if choices else schema


def _list_other(values: Iterable[Any], choices: list[Any]) -> list[Any]:
    """List the values that are no choices: a Dag must accept the default of its report. 1 and true differ."""
    known = [(isinstance(one, bool), one) for one in choices]
    return [one for one in values if one is not None and (isinstance(one, bool), one) not in known]


def _list_items(parameter: ReportParameter, value: Any) -> list[Any]:
    return value if parameter.is_multiple and isinstance(value, list) else [value]


def _fit(parameter: ReportParameter, value: Any) -> Any:
    """Convert a default to what JSON calls it: PushMetrics accepts the text of a number."""
    if parameter.is_multiple and value is not None:
        items = value if isinstance(value, list) else [value]
        return [convert_value(parameter.kind, item) for item in items]
    return convert_value(parameter.kind, value)


def _fit_all(parameter: ReportParameter, values: Iterable[Any]) -> list[Any]:
    return [convert_value(parameter.kind, value) for value in values]


def convert_value(kind: str, value: Any) -> Any:
    """
    Convert the text of a number or a truth value to what JSON calls it; anything else stays.

    So does the text of a number that a float would round: PushMetrics reads all its digits.
    """
    if isinstance(value, str) and kind in ("integer", "number", "boolean"):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if not is_of_kind(kind, found):
            return value
        is_rounded = isinstance(found, float) and Decimal(value) != Decimal(repr(found))
        return value if is_rounded else found
    if isinstance(value, float) and kind == "integer" and value.is_integer():
        return int(value)
    return value


def is_of_kind(kind: str, value: Any) -> bool:
    """Return whether a value is null or has the type of a Parameter block, in JSON."""
    return value is None or kind == ANY or CHECKS[kind](value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value - value == 0


CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "date": lambda value: isinstance(value, str),
    "timestamp": lambda value: isinstance(value, str),
}
