from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError, PushMetricsUnavailableError
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor, read_number

FOUND = {
    "id": 3,
    "source": "demo",
    "received_at": "2026-01-01T00:00:00+00:00",
    "body": {"event": "report.run"},
}
CONTEXT: Any = {}


def build_sensor(**kwargs: Any) -> PushMetricsRunSensor:
    return PushMetricsRunSensor(task_id="a_sensor", **kwargs)


@pytest.mark.parametrize("event", ["report.created", "run", "", None])
def test_only_runs_can_be_waited_for(event: Any) -> None:
    with pytest.raises(PushMetricsParameterError, match=r"it must be one of report\.run, query\.run"):
        build_sensor(event=event)


@pytest.mark.parametrize(
    ("value", "number"),
    [(None, None), ("", None), (" ", None), ("None", None), (7, 7), ("7", 7), (" 7 ", 7), (0, 0), ("0", 0)],
)
def test_a_number_may_come_out_of_a_template(value: Any, number: int | None) -> None:
    assert read_number("run_id", value) == number


@pytest.mark.parametrize("value", ["seven", "-1", -1, "1.5", 1.5, "7x", "\u0667", "9" * 19, True, "{{ x }}"])
def test_what_is_no_number_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(PushMetricsParameterError, match=r"run_id is .*it must be a whole number"):
        read_number("run_id", value)


def test_templates_are_rendered_before_they_are_read() -> None:
    with DAG("a_dag"):
        sensor = build_sensor(
            report_id="{{ params.report }}",
            query_id="{{ params.query }}",
            run_id="{{ params.run }}",
            after="{{ params.after }}",
            pushmetrics_conn_id="{{ params.conn }}",
        )
    params = {"report": 1, "query": None, "run": 7, "after": 3, "conn": "other"}
    context: Any = {"params": params}
    sensor.render_template_fields(context)
    wanted = sensor._build_filter()
    assert (wanted.report_id, wanted.query_id, wanted.run_id) == (1, None, 7)
    assert sensor._get_start() == 3
    assert sensor.hook.pushmetrics_conn_id == "other"


def test_a_known_run_counts_from_the_oldest_event_on() -> None:
    assert build_sensor(run_id=7)._get_start() == 0


def test_a_sensor_that_is_rescheduled_must_be_told_where_to_begin() -> None:
    with pytest.raises(PushMetricsParameterError, match=r"set 'run_id' or 'after', or use deferrable=True"):
        build_sensor(mode="reschedule").poke(CONTEXT)


@pytest.mark.parametrize("kwargs", [{"run_id": 7}, {"after": 3}])
def test_a_sensor_that_is_rescheduled_and_told_where_to_begin_does(kwargs: dict[str, Any]) -> None:
    assert build_sensor(mode="reschedule", **kwargs)._get_start() in (0, 3)


def test_the_event_that_the_trigger_found_is_returned() -> None:
    assert build_sensor().execute_complete(CONTEXT, {"status": "success", "found": FOUND}) == FOUND


def test_a_timeout_of_the_trigger_is_a_timeout_of_the_sensor() -> None:
    with pytest.raises(AirflowSensorTimeout, match=r"no report\.run that is wanted arrived within 60 s"):
        build_sensor(timeout=60).execute_complete(CONTEXT, {"status": "timeout"})


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
        ({"status": "meditating"}, "the trigger said 'meditating'"),
        ({}, "the trigger said None"),
    ],
)
def test_whatever_else_the_trigger_says_is_an_error(event: dict[str, Any], words: str) -> None:
    with pytest.raises(PushMetricsUnavailableError, match=words):
        build_sensor().execute_complete(CONTEXT, event)
