"""The page about traces: its code, run."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes.airflow_versions import needs_airflow

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "tracing.md"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@needs_airflow("3.0")
def test_the_task_of_the_page_is_linked_to_the_event_that_started_its_dag() -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    names: dict[str, Any] = {"__name__": "a_dag_file"}
    exec(compile(code, str(PAGE), "exec"), names)
    event = SimpleNamespace(extra={"payload": {"traceparent": PARENT}})
    names["get_current_context"] = lambda: {"triggering_asset_events": {"an_asset": [event]}}
    with sdk.TracerProvider().get_tracer("a_test").start_as_current_span("react") as span:
        assert names["react"].function() == 1
    assert [link.context.span_id for link in span.links] == [0xB7AD6B7169203331]
