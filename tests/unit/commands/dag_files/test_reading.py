from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, TaskGroup

from airflow_provider_pushmetrics.commands.dag_files.reading import describe_task
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator


def describe(task: Any) -> dict[str, Any]:
    found = describe_task(task.dag, task)
    assert found is not None
    return found


def test_mapped_task_has_the_default_arguments_of_dag_and_group() -> None:
    of_group: Any = {"pushmetrics_conn_id": "of_group"}
    defaults = {"pushmetrics_conn_id": "of_dag", "report_id": 7, "queries": ["of a transfer"]}
    with DAG("defaults", schedule=None, default_args=defaults):
        run = PushMetricsTriggerReportOperator.partial(task_id="run").expand(parameters=[{"a": 1}])
        with TaskGroup("group", default_args=of_group):
            wait = PushMetricsRunSensor.partial(task_id="wait").expand(query_id=[1, 2])
            own = PushMetricsTriggerReportOperator.partial(task_id="own", pushmetrics_conn_id="own").expand(
                parameters=[{"a": 1}]
            )
    assert (describe(run)["conn_id"], describe(run)["report_id"]) == ("of_dag", 7)
    assert (describe(run)["queries"], describe(run)["unknown"]) == ([], [])
    assert (describe(wait)["conn_id"], describe(wait)["is_any_report"]) == ("of_group", False)
    assert describe(own)["conn_id"] == "own"


def test_expanded_arguments_are_known_only_in_a_run() -> None:
    with DAG("expanded", schedule=None):
        run = PushMetricsTriggerReportOperator.partial(task_id="run", report_id=1).expand(
            pushmetrics_conn_id=["a", "b"]
        )
        wait = PushMetricsRunSensor.partial(task_id="wait", report_id=1).expand(
            query_id=[1, 2], event_filter=["os.path.exists"]
        )
        save = PushMetricsToObjectStorageOperator.partial(task_id="save", report_run=1, path="x").expand(
            queries=[["a"], ["b"]]
        )
        every = PushMetricsRunSensor.partial(task_id="every").expand_kwargs([{"report_id": 1}])
    assert (describe(run)["conn_id"], describe(run)["parameters"]["kind"]) == (None, "some")
    assert describe(wait)["unknown"] == ["query_id", "event_filter"]
    assert describe(save)["unknown"] == ["queries"]
    found = describe(every)
    assert (found["conn_id"], found["report_id"], found["is_any_report"]) == (None, None, False)
    assert found["unknown"] == ["query_id", "event_filter"]


def test_template_of_a_filter_is_known_only_in_a_run() -> None:
    with DAG("templates", schedule=None):
        wait = PushMetricsRunSensor(
            task_id="wait", event="query.run", report_id=1, query_id="{{ params.query }}"
        )
        any_report = PushMetricsRunSensor(task_id="any_report")
    assert describe(wait)["unknown"] == ["query_id"]
    assert describe(any_report)["is_any_report"]


def test_params_of_a_task_or_of_the_default_arguments_are_those_that_it_sends() -> None:
    sent: dict[str, Any] = {"report_id": 1, "parameters": "{{ params }}"}
    of_dag = {"month": Param(1, type="integer")}
    with DAG("own_params", schedule=None, params=of_dag, default_args={"params": {"everywhere": 1}}):
        own = PushMetricsTriggerReportOperator(
            task_id="own", params={"month": Param("May", type="string"), "extra": 1}, **sent
        )
        mapped = PushMetricsTriggerReportOperator.partial(
            task_id="mapped", params={"extra": 1}, **sent
        ).expand(pushmetrics_conn_id=["a", "b"])
        expanded = PushMetricsTriggerReportOperator.partial(task_id="expanded", **sent).expand(
            params=[{"month": 2}]
        )
    values = describe(own)["parameters"]["values"]
    assert set(values) == {"month", "everywhere", "extra"}
    assert (values["month"]["value"], values["month"]["schema"]["type"]) == ("May", "string")
    assert set(describe(mapped)["parameters"]["values"]) == {"month", "everywhere", "extra"}
    assert describe(expanded)["parameters"] == {"kind": "unknown"}
