"""The parameters of a run: what was given, and what Parameter blocks make of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError

TOKEN = "token"
MAX_DEPTH = 64

TRUE_WORDS = frozenset({"true", "t", "yes", "y", "on", "1"})
FALSE_WORDS = frozenset({"false", "f", "no", "n", "off", "0"})


def parse_json_parameters(body: bytes) -> dict[str, Any]:
    """
    Read the parameters in a request's body; an empty body has none.

    :raises PushMetricsParameterError: if it is not a JSON object.
    """
    if not body.strip():
        return {}
    try:
        value = json.loads(body, parse_constant=_refuse_constant, parse_float=_parse_float)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is JSON, but no text
    except (ValueError, RecursionError):
        raise PushMetricsParameterError("The body is not valid JSON") from None
    if not isinstance(value, dict):
        raise PushMetricsParameterError("The body is not a JSON object")
    if is_deeper(value, MAX_DEPTH):
        raise PushMetricsParameterError(f"The body is nested more than {MAX_DEPTH} deep")
    return value


def merge_parameters(query: Iterable[tuple[str, str]], body: Mapping[str, Any]) -> dict[str, Any]:
    """
    Put the parameters of a URL and of a body together.

    The body wins over the URL, and the first of repeated names in the URL over the others. ``token`` is the
    credential and never a parameter.
    """
    merged: dict[str, Any] = {}
    for name, value in query:
        merged.setdefault(name, value)
    merged.update(body)
    merged.pop(TOKEN, None)
    return merged


def write_fingerprint(parameters: Mapping[str, Any]) -> str:
    """Write parameters as a text to compare them by, in which 1, 1.0 and true differ."""
    return json.dumps(parameters, sort_keys=True, separators=(",", ":"))


def apply_defaults(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in the defaults of Parameter blocks."""
    return {**defaults, **given}


def coerce_parameter(name: str, kind: str, value: Any) -> Any:
    """
    Turn a value into what its Parameter block says it is; in a URL everything is text.

    :param kind: ``any``, ``text``, ``integer``, ``number``, ``boolean`` or ``date``.
    :raises PushMetricsParameterError: if it cannot be that.
    """
    if value is None or kind == "any":
        return value
    try:
        return COERCIONS[kind](value)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise PushMetricsParameterError(f"parameter {name!r} is {value!r}, which is no {kind}.") from None


def _coerce_text(value: Any) -> str:
    if isinstance(value, dict | list):
        raise TypeError
    return value if isinstance(value, str) else json.dumps(value)


def _coerce_integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError
    return int(value)


def _coerce_number(value: Any) -> float | int:
    if isinstance(value, bool):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return int(number) if number.is_integer() else number


def _coerce_boolean(value: Any) -> bool:
    word = str(value).strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError


def _coerce_date(value: Any) -> str:
    return date.fromisoformat(value).isoformat()


COERCIONS = {
    "text": _coerce_text,
    "integer": _coerce_integer,
    "number": _coerce_number,
    "boolean": _coerce_boolean,
    "date": _coerce_date,
}


def is_deeper(value: Any, depth: int) -> bool:
    """Tell whether lists and objects are nested more than so deep."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(is_deeper(one, depth - 1) for one in inner)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _parse_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value
