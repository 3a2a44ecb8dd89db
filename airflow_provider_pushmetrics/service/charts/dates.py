"""
How a chart reads dates without a time: as days of the place where it is drawn.

Vega reads ``2026-03-01`` as midnight in UTC and draws it in local time, which west of Greenwich is the day
before. So a column of dates that is drawn as time gets a format, in which it is midnight there. The page has
the same rules for its preview (``chart_dates.js``), and both are tested with the same specifications.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from airflow_provider_pushmetrics.service.charts.checks import ROW_KEYS, read_column

LOCAL_DAY = "date:'%Y-%m-%d'"
TIME_TYPES = frozenset({"temporal", "t"})
BOUNDS = ("equal", "lt", "lte", "gt", "gte", "range", "oneOf")
"""The keys of a filter whose value may be a moment, as ``{"year": 2026}``: it makes the field one too."""


def list_date_formats(spec: Mapping[str, Any], dates: Collection[str]) -> dict[str, str]:
    """
    List the formats of the fields which are dates and are drawn as time.

    What is drawn in UTC, or is replaced by a transform, is left as it is.

    :param dates: The columns of dates.
    """
    parts = list(_list_parts(spec))
    left = {name for part in parts for name in _list_texts(part.get("as"))}
    repeated = [name for part in parts for name in _list_texts(part.get("repeat"))]
    formats: dict[str, str] = {}
    for part in parts:
        if not _is_time(part):
            continue
        field = part.get("field")
        fields = repeated if isinstance(field, Mapping) else [field] if isinstance(field, str) else []
        for one in fields:
            column = read_column(one)
            if _is_utc(part):
                left.add(column)
            elif column in dates and column not in map(read_column, formats):
                formats[one] = LOCAL_DAY
    return {field: form for field, form in formats.items() if read_column(field) not in left}


def _is_time(part: Mapping[str, Any]) -> bool:
    if str(part.get("type")).lower() in TIME_TYPES or part.get("timeUnit") or _find_scale(part) == "time":
        return True
    bounds = (part.get(name) for name in BOUNDS)
    return any(isinstance(one, Mapping) for value in bounds for one in (value, *_list(value)))


def _is_utc(part: Mapping[str, Any]) -> bool:
    unit = part.get("timeUnit")
    if isinstance(unit, Mapping):
        if unit.get("utc") is True:
            return True
        unit = unit.get("unit")
    return str(unit).startswith("utc") or _find_scale(part) == "utc"


def _find_scale(part: Mapping[str, Any]) -> Any:
    scale = part.get("scale")
    return scale.get("type") if isinstance(scale, Mapping) else None


def _list_parts(value: Any) -> Iterator[Mapping[str, Any]]:
    """List all objects of a specification, except rows."""
    if isinstance(value, Mapping):
        yield value
        for key, one in value.items():
            if key not in ROW_KEYS:
                yield from _list_parts(one)
    for one in _list(value):
        yield from _list_parts(one)


def _list_texts(value: Any) -> list[str]:
    """List the texts of ``as`` and ``repeat``: one, several, or several for each direction."""
    if isinstance(value, Mapping):
        return [text for one in value.values() for text in _list_texts(one)]
    return [one for one in (value, *_list(value)) if isinstance(one, str)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
