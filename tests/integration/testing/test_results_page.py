"""The tasks of docs/how-to/results.md read a result of the reference service."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import task

from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.testing import PushMetricsKit

pytest_plugins = ["airflow_provider_pushmetrics.testing.fixtures"]

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "results.md"
SQL = """
SELECT * FROM (VALUES ('ExpressJet', 20.5), ('JetBlue', 13.25), ('None', NULL)) AS t(name, mean_dep_delay)
ORDER BY name
"""


@pytest.fixture
def tasks() -> dict[str, Any]:
    """The tasks that the page defines."""
    names: dict[str, Any] = {"task": task, "Any": Any, "PushMetricsHook": PushMetricsHook}
    for code in re.findall(r"```python\n(@task\n.*?)```", PAGE.read_text("utf-8"), re.S):
        exec(code, names)
    return names


def test_tasks_of_the_page_read_the_result(pushmetrics: PushMetricsKit, tasks: dict[str, Any]) -> None:
    run = pushmetrics.run_report(pushmetrics.add_report(queries={"by_carrier": SQL}))
    assert tasks["list_carriers"].function(run) == ["ExpressJet", "JetBlue", "None"]
    assert tasks["find_latest"].function(run) == 20.5
