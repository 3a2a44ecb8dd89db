"""Dates are read as days of the place where a chart is drawn, by the same rules as on the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_pushmetrics.service.charts.dates import LOCAL_DAY, list_date_formats

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "chart_dates.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: one["says"])
def test_dates_that_are_drawn_as_time_have_a_format(vector: dict[str, Any]) -> None:
    formats = list_date_formats(vector["spec"], ["day", "a.b"])
    assert formats == dict.fromkeys(vector["fields"], LOCAL_DAY)
    assert list(formats) == vector["fields"]
