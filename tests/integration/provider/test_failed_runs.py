"""What a sensor makes of a run that failed: its event does not say so, and the API is asked."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from starlette.responses import JSONResponse, Response

from airflow_provider_pushmetrics.client.outcomes import OUTPUTS_TIMEOUT_SECONDS
from airflow_provider_pushmetrics.client.run_polling import OUTPUTS_SECONDS
from airflow_provider_pushmetrics.client.transports import SyncTransport
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsParameterError,
    PushMetricsRunError,
    PushMetricsRunFailed,
    PushMetricsUntrustedUrlError,
)
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from tests.fakes.airflow_versions import capture_logs
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.scripted import FakeClock
from tests.fakes.supervisor import FakeTaskInstance
from tests.integration.provider.conftest import Connect, Mode
from tests.integration.provider.test_sensor import NDJSON, build, run_sensor

pytestmark = pytest.mark.usefixtures("quick_worker")


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
@pytest.mark.usefixtures("with_or_without_receiver")
def test_a_run_that_failed_fails_the_sensor_with_its_block_and_message(
    pushmetrics: FakePushMetrics, mode: Mode, outcome: str
) -> None:
    pushmetrics.outcomes = [outcome]
    pushmetrics.start_run()
    with pytest.raises(
        PushMetricsRunFailed, match=f"run 1 of report '1' ended with status {outcome}"
    ) as caught:
        run_sensor(run_id=1, **mode)
    assert caught.value.run_id == 1
    assert ("at block 'by_carrier': division by zero" in str(caught.value)) == (outcome == "failed")


def test_a_run_that_failed_skips_the_task_or_succeeds_where_that_is_wanted(
    pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    pushmetrics.outcomes = ["failed"]
    pushmetrics.start_run()
    with pytest.raises(AirflowSkipException, match="ended with status failed"):
        run_sensor(run_id=1, on_failed_run="skip", **mode)
    asked = len(pushmetrics.seen)
    assert run_sensor(run_id=1, on_failed_run="succeed", **mode)["id"] == 1
    assert len(pushmetrics.seen) == asked  # nobody is asked how it ended


def build_hasty(clock: FakeClock, **kwargs: Any) -> PushMetricsRunSensor:
    """Build a sensor whose pauses take no time, but move a clock."""
    sensor, hook = build(**kwargs), PushMetricsHook()
    hook.credentials.clock = clock
    hook._transport = SyncTransport(hook.get_conn(), sleep=clock.advance)
    sensor.hook = hook
    return sensor


FAILURES = pytest.mark.parametrize(
    ("on_failed_run", "error"),
    [("fail", PushMetricsRunFailed), ("skip", AirflowSkipException)],
)


@FAILURES
@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
def test_a_run_that_failed_and_never_has_outputs_fails_or_skips_the_sensor(
    pushmetrics: FakePushMetrics, mode: Mode, outcome: str, on_failed_run: str, error: type[Exception]
) -> None:
    pushmetrics.outcomes, pushmetrics.pending_outputs = [outcome], {1}
    if not mode["deferrable"]:
        pushmetrics.start_run()
    clock = FakeClock()
    began, builds = clock(), partial(build_hasty, clock)
    with pytest.raises(error, match=f"run 1 of report '1' ended with status {outcome}"):
        run_sensor(pushmetrics.start_run, builds=builds, run_id=1, on_failed_run=on_failed_run, **mode)
    assert clock() - began >= OUTPUTS_TIMEOUT_SECONDS


@FAILURES
def test_a_run_that_failed_and_never_has_outputs_fails_or_skips_a_sensor_without_receiver(
    connect_whole: Connect,
    pushmetrics: FakePushMetrics,
    on_failed_run: str,
    error: type[Exception],
) -> None:
    connect_whole(receiver_url=None, receiver_token=None)
    clock, context = FakeClock(), {"ti": FakeTaskInstance()}
    sensor = build_hasty(clock, report_id=1, on_failed_run=on_failed_run)
    assert not sensor.poke(context)  # type: ignore[arg-type]
    pushmetrics.outcomes, pushmetrics.pending_outputs = ["failed"], {1}
    pushmetrics.start_run()
    assert not sensor.poke(context)  # type: ignore[arg-type]
    clock.advance(OUTPUTS_SECONDS)
    with pytest.raises(error, match="run 1 of report '1' ended with status failed"):
        sensor.poke(context)  # type: ignore[arg-type]


def test_without_an_api_token_the_log_says_that_nobody_can_say_how_the_run_ended(
    connect_whole: Connect, pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    connect_whole(password=None)
    pushmetrics.outcomes = ["failed"]
    pushmetrics.start_run()
    with capture_logs() as logs:
        assert run_sensor(run_id=1, **mode)["id"] == 1
    assert "its outcome is unknown" in str(logs)


def test_a_run_that_nobody_has_any_more_fails_the_sensor(pushmetrics: FakePushMetrics, mode: Mode) -> None:
    pushmetrics.start_run()
    pushmetrics.runs.clear()
    with pytest.raises(PushMetricsApiError, match="was answered 404"):
        run_sensor(run_id=1, **mode)


def test_an_event_that_leads_elsewhere_fails_the_sensor_and_gets_no_token(
    pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    event = pushmetrics.build_event(pushmetrics.start_run())
    pushmetrics.inbox.add({**event, "report_notebook_outputs": "https://evil.example/api/reports/1/run/9"})
    with pytest.raises(PushMetricsUntrustedUrlError):
        run_sensor(run_id=9, **mode)


def test_an_event_that_lacks_its_run_fails_the_sensor(pushmetrics: FakePushMetrics, mode: Mode) -> None:
    pushmetrics.inbox.add({"event": "report.run", "report_id": 1})
    with pytest.raises(PushMetricsRunError, match="the outcome of the run of an event is unknown"):
        run_sensor(after=0, **mode)


# Queries that ran by themselves


@pytest.fixture
def query_event(pushmetrics: FakePushMetrics) -> dict[str, Any]:
    event = {
        "event": "query.run",
        "report_id": 1,
        "query_id": 9,
        "query_result": f"{pushmetrics.url}/api/reports/1/queries/9/run/4",
    }
    pushmetrics.inbox.add(event)
    return event


@pytest.mark.usefixtures("query_event")
def test_a_query_that_has_rows_has_ended_well(pushmetrics: FakePushMetrics, mode: Mode) -> None:
    pushmetrics.results[NDJSON] = Response(b"", media_type=NDJSON)
    with capture_logs() as logs:
        assert run_sensor(event="query.run", after=0, **mode)["id"] == 1
    assert "its outcome is unknown" not in str(logs)


@pytest.mark.usefixtures("query_event")
def test_a_query_that_failed_fails_the_sensor_with_its_message(
    pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    message = {"message": "Query 'by_day' gave no result: division by zero"}
    pushmetrics.results[NDJSON] = JSONResponse(message, 409)
    with pytest.raises(PushMetricsRunFailed, match=r"query run 4 failed: .*division by zero"):
        run_sensor(event="query.run", after=0, **mode)


@pytest.mark.parametrize(
    "answer",
    [Response(b"{}", media_type="application/json"), JSONResponse({"message": "no such format"}, 406)],
    ids=["json", "not-acceptable"],
)
@pytest.mark.usefixtures("query_event")
def test_a_server_that_does_not_say_how_a_query_ended_is_told_of_in_the_log(
    pushmetrics: FakePushMetrics, answer: Response
) -> None:
    pushmetrics.results[NDJSON] = answer
    with capture_logs() as logs:
        assert run_sensor(event="query.run", after=0)["id"] == 1
    assert "PushMetrics does not say" in str(logs)


# Consumers


def test_a_consumer_takes_the_event_of_a_failed_run_so_that_the_next_dag_run_gets_the_next_event(
    pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    pushmetrics.outcomes = ["failed", "success"]
    pushmetrics.start_run()
    pushmetrics.start_run()
    with pytest.raises(PushMetricsRunFailed, match="run 1 "):
        run_sensor(ti=FakeTaskInstance(run_id="a"), consumer="a_consumer", **mode)
    assert run_sensor(ti=FakeTaskInstance(run_id="b"), consumer="a_consumer", **mode)["id"] == 2


def test_what_a_failed_run_means_is_one_of_three_words() -> None:
    with pytest.raises(PushMetricsParameterError, match="must be one of fail, succeed, skip"):
        PushMetricsRunSensor(task_id="a_sensor", on_failed_run="ignore")  # type: ignore[arg-type]
