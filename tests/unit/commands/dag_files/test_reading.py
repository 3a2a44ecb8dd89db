from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, TaskGroup

from airflow_provider_pushmetrics.commands.dag_files.reading import describe_task
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator

ALL_PARAMS: dict[str, Any] = {"parameters": "{{ params }}"}


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


def describe_values(*, is_native: bool, params: dict[str, Any], **sent: str) -> dict[str, Any]:
    with DAG("values", schedule=None, params=params, render_template_as_native_obj=is_native):
        run = PushMetricsTriggerReportOperator(task_id="run", report_id=1, parameters=sent)
    values: dict[str, Any] = describe(run)["parameters"]["values"]
    return values


def test_list_in_a_template_is_sent_as_the_text_of_python_unless_the_dag_renders_values() -> None:
    params = {"names": ["a"], "typed": Param(type="array"), "word": "a,b"}
    sent = {name: f"{{{{ params.{name} }}}}" for name in params}
    values = describe_values(is_native=False, params=params, **sent)
    assert [values[name].get("is_text_of_collection", False) for name in params] == [True, True, False]
    values = describe_values(is_native=True, params=params, **sent)
    assert not any("is_text_of_collection" in one for one in values.values())
    assert values["names"]["value"] == ["a"]


def test_value_of_a_template_is_what_jinja_renders() -> None:
    params = {"number": 2.0, "word": "12", "month": "007", "day": "2026-10-11"}
    sent = {name: f"{{{{ params['{name}'] }}}}" for name in params}
    values = describe_values(is_native=False, params=params, **sent)
    assert [one["value"] for one in values.values()] == ["2.0", "12", "007", "2026-10-11"]
    values = describe_values(is_native=True, params=params, **sent)
    assert [one["value"] for one in values.values()] == [2.0, 12, "007", "2026-10-11"]


def test_default_that_is_null_is_sent_unless_a_user_must_give_a_value() -> None:
    params = {
        "free": Param(None),
        "nullable": Param(None, type=["null", "integer"]),
        "own": Param(type="string"),
    }
    with DAG("nulls", schedule=None, params=params, render_template_as_native_obj=True):
        run = PushMetricsTriggerReportOperator(task_id="run", report_id=1, **ALL_PARAMS)
    found = describe(run)["parameters"]
    assert {name: one.get("value", "?") for name, one in found["values"].items()} == {
        "free": None,
        "nullable": None,
        "own": "?",
    }
    assert not found["is_text"]


def test_all_params_are_text_in_a_dag_that_does_not_render_values() -> None:
    with DAG("text", schedule=None, params={"month": 1}):
        run = PushMetricsTriggerReportOperator(task_id="run", report_id=1, **ALL_PARAMS)
    assert describe(run)["parameters"]["is_text"]
