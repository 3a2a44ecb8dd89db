"""The provider against the real receiver and the real service, for which the fakes stand in elsewhere."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAuthError,
    PushMetricsConflictError,
    PushMetricsRunFailed,
)
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsEventTrigger, PushMetricsRunTrigger
from tests.fakes.receiver_server import ReceiverServer
from tests.fakes.service_process import ServiceProcess, run_service
from tests.fakes.supervisor import FakeTaskInstance
from tests.integration.provider.conftest import Connect


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, receiver: ReceiverServer) -> Iterator[ServiceProcess]:
    with run_service(tmp_path_factory.mktemp("service"), "--demo") as service:
        service.wait_until_ready()
        service.subscribe(receiver.delivery_url)
        yield service


@pytest.fixture(autouse=True)
def connected(connect_servers: Callable[..., Connect], service: ServiceProcess) -> None:
    connect_servers(service)


def run_operator(ti: FakeTaskInstance, **kwargs: Any) -> Any:
    defaults: dict[str, Any] = {"task_id": "a_task", "report_id": 1, "poll_interval": 0.05, "timeout": 30}
    context: Any = {"ti": ti}
    return PushMetricsTriggerReportOperator(**defaults | kwargs).execute(context)


@pytest.mark.slow
def test_a_report_is_run_waited_for_and_fetched(tmp_path: Any) -> None:
    run = run_operator(FakeTaskInstance(run_id="first"), parameters={"origin": "JFK", "month": 2})
    assert run["status"] == "success"
    queries = {query["query_name"]: query for query in run["queries"]}
    assert set(queries) == {"by_carrier", "by_day", "worst"}
    for name, query in queries.items():
        path = tmp_path / f"{name}.json"
        assert PushMetricsHook().save_query_result(query["query_result"], path) == path.stat().st_size
        assert len(json.loads(path.read_bytes())["data"]) == query["row_count"] > 0
    assert queries["by_day"]["row_count"] == 28


def test_a_second_try_adopts_the_run_and_other_parameters_are_a_conflict() -> None:
    ti = FakeTaskInstance(run_id="second")
    first = run_operator(ti, parameters={"month": 1})
    ti = dataclasses.replace(ti, try_number=2)
    assert run_operator(ti, parameters={"month": 1}) == first
    with pytest.raises(PushMetricsConflictError):
        run_operator(ti, parameters={"month": 3})


def test_a_block_that_fails_is_named_with_what_the_database_said() -> None:
    ti = FakeTaskInstance(run_id="failing")
    for number in (1, 2):  # the second try does not return the failed run of the first
        with pytest.raises(PushMetricsRunFailed, match=r"at block '\w+': .*not a month") as caught:
            run_operator(dataclasses.replace(ti, try_number=number), parameters={"month": "not a month"})
        assert caught.value.run_id is not None
        runs = PushMetricsHook().fetch_runs(1)
        assert caught.value.run_id == runs[0].id


def test_the_result_of_a_query_that_failed_is_not_taken_for_one_without_rows(tmp_path: Path) -> None:
    ti = FakeTaskInstance(run_id="without_rows")
    with pytest.raises(PushMetricsRunFailed) as caught:
        run_operator(ti, parameters={"month": "not a month"})
    hook = PushMetricsHook()
    outputs = hook.wait_for_outputs(hook.build_outputs_url(1, caught.value.run_id or 0))
    url = next(query.query_result for query in outputs.queries if query.status == "failed")
    context: Any = {}
    with pytest.raises(PushMetricsRunFailed, match=r"status failed: .*not a month"):
        PushMetricsToObjectStorageOperator(
            task_id="a_task", query_result=url, path=str(tmp_path / "result.json")
        ).execute(context)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PushMetricsRunFailed, match="not a month"):
        hook.fetch_rows(url)


def test_the_run_is_found_by_its_event(receiver: ReceiverServer) -> None:
    run = run_operator(FakeTaskInstance(run_id="third"), wait_for_completion=False)
    sensor = PushMetricsRunSensor(task_id="a_sensor", run_id=run["run_id"], poke_interval=0.05, timeout=30)
    context: Any = {"ti": FakeTaskInstance()}
    found = sensor.execute(context)
    assert found["body"]["event"] == "report.run"
    assert found["source"] == "demo"

    async def wait() -> Any:
        trigger = PushMetricsRunTrigger(report_id="1", run_id=run["run_id"], after_cursor=0)
        return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(wait())
    assert (payload["status"], payload["run_id"]) == ("success", run["run_id"])


async def test_a_watcher_reads_the_inbox_and_goes_on_where_it_was() -> None:
    hook = PushMetricsHook()
    run_operator(FakeTaskInstance(run_id="fourth"))  # in this thread: Airflow 2.11 refuses others
    run_operator(FakeTaskInstance(run_id="fifth"))
    wanted = EventFilter("report.run")
    ids: list[int] = []
    while len(ids) < 2:
        page = await asyncio.to_thread(hook.fetch_events, wanted, wait_seconds=5.0)
        ids = [event.id for event in page.events]
    assert ids == sorted(ids)
    async with aclosing(PushMetricsEventTrigger(consumer="test").run()) as events:  # type: ignore[type-var]
        assert [(await anext(events)).payload["id"] for _ in range(2)] == ids[:2]
    async with aclosing(PushMetricsEventTrigger(consumer="test").run()) as events:  # type: ignore[type-var]
        # The second was taken, but nobody came back to say that it was stored.
        assert (await anext(events)).payload["id"] == ids[1]


def test_the_connection_test_finds_everything_in_order() -> None:
    works, text = PushMetricsHook().test_connection()
    assert works, text
    assert "and the API token work;" in text
    assert "trigger token of report '1' works" in text


def test_a_wrong_trigger_token_is_refused(connect: Connect, service: ServiceProcess) -> None:
    connect(host=str(service.client.base_url), trigger_tokens={"1": "a-wrong-token-0123456789"})
    with pytest.raises(PushMetricsAuthError) as caught:
        run_operator(FakeTaskInstance(), wait_for_completion=False)
    assert "a-wrong-token-0123456789" not in str(caught.value)


def test_one_trace_goes_from_the_task_over_the_report_to_its_event(service: ServiceProcess) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    ti = FakeTaskInstance(dag_id="a_dag", run_id="a <run>", task_id="a_task", try_number=2)
    with sdk.TracerProvider().get_tracer("a_test").start_as_current_span("a_task") as span:
        run_id = run_operator(ti)["run_id"]
    row = service.client.get(f"/api/v1/noteflow_run/{run_id}").json()["result"]
    assert row["started_by"] == "Airflow a_dag.a_task (run a <run>, try 2)"
    sensor = PushMetricsRunSensor(task_id="a_sensor", run_id=run_id, timeout=60, poke_interval=0.05)
    found = sensor.execute({"ti": FakeTaskInstance(task_id="a_sensor")})  # type: ignore[typeddict-item]
    sent = f"00-{span.get_span_context().trace_id:032x}-{span.get_span_context().span_id:016x}-"
    assert found["traceparent"].startswith(sent)
    assert "traceparent" not in found["body"]


def test_without_a_trace_an_event_has_none(service: ServiceProcess) -> None:
    run_id = run_operator(FakeTaskInstance(run_id="untraced"))["run_id"]
    sensor = PushMetricsRunSensor(task_id="a_sensor", run_id=run_id, timeout=60, poke_interval=0.05)
    found = sensor.execute({"ti": FakeTaskInstance(task_id="a_sensor")})  # type: ignore[typeddict-item]
    assert "traceparent" not in found
