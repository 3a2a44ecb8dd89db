"""
Values that every supported Airflow can store, on every supported database.

A webhook, a response of the API and the text of an error contain whatever their sender wrote. JSON allows
values that Airflow cannot store, and one such value in a trigger's event ends the whole triggerer:

- MessagePack, which carries events to the supervisor, rejects integers beyond 64 bits and lone surrogates.
- The type ``jsonb`` of PostgreSQL rejects NUL, NaN and Infinity.
- Airflow's serializers reject their own reserved keys, or build objects from them.
"""

from __future__ import annotations

import json
import math
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.redaction import redact

MIN_INTEGER = -(2**63)
MAX_UNSIGNED_64 = 2**64 - 1
"""The limit of MessagePack: https://github.com/msgpack/msgpack/blob/master/spec.md#limitation."""

MAX_STORABLE_DEPTH = 48
"""
The maximum nesting depth of a value.

MySQL rejects JSON that is nested more than 100 levels deep, and Airflow before 3.2 stores each object as two.
"""

RESERVED_KEYS = frozenset(
    (
        "__classname__",
        "__version__",
        "__data__",
        "__id__",
        "__cache__",
        "__type",
        "__source",
        "__var",
    )
)
"""
Keys by which Airflow marks serialized objects (``FORBIDDEN_XCOM_KEYS`` of Airflow 3.3.2).

``serialize`` rejects ``__classname__`` and ``__id__``. ``deserialize`` builds an object of any class on its
allow list from ``{"__type": …, "__var": …}``, so a sender could choose which class a task builds.
"""

_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def make_storable(value: Any) -> Any:
    """
    Convert any value to one that Airflow can store; storable values are unchanged.

    NUL and lone surrogates become U+FFFD, integers beyond 64 bits become text, NaN and Infinity become None.
    Airflow's reserved keys get ``_`` appended. What is nested too deep is written as JSON text. Never raises
    for a value that ``json.loads`` can return.
    """
    return _make_storable(value, 0)


def clean_text(text: str) -> str:
    """Replace characters that MessagePack or a database would reject."""
    return _NOT_STORABLE.sub(REPLACEMENT, text)


def describe_error(error: Exception) -> str:
    """Describe any error in one storable text, beginning with its class name if it is not one of ours."""
    try:
        text = clean_text(redact(str(error)))
    except Exception:  # __str__ of a foreign class may fail
        text = ""
    if isinstance(error, PushMetricsError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def format_error(error: Exception) -> str:
    """Format an error with its traceback as storable text without tokens, for a log."""
    return clean_text(redact("".join(traceback.format_exception(error))))


@contextmanager
def storable_errors() -> Iterator[None]:
    """
    Replace errors whose text Airflow could not store.

    For code that must raise: Airflow sends the traceback of a trigger or a callback to its supervisor, and a
    surrogate in it would end the triggerer. Such an error is raised again with clean text and without causes.
    """
    try:
        yield
    except Exception as error:
        if not _NOT_STORABLE.search("".join(traceback.format_exception(error))):
            raise
        raise _rebuild(error) from None


def _rebuild(error: Exception) -> PushMetricsError:
    text = describe_error(error)
    return type(error)(text) if isinstance(error, PushMetricsError) else PushMetricsError(text)


def _make_storable(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean_text(str(value))
    if isinstance(value, int):
        return int(value) if MIN_INTEGER <= value <= MAX_UNSIGNED_64 else _write_integer(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping | list | tuple):
        return (
            _write_as_json(value)
            if depth >= MAX_STORABLE_DEPTH
            else _make_container_storable(value, depth + 1)
        )
    return clean_text(str(value))


def _make_container_storable(value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], depth: int) -> Any:
    if not isinstance(value, Mapping):
        return [_make_storable(item, depth) for item in value]
    names = _name_keys(value)
    return {names[key]: _make_storable(item, depth) for key, item in value.items()}


def _name_keys(value: Mapping[Any, Any]) -> dict[Any, str]:
    """Give each key a unique storable name; a renamed key never replaces an unchanged one."""
    names = {key: _name_key(key) for key in value}
    taken = {key for key, name in names.items() if key == name}
    for key, name in names.items():
        if key != name:
            while name in taken:
                name += "_"
            taken.add(name)
            names[key] = name
    return names


def _name_key(key: Any) -> str:
    text = clean_text(str(key))
    return f"{text}_" if text in RESERVED_KEYS else text


def _write_integer(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # more digits than Python converts to decimal
        return hex(value)


def _write_as_json(value: object) -> str:
    try:
        return json.dumps(value, default=str)
    except (ValueError, RecursionError):
        return f"(nested more than {MAX_STORABLE_DEPTH} levels deep)"
