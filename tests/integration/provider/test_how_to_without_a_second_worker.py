"""The page about ending deferred tasks in the triggerer: its code builds the Dag that the page describes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.fakes.airflow_versions import needs_airflow

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "without-a-second-worker.md"


@needs_airflow("3.0")
def test_the_dag_of_the_page_is_one_whose_task_may_end_in_the_triggerer() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    names: dict[str, Any] = {"__name__": "a_dag_file"}
    exec(compile(code, str(PAGE), "exec"), names)
    operator = names["run_report"]
    assert (operator.deferrable, operator.end_from_trigger, operator.retries) == (True, None, 2)
    assert operator.downstream_task_ids == {"count_queries"}
