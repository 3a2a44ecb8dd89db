from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.types import TaskInstanceKey

from airflow_provider_pushmetrics.get_provider_info import get_provider_info
from airflow_provider_pushmetrics.links.pushmetrics import RUN_LINK_KEY, PushMetricsRunLink
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from tests.fakes.supervisor import FakeSupervisor, FakeTaskInstance

URL = "https://pushmetrics.io/api/reports/1/run/7"
KEY = TaskInstanceKey("a_dag", "a_task", "a_run", 1, -1)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> FakeSupervisor:
    fake = FakeSupervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", fake, raising=False)
    return fake


def get_link() -> str:
    operator = PushMetricsTriggerReportOperator(task_id="a_task", report_id=1)
    return PushMetricsRunLink().get_link(operator, ti_key=KEY)


def test_the_run_link_is_empty_before_the_run_starts(supervisor: FakeSupervisor) -> None:
    assert get_link() == ""


def test_the_run_link_is_what_the_task_has_stored(supervisor: FakeSupervisor) -> None:
    ti = FakeTaskInstance()
    context: Any = {"ti": ti}
    PushMetricsRunLink.persist(context, URL)
    assert ti.xcoms == {RUN_LINK_KEY: URL}
    supervisor.xcoms = ti.xcoms
    assert get_link() == URL


def test_the_link_is_named_in_the_metadata_and_on_the_operator() -> None:
    path = f"{PushMetricsRunLink.__module__}.{PushMetricsRunLink.__name__}"
    assert get_provider_info()["extra-links"] == [path]
    assert [type(link) for link in PushMetricsTriggerReportOperator.operator_extra_links] == [
        PushMetricsRunLink
    ]
