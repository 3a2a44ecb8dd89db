"""Parameters that a report does not have: its run would use defaults, and look right."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError, PushMetricsParameterError
from tests.fakes.airflow_versions import capture_logs
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.supervisor import FakeTaskInstance
from tests.integration.provider.conftest import Connect
from tests.integration.provider.test_operator import build, run_task

pytestmark = pytest.mark.usefixtures("quick_worker")

WRONG = {"orign": "JFK", "month": 2}


def test_a_parameter_that_the_report_does_not_have_is_named_in_the_log(pushmetrics: FakePushMetrics) -> None:
    with capture_logs() as logs:
        assert run_task(parameters=WRONG)["run_id"] == 1
    assert "no Parameter block called 'orign'; it has 'origin', 'month'" in str(logs)
    with capture_logs() as logs:
        run_task(FakeTaskInstance(run_id="b"), parameters={"origin": "JFK"})
    assert "Parameter block" not in str(logs)


def test_a_parameter_that_the_report_does_not_have_fails_the_task_before_the_run_where_that_is_wanted(
    pushmetrics: FakePushMetrics,
) -> None:
    with pytest.raises(PushMetricsParameterError, match=r"called 'orign'.*The report was not run") as caught:
        run_task(parameters=WRONG, strict_parameters=True)
    assert isinstance(caught.value, AirflowFailException)  # Airflow does not retry after that
    assert pushmetrics.runs == []
    assert run_task(parameters={"month": 2}, strict_parameters=True)["run_id"] == 1


@pytest.mark.parametrize("cause", ["no-api-token", "no-blocks"])
def test_names_that_cannot_be_checked_fail_only_the_task_that_wants_them_checked(
    connect_whole: Connect, pushmetrics: FakePushMetrics, cause: str
) -> None:
    if cause == "no-api-token":
        connect_whole(password=None)
    else:
        pushmetrics.report_parameters = None
    assert run_task(parameters=WRONG)["run_id"] == 1
    with pytest.raises(
        (PushMetricsConfigurationError, PushMetricsParameterError), match=r"has no API token|not list"
    ):
        run_task(FakeTaskInstance(run_id="b"), parameters=WRONG, strict_parameters=True)
    assert len(pushmetrics.runs) == 1


def test_the_names_are_asked_for_only_before_a_run_with_parameters(pushmetrics: FakePushMetrics) -> None:
    run_task()
    assert "/api/v1/report/1" not in [seen.path for seen in pushmetrics.seen]


@pytest.mark.parametrize("native", [False, True])
def test_a_template_that_gave_none_is_sent_as_null(pushmetrics: FakePushMetrics, native: bool) -> None:
    with DAG("a_dag", render_template_as_native_obj=native):
        operator = build(parameters={"origin": "{{ params.origin }}", "month": "{{ params.month }}"})
    context: Any = {"ti": FakeTaskInstance(), "params": {"origin": None, "month": "None of it"}}
    operator.render_template_fields(context)
    operator.execute(context)
    assert pushmetrics.runs[0].parameters == {"origin": None, "month": "None of it"}
