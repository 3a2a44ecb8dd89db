"""The real service, told to hide the run's id as the real product does: which run is ours is found out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_pushmetrics.client.models import TriggeredRun
from airflow_provider_pushmetrics.exceptions import PushMetricsAmbiguousRun
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from tests.fakes.receiver_server import ReceiverServer
from tests.fakes.service_process import ServiceProcess, run_service
from tests.fakes.supervisor import FakeTaskInstance
from tests.fakes.triggerer import fire
from tests.integration.provider.conftest import Connect

MODES = [False, True]
NO_RECEIVER: dict[str, Any] = {"receiver_url": None, "receiver_token": None}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, receiver: ReceiverServer) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("service")
    with run_service(folder, "--demo", "--no-trigger-returns-run-id") as service:
        service.wait_until_ready()
        service.subscribe(receiver.delivery_url, "report.run", "query.run")
        yield service


@pytest.fixture(autouse=True)
def earlier_runs_are_told_of(service: ServiceProcess, receiver: ReceiverServer) -> None:
    """Who looks at events alone takes the first to arrive: that of another test's run must not come late."""
    runs = service.client.get("/api/v1/noteflow_run/").json()["count"]
    deadline = time.monotonic() + 120
    with receiver.open_reader() as reader:
        while len(reader.get("/events", params={"event": "report.run"}).json()["events"]) < runs:
            assert time.monotonic() < deadline, "not in time: the events of earlier tests' runs"
            time.sleep(0.05)


@pytest.fixture(autouse=True)
def reconnect(connect_servers: Callable[..., Connect], service: ServiceProcess) -> Connect:
    """Connect to all there is; a test may leave parts out."""
    return connect_servers(service)


class BystanderHook(PushMetricsHook):
    """Somebody else runs the report at the same moment."""

    def trigger_report(self, *args: Any, **kwargs: Any) -> TriggeredRun:
        super().trigger_report(1, {"month": 12})
        return super().trigger_report(*args, **kwargs)


class CrowdedOperator(PushMetricsTriggerReportOperator):
    @cached_property
    def hook(self) -> PushMetricsHook:
        return BystanderHook(self.pushmetrics_conn_id)


def run_task(run_id: str, operator_class: type[PushMetricsTriggerReportOperator], **kwargs: Any) -> Any:
    context: Any = {"ti": FakeTaskInstance(run_id=run_id)}
    operator = operator_class(task_id="a_task", report_id=1, poll_interval=0.05, timeout=60, **kwargs)
    operator.appearance_seconds = 1.0
    try:
        return operator.execute(context)
    except TaskDeferred as deferral:
        return operator.execute_complete(context, asyncio.run(fire(deferral.trigger)))


def find_parameters(service: ServiceProcess, run_id: int) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get(f"/api/v1/noteflow_run/{run_id}").json()["result"][
        "parameters"
    ]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("deferrable", MODES)
@pytest.mark.parametrize(
    "changes", [{}, NO_RECEIVER, {"password": None}], ids=["both", "by-the-api", "by-the-event"]
)
def test_the_run_that_the_task_started_is_found(
    reconnect: Connect, service: ServiceProcess, deferrable: bool, changes: dict[str, Any]
) -> None:
    reconnect(**changes)
    name = f"{deferrable} {sorted(changes)}"
    result = run_task(name, PushMetricsTriggerReportOperator, parameters={"month": 3}, deferrable=deferrable)
    again = run_task(f"{name} 2", PushMetricsTriggerReportOperator, parameters={"month": 4})
    assert find_parameters(service, result["run_id"])["month"] == 3
    assert find_parameters(service, again["run_id"])["month"] == 4


@pytest.mark.parametrize("deferrable", MODES)
def test_two_runs_at_once_that_nobody_can_tell_apart_fail_loudly(deferrable: bool) -> None:
    with pytest.raises(PushMetricsAmbiguousRun, match="does not say which one belongs to this task"):
        run_task(f"crowded {deferrable}", CrowdedOperator, parameters={"month": 5}, deferrable=deferrable)


# A sensor without a receiver, against the real API


def sense(**kwargs: Any) -> Any:
    context: Any = {"ti": FakeTaskInstance()}
    sensor = PushMetricsRunSensor(task_id="a_sensor", poke_interval=0.05, timeout=60, **kwargs)
    return sensor.execute(context)


def test_a_sensor_finds_a_run_by_the_api(reconnect: Connect, service: ServiceProcess) -> None:
    reconnect(**NO_RECEIVER)
    run_id = run_task("sensed", PushMetricsTriggerReportOperator, parameters={"month": 6})["run_id"]
    body = sense(run_id=run_id, report_id=1)["body"]
    assert body["report_notebook_outputs"].endswith(f"/api/reports/1/run/{run_id}")
    assert {query["query_name"] for query in body["queries"]} == {"by_carrier", "by_day", "worst"}
    frame = PushMetricsHook().fetch_arrow(body["queries"][1]["query_result"])
    assert frame.num_rows > 0


def test_the_log_and_the_blocks_of_a_real_run_are_read(service: ServiceProcess) -> None:
    run_id = run_task("told", PushMetricsTriggerReportOperator, parameters={"month": 7})["run_id"]
    hook = PushMetricsHook()
    assert [line.message for line in hook.fetch_run_logs(run_id)]
    assert {block.name for block in hook.fetch_run_blocks(run_id)} >= {"by_carrier", "by_day", "worst"}
    assert [report.name for report in hook.fetch_reports()] == [hook.fetch_report(1).name]


def test_the_service_says_of_itself_that_it_honors_idempotency_keys() -> None:
    assert PushMetricsHook().honors_idempotency_keys()
