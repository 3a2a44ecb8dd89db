"""The specification of a chart: its block's content, with the rows of its query."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_pushmetrics.service.charts.checks import MAX_CHART_ROWS, check_fields, check_spec
from airflow_provider_pushmetrics.service.charts.dates import list_date_formats
from airflow_provider_pushmetrics.service.results.values import write_json, write_text
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.rendering import render_text

VEGA_LITE = "https://vega.github.io/schema/vega-lite/v5.json"


@dataclass(frozen=True)
class ChartRows:
    """
    The rows that a chart draws.

    :param query: The name of their query.
    :param dates: Those of the columns which are dates.
    """

    query: str
    columns: Sequence[str]
    dates: Collection[str]
    rows: Sequence[Mapping[str, Any]]


def build_chart(spec: Mapping[str, Any], drawn: ChartRows, names: Mapping[str, Any]) -> str:
    """
    Build a chart: its Vega-Lite specification with rendered texts and the rows of its query.

    :raises BlockTemplateError: if a template fails, or there are too many rows for a chart.
    :raises ChartSpecError: if it would load something, or has a field that is no column.
    """
    rows = drawn.rows
    if len(rows) > MAX_CHART_ROWS:
        raise BlockTemplateError(
            f"{len(rows)} rows are too many for a chart, which accepts {MAX_CHART_ROWS}: aggregate them."
        )
    rendered = _render_texts(dict(spec), names)
    check_spec(rendered)
    check_fields(rendered, drawn.query, drawn.columns)
    data: dict[str, Any] = {"values": rows}
    if formats := list_date_formats(rendered, drawn.dates):
        data["format"] = {"parse": formats}
    return write_json({"$schema": VEGA_LITE, **rendered, "data": data})


def _render_texts(value: Any, names: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return render_text(value, names, write_text) if "{" in value else value
    if isinstance(value, dict):
        return {key: _render_texts(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_render_texts(one, names) for one in value]
    return value
