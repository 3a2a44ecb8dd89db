from __future__ import annotations

import importlib
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowSensorTimeout, AirflowSkipException

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError, PushMetricsUnavailableError
from airflow_provider_pushmetrics.links.pushmetrics import (
    PushMetricsEventLink,
    PushMetricsReportLink,
    PushMetricsRunLink,
)
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.triggers.event_filters import read_filter, read_number
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsSensorTrigger
from tests.fakes.airflow_versions import needs_airflow
from tests.fakes.supervisor import FakeTaskInstance

FOUND = {
    "id": 3,
    "source": "demo",
    "received_at": "2026-01-01T00:00:00+00:00",
    "body": {"event": "report.run"},
}
CONTEXT: Any = {"ti": FakeTaskInstance()}
LINKS: tuple[type[Any], ...] = (PushMetricsRunLink, PushMetricsReportLink, PushMetricsEventLink)


def build_sensor(**kwargs: Any) -> PushMetricsRunSensor:
    return PushMetricsRunSensor(task_id="a_sensor", **kwargs)


@pytest.mark.parametrize("event", ["report.created", "run", "", None])
def test_only_runs_can_be_waited_for(event: Any) -> None:
    with pytest.raises(PushMetricsParameterError, match=r"it must be one of report\.run, query\.run"):
        build_sensor(event=event)


@pytest.mark.parametrize(
    ("value", "number"),
    [(None, None), (7, 7), ("7", 7), (" 7 ", 7), (0, 0), ("0", 0)],
)
def test_a_number_may_come_out_of_a_template(value: Any, number: int | None) -> None:
    assert read_number("run_id", value) == number


@pytest.mark.parametrize(
    "value", ["", " ", "None", "seven", "-1", -1, "1.5", 1.5, "7x", "\u0667", "9" * 19, True, "{{ x }}"]
)
def test_what_is_no_number_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(PushMetricsParameterError, match=r"run_id is .*it must be a whole number"):
        read_number("run_id", value)


def test_templates_are_rendered_before_they_are_read() -> None:
    with DAG("a_dag"):
        sensor = build_sensor(
            report_id="{{ params.report }}",
            query_id=None,
            run_id="{{ params.run }}",
            after="{{ params.after }}",
            consumer="{{ params.consumer }}",
            pushmetrics_conn_id="{{ params.conn }}",
        )
    params = {"report": 1, "run": 7, "after": 3, "consumer": "a_name", "conn": "other"}
    context: Any = {"params": params}
    sensor.render_template_fields(context)
    wanted = read_filter(sensor)
    assert (wanted.report_id, wanted.query_id, wanted.run_id) == (1, None, 7)
    assert sensor._open_poll(CONTEXT).start._find_start() == 3
    assert sensor.consumer == "a_name"
    assert sensor.hook.pushmetrics_conn_id == "other"


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("name", ["report_id", "query_id", "run_id", "workspace_id", "after", "event_filter"])
def test_what_was_set_and_rendered_to_nothing_does_not_stand_for_any(name: str, native: bool) -> None:
    with DAG("a_dag", render_template_as_native_obj=native):
        event = "query.run" if name == "query_id" else "report.run"
        sensor = build_sensor(event=event, **{name: "{{ params.nothing }}"})
    context: Any = {"params": {"nothing": None}, **CONTEXT}
    sensor.render_template_fields(context)
    with pytest.raises(PushMetricsParameterError, match=f"{name} is "):
        sensor.execute(context)


def test_query_of_a_report_run_is_refused_because_no_event_would_match() -> None:
    with pytest.raises(
        PushMetricsParameterError, match=r"query_id is 3 .*would never match. Use event='query"
    ):
        build_sensor(query_id=3)


@pytest.mark.parametrize("consumer", ["", "two words", "a/b", "\u00e9", "x" * 201, 7])
def test_a_consumers_name_that_no_receiver_takes_is_refused(consumer: Any) -> None:
    with pytest.raises(PushMetricsParameterError, match=r"consumer is .*it must be 1 to 200 of"):
        build_sensor(consumer=consumer).poke(CONTEXT)


def test_a_known_run_counts_from_the_oldest_event_on() -> None:
    assert build_sensor(run_id=7)._open_poll(CONTEXT).start._find_start() == 0


def test_a_sensor_that_is_rescheduled_must_be_told_where_to_begin() -> None:
    with pytest.raises(PushMetricsParameterError, match=r"set 'run_id' or 'after', or use deferrable=True"):
        build_sensor(mode="reschedule").poke(CONTEXT)


@pytest.mark.parametrize("kwargs", [{"run_id": 7}, {"after": 3}])
def test_a_sensor_that_is_rescheduled_and_told_where_to_begin_does(kwargs: dict[str, Any]) -> None:
    assert build_sensor(mode="reschedule", **kwargs)._open_poll(CONTEXT).start._find_start() in (0, 3)


def test_a_sensor_begins_at_a_cursor_or_at_a_consumers_position_but_not_at_both() -> None:
    with pytest.raises(PushMetricsParameterError, match="'after' and 'consumer' both set where to begin"):
        build_sensor(after=3, consumer="a_dag").poke(CONTEXT)


# Starting and ending in the triggerer


@needs_airflow("3.3")
def test_airflow_starts_the_trigger_with_what_is_still_to_be_rendered() -> None:
    sensor = build_sensor(run_id="{{ params.run }}", report_id=1, start_from_trigger=True, timeout=60)
    assert sensor.start_from_trigger
    wanted = sensor.start_trigger_args
    assert wanted is not None
    assert wanted.trigger_cls == "airflow_provider_pushmetrics.triggers.pushmetrics.PushMetricsSensorTrigger"
    assert wanted.next_method == "execute_complete"
    assert wanted.timeout is not None
    assert wanted.timeout.total_seconds() == 360
    assert wanted.trigger_kwargs is not None
    trigger = PushMetricsSensorTrigger(**wanted.trigger_kwargs)
    assert (trigger.run_id, trigger.report_id, trigger.timeout_seconds) == ("{{ params.run }}", 1, 60)
    templated = set(sensor.template_fields) & set(wanted.trigger_kwargs)
    assert {"run_id", "report_id", "after", "workspace_id", "pushmetrics_conn_id"} <= templated
    assert all(hasattr(trigger, name) for name in templated)


@needs_airflow("3.3")
def test_a_trigger_that_airflow_starts_must_be_told_where_to_begin() -> None:
    with pytest.raises(PushMetricsParameterError, match="start_from_trigger needs 'run_id' or 'after'"):
        build_sensor(report_id=1, start_from_trigger=True)


@needs_airflow("3.3")
@pytest.mark.parametrize("where", [{"start_from_trigger": True, "run_id": 7}, {"end_from_trigger": True}])
def test_a_consumer_needs_a_worker_before_and_after(where: dict[str, Any]) -> None:
    with pytest.raises(PushMetricsParameterError, match="is read and moved by a worker"):
        build_sensor(consumer="a_name", **where)


def read_end(sensor: PushMetricsRunSensor) -> Any:
    """Read whether the trigger that Airflow starts may end the task."""
    assert sensor.start_trigger_args is not None
    assert sensor.start_trigger_args.trigger_kwargs is not None
    return sensor.start_trigger_args.trigger_kwargs["end_from_trigger"]


IN_TRIGGERER: dict[str, Any] = {"run_id": 7, "start_from_trigger": True, "end_from_trigger": True}


@needs_airflow("3.3")
@pytest.mark.parametrize(
    ("kwargs", "is_ended"),
    [
        ({}, True),
        ({"end_from_trigger": None}, False),
        ({"do_xcom_push": False}, False),
        ({"multiple_outputs": True}, False),
        ({"on_success_callback": print}, False),
    ],
    ids=str,
)
def test_sensor_that_begins_in_the_triggerer_ends_there_only_if_nothing_is_lost_by_it(
    kwargs: dict[str, Any], is_ended: bool
) -> None:
    assert read_end(build_sensor(**IN_TRIGGERER | kwargs)) is is_ended


@needs_airflow("3.3")
def test_sensor_that_begins_in_the_triggerer_ends_on_a_worker_if_a_task_is_mapped_over_its_result() -> None:
    """That task is declared after the sensor."""
    serialization: Any = importlib.import_module("airflow.serialization.serialized_objects")
    with DAG("a_dag") as dag:
        sensor = build_sensor(**IN_TRIGGERER)
        assert read_end(sensor) is True
        PushMetricsRunSensor.partial(task_id="mapped").expand(run_id=sensor.output)
    (encoded, _) = serialization.DagSerialization.to_dict(dag)["dag"]["tasks"]
    assert "'end_from_trigger': False" in str(encoded["__var"]["start_trigger_args"])


@needs_airflow("3.3")
def test_worker_starts_each_of_several_mapped_sensors() -> None:
    with DAG("a_dag"):
        partial = PushMetricsRunSensor.partial(task_id="mapped", start_from_trigger=True)
        mapped: Any = partial.expand(run_id=[1, 2])
    assert mapped.start_trigger_args is None


@needs_airflow("3.3")
def test_sensor_that_no_worker_has_begun_stores_its_links_when_a_worker_ends_it() -> None:
    ti = FakeTaskInstance()
    context: Any = {"ti": ti}
    with pytest.raises(AirflowSensorTimeout):
        build_sensor(**IN_TRIGGERER).execute_complete(context, {"status": "timeout"})
    assert ti.xcoms == dict.fromkeys((link().xcom_key for link in LINKS), "")


def test_a_sensor_begins_on_a_worker_unless_it_is_told_otherwise() -> None:
    sensor = build_sensor(deferrable=True)
    assert (sensor.start_from_trigger, sensor.end_from_trigger) == (False, None)
    assert sensor.start_trigger_args is None


# After the triggerer has waited


def test_the_event_that_the_trigger_found_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PUSHMETRICS_DEFAULT", '{"conn_type": "pushmetrics"}')
    assert build_sensor().execute_complete(CONTEXT, {"status": "success", "found": FOUND}) == FOUND


def test_a_timeout_of_the_trigger_is_a_timeout_of_the_sensor() -> None:
    with pytest.raises(
        AirflowSensorTimeout, match=r"report\.run of report 1, run 7 did not arrive within 60 s"
    ):
        build_sensor(timeout=60, report_id=1, run_id=7).execute_complete(CONTEXT, {"status": "timeout"})


def test_a_sensor_that_fails_softly_is_skipped_by_a_timeout_of_the_trigger() -> None:
    sensor = build_sensor(timeout=60, soft_fail=True)
    with pytest.raises(AirflowSkipException):
        sensor.resume_execution("execute_complete", {"event": {"status": "timeout"}}, CONTEXT)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            {"status": "error", "message": "PushMetricsAuthError: refused"},
            "PushMetricsAuthError: refused",
        ),
        ({"status": "meditating"}, "unknown status 'meditating'"),
        ({}, "unknown status None"),
    ],
)
def test_whatever_else_the_trigger_says_is_an_error(event: dict[str, Any], words: str) -> None:
    with pytest.raises(PushMetricsUnavailableError, match=words):
        build_sensor().execute_complete(CONTEXT, event)
