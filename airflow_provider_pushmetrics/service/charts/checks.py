"""What is wrong with the specification of a chart, before it is drawn."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError

MAX_CHART_ROWS = 10_000

VIEWS = ("mark", "layer", "concat", "hconcat", "vconcat", "facet", "repeat")
"""The keys of which a specification has one: otherwise it draws nothing."""

ROW_KEYS = frozenset({"values", "datasets"})
"""Keys whose values are rows, not parts of the specification."""

FREE_NAMES = frozenset({"*"})
"""What Vega-Lite accepts as a field besides columns: ``count`` of ``*``."""

MAX_NAMED_COLUMNS = 20


class ChartSpecError(PushMetricsParameterError):
    """The specification of a chart cannot be drawn as it is written."""


def check_spec(spec: Mapping[str, Any]) -> None:
    """
    Check what can be known without rows: it draws something, and loads nothing.

    :raises ChartSpecError: if not.
    """
    if not any(key in spec for key in VIEWS):
        raise ChartSpecError(f"spec draws nothing: it must have one of the keys {', '.join(VIEWS)}")
    for key, value in _walk(spec):
        if key == "data" and isinstance(value, Mapping):
            _check_data(value)
        if key == "mark" and value is None:
            raise ChartSpecError("spec has a mark that is null: it must be a mark, such as 'bar'")
        if key == "mark" and "image" in (value, value.get("type") if isinstance(value, Mapping) else None):
            raise ChartSpecError("spec has an image mark: charts load no images")
        if key == "href":
            raise ChartSpecError("spec has href: charts have no links")


def check_fields(spec: Mapping[str, Any], query: str, columns: Collection[str]) -> None:
    """
    Check that the fields are columns of the query. Vega would draw an axis without values.

    What a specification transforms, or draws of data of its own, is not checked: it has other fields.

    :raises ChartSpecError: if one is not.
    """
    found = list(_walk(spec))
    if any(key == "transform" for key, _ in found) or any(key == "data" for key, _ in _walk_views(spec)):
        return
    for key, value in found:
        if key != "field" or not isinstance(value, str) or value in FREE_NAMES:
            continue
        if read_column(value) not in columns:
            named = ", ".join(list(columns)[:MAX_NAMED_COLUMNS])
            hint = " (a dot in a name is written \\\\.)" if value in columns else ""
            raise ChartSpecError(
                f"the field {value!r} is not a column of the query {query!r}{hint}, which has: {named}."
            )


def read_column(field: str) -> str:
    """Read the column of a field: Vega's paths name parts of values, as in ``a.b``, ``a[0]`` or ``a\\.b``."""
    column, position = "", 0
    if field.startswith("["):
        return field[1:].partition("]")[0].strip("'\"")
    while position < len(field) and field[position] not in ".[":
        position += field[position] == "\\"
        column += field[position : position + 1]
        position += 1
    return column


def _check_data(data: Mapping[str, Any]) -> None:
    if "url" in data:
        raise ChartSpecError("spec has data.url: charts load nothing, and draw the rows of their query")
    sequence = data.get("sequence")
    if isinstance(sequence, Mapping) and _is_too_long(sequence):
        raise ChartSpecError(f"spec has a data.sequence of more than {MAX_CHART_ROWS:,} rows")


def _is_too_long(sequence: Mapping[str, Any]) -> bool:
    start, stop, step = sequence.get("start", 0), sequence.get("stop", 0), sequence.get("step", 1)
    if not all(isinstance(one, (int, float)) for one in (start, stop, step)):
        return False  # the drawing refuses it
    return bool(_measure(start, stop) > MAX_CHART_ROWS * (abs(step) or 1))


def _measure(start: float, stop: float) -> float:
    """Measure a distance; integers have no limit, and cannot be subtracted from a float if they are large."""
    try:
        return abs(stop - start)
    except OverflowError:
        return math.inf


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Walk through all keys of a specification, except rows."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield key, one
            if key not in ROW_KEYS:
                yield from _walk(one)
    elif isinstance(value, list):
        for one in value:
            yield from _walk(one)


def _walk_views(spec: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Walk through what is in the views of a specification; its own data is replaced by the query's rows."""
    return _walk({key: value for key, value in spec.items() if key != "data"})
