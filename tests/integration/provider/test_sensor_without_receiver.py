"""The sensor on a connection without a receiver: the API tells what the event would have told."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout
from starlette.responses import JSONResponse, Response

from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.run_polling import RunSnapshot
from airflow_provider_pushmetrics.client.wait_budget import WaitBudget
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import PushMetricsAuthError, PushMetricsParameterError
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.triggers.hub.hub_waits import wait_for_event_in_hub
from airflow_provider_pushmetrics.triggers.hub.limits import HubLimits
from airflow_provider_pushmetrics.triggers.hub.wait_hub import find_hub, list_hubs
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsSensorTrigger
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.supervisor import FakeTaskInstance
from tests.fakes.waiting import LIMIT_SECONDS, until
from tests.integration.provider.conftest import Connect, Mode
from tests.integration.provider.test_sensor import build, run_sensor

CONN = "pushmetrics_default"


def refuse(body: dict[str, Any]) -> bool:
    return False


@pytest.fixture(autouse=True)
def without_receiver(monkeypatch: pytest.MonkeyPatch, connect_whole: Connect) -> None:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "-1")
    monkeypatch.setenv("AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "0")
    connect_whole(receiver_url=None, receiver_token=None)


@pytest.mark.parametrize("outcome", ["success", "failed"])
def test_a_known_run_is_waited_for_by_the_api(pushmetrics: FakePushMetrics, mode: Mode, outcome: str) -> None:
    pushmetrics.outcomes, pushmetrics.looks = [outcome], 1
    pushmetrics.start_run()
    run = pushmetrics.start_run()
    found = run_sensor(report_id=1, run_id="2", on_failed_run="succeed", **mode)
    assert (found["id"], found["source"]) == (2, "api")
    sent = pushmetrics.build_event(run)
    assert {name: found["body"][name] for name in ("event", "report_id", "report_notebook_outputs")} == {
        name: sent[name] for name in ("event", "report_id", "report_notebook_outputs")
    }
    assert found["body"]["queries"] == sent["queries"]


def test_a_deferred_sensor_finds_the_next_run_that_ends(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.start_run()
    pushmetrics.outcomes = ["running"]
    going_on = pushmetrics.start_run()

    def end() -> None:
        going_on.status = "success"

    found = run_sensor(on_deferral=end, report_id=1, deferrable=True)
    assert found["id"] == going_on.id


def test_a_poking_sensor_finds_the_next_run_that_ends(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.start_run()
    sensor, context = build(report_id=1), {"ti": FakeTaskInstance()}
    assert not sensor.poke(context)  # type: ignore[arg-type]
    pushmetrics.start_run("2")
    assert not sensor.poke(context)  # type: ignore[arg-type]
    run = pushmetrics.start_run("1")
    found = sensor.poke(context)  # type: ignore[arg-type]
    assert found.xcom_value is not None
    assert found.xcom_value["id"] == run.id


def test_a_run_that_ended_before_a_task_instance_began_is_not_found_by_it(
    pushmetrics: FakePushMetrics,
) -> None:
    sensor = build(report_id=1)
    contexts: list[Any] = [{"ti": FakeTaskInstance(map_index=index)} for index in range(2)]
    assert not sensor.poke(contexts[0])
    pushmetrics.start_run()
    assert not sensor.poke(contexts[1])
    run = pushmetrics.start_run()
    found = sensor.poke(contexts[1])
    assert found.xcom_value is not None
    assert found.xcom_value["id"] == run.id


def test_a_poking_sensor_asks_once_for_a_run_that_it_does_not_want(pushmetrics: FakePushMetrics) -> None:
    sensor, context = build(report_id=1, event_filter=f"{__name__}.refuse"), {"ti": FakeTaskInstance()}
    assert not sensor.poke(context)  # type: ignore[arg-type]
    pushmetrics.start_run()
    for _ in range(3):
        assert not sensor.poke(context)  # type: ignore[arg-type]
    assert sum("/api/reports/1/run/1" in request.path for request in pushmetrics.seen) == 1


def test_a_poking_sensor_returns_a_run_with_its_queries_when_the_outputs_are_available(
    pushmetrics: FakePushMetrics,
) -> None:
    sensor, context = build(report_id=1), {"ti": FakeTaskInstance()}
    assert not sensor.poke(context)  # type: ignore[arg-type]
    pushmetrics.pending_outputs = {1}
    run = pushmetrics.start_run()
    assert not sensor.poke(context)  # type: ignore[arg-type]
    pushmetrics.pending_outputs = set()
    found = sensor.poke(context)  # type: ignore[arg-type]
    assert found.xcom_value is not None
    assert found.xcom_value["body"]["queries"] == pushmetrics.build_event(run)["queries"]


def test_a_deferred_sensor_returns_a_run_with_its_queries_when_the_outputs_are_available(
    pushmetrics: FakePushMetrics,
) -> None:
    pushmetrics.pending_outputs = {1}
    run = pushmetrics.start_run()
    found = run_sensor(on_deferral=pushmetrics.pending_outputs.clear, run_id=1, deferrable=True)
    assert found["body"]["queries"] == pushmetrics.build_event(run)["queries"]


def test_a_run_of_another_report_is_not_taken_from_a_list_that_has_only_uids(
    pushmetrics: FakePushMetrics,
) -> None:
    pushmetrics.names_report, pushmetrics.filters_runs = ("report_uid",), False
    pushmetrics.outputs_name_report, pushmetrics.reports = False, 2
    sensor, context = build(report_id=1), {"ti": FakeTaskInstance()}
    assert not sensor.poke(context)  # type: ignore[arg-type]
    pushmetrics.start_run("2")
    assert not sensor.poke(context)  # type: ignore[arg-type]
    run = pushmetrics.start_run("1")
    found = sensor.poke(context)  # type: ignore[arg-type]
    assert found.xcom_value is not None
    assert (found.xcom_value["id"], found.xcom_value["body"]["report_id"]) == (run.id, 1)


@pytest.mark.parametrize("kwargs", [{"after": 500}, {"after": "0"}, {}])
async def test_a_trigger_that_saw_no_runs_takes_none_that_had_ended_before(
    pushmetrics: FakePushMetrics, kwargs: dict[str, Any]
) -> None:
    pushmetrics.start_run()
    trigger = PushMetricsSensorTrigger(event="report.run", report_id=1, timeout_seconds=5, **kwargs)
    event = await anext(trigger.run())
    assert (event.payload["status"], event.payload["error"]) == ("error", "PushMetricsParameterError")
    assert "set 'run_id'" in event.payload["message"]


def test_a_query_is_waited_for_by_its_result(pushmetrics: FakePushMetrics, mode: Mode) -> None:
    path = "/api/reports/1/queries/3/run/2"
    answers = [JSONResponse({"status": "running"}, 202), Response(b"[" * 10_000, 200)]

    class InTurn(Response):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            await answer(scope, receive, send)

    pushmetrics.results[path] = InTurn()
    found = run_sensor(event="query.run", report_id=1, query_id=3, run_id=2, **mode)
    assert found["body"]["query_result"] == pushmetrics.url + path


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"event": "query.run", "query_id": 3}, "the API has no list of them"),
        ({"after": 7}, "need a receiver"),
        ({"consumer": "a_name"}, "need a receiver"),
        ({"workspace_id": 1}, "the API does not return the workspace of a run"),
    ],
)
def test_what_only_a_receiver_can_tell_is_refused_with_the_way_out(
    mode: Mode, kwargs: dict[str, Any], words: str
) -> None:
    with pytest.raises(PushMetricsParameterError, match=words):
        run_sensor(**kwargs | mode)


def test_no_run_in_time_is_a_sensor_timeout(mode: Mode) -> None:
    with pytest.raises(AirflowSensorTimeout):
        run_sensor(report_id=1, **mode | {"timeout": 0.1})


# Together


def begin(after: int = 0, **wanted: Any) -> asyncio.Task[Any]:
    budget = WaitBudget(poll_interval_seconds=0.02)
    wait = wait_for_event_in_hub(
        CONN, EventFilter("report.run", **wanted), after=0, budget=budget, seen=RunSnapshot(after)
    )
    return asyncio.create_task(wait)


async def test_a_hundred_waits_make_one_request_a_round_for_the_list(pushmetrics: FakePushMetrics) -> None:
    waiting = [begin(report_id=1) for _ in range(100)]
    await until(lambda: bool(list_hubs()) and list_hubs()[0].count_waits() == 100)
    seen, began = len(pushmetrics.seen), time.monotonic()
    await asyncio.sleep(0.3)
    assert 0 < len(pushmetrics.seen) - seen <= (time.monotonic() - began) / 0.02 + 2
    pushmetrics.start_run()
    found = await asyncio.wait_for(asyncio.gather(*waiting), LIMIT_SECONDS)
    assert [event.id for event in found] == [1] * 100
    assert list_hubs() == ()


async def test_a_refusal_ends_each_wait_with_an_error_of_its_own(connect_whole: Connect) -> None:
    connect_whole(receiver_url=None, receiver_token=None, password="wrong-api-token")
    find_hub(PushMetricsHook(CONN).settings, HubLimits(failures=ONE_ATTEMPT))
    errors = await asyncio.gather(*(begin(report_id=1) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in errors] == [PushMetricsAuthError] * 3
    assert len({id(error) for error in errors}) == 3
