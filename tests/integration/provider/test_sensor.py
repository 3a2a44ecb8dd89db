"""The sensor against the receiver, faked at the wire, poking and in a triggerer."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred
from airflow.triggers.base import TriggerEvent
from starlette.responses import Response

from airflow_provider_pushmetrics.compat import has_airflow
from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError, PushMetricsParameterError
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsSensorTrigger
from tests.fakes.airflow_versions import AIRFLOW_VERSION, AirflowRescheduleException, needs_airflow
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.supervisor import FakeSupervisor, FakeTaskInstance, talk_to
from tests.fakes.triggerer import be_impatient, fire, fire_event
from tests.integration.provider.conftest import MODES, Connect, Mode

NDJSON = "application/x-ndjson"


def is_wanted(body: dict[str, Any]) -> bool:
    """Want the events of runs whose number is a multiple of three."""
    return int(body["report_notebook_outputs"].rpartition("/")[2]) % 3 == 0


def fail(body: dict[str, Any]) -> bool:
    raise LookupError("no such key")


pytestmark = pytest.mark.usefixtures("quick_worker")


def build(**kwargs: Any) -> PushMetricsRunSensor:
    defaults: dict[str, Any] = {"task_id": "a_sensor", "timeout": 5}
    return PushMetricsRunSensor(**defaults | kwargs)


def run_sensor(
    on_deferral: Any = None,
    ti: FakeTaskInstance | None = None,
    fires: Any = fire,
    builds: Any = build,
    **kwargs: Any,
) -> Any:
    """Run a sensor as Airflow does; something may happen between the worker and the triggerer."""
    context: Any = {"ti": ti or FakeTaskInstance()}
    try:
        return builds(**kwargs).execute(context)
    except TaskDeferred as deferral:
        if on_deferral:
            on_deferral()
        event = asyncio.run(fires(deferral.trigger))
        resume = getattr(builds(**kwargs), deferral.method_name)
        return resume(context, event, **(deferral.kwargs or {}))


def test_an_event_that_came_before_the_sensor_began_counts_for_a_known_run(
    pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    found = run_sensor(run_id="2", report_id=1, **mode)
    assert found == {
        "id": 2,
        "source": "demo",
        "received_at": "2026-01-01T00:00:00+00:00",
        "body": pushmetrics.build_event(pushmetrics.runs[1]),
    }


def test_an_event_after_a_cursor_counts(pushmetrics: FakePushMetrics, mode: Mode) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    assert run_sensor(after=1, **mode)["id"] == 2


def test_an_event_that_came_before_does_not_count_for_just_any_run(
    pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    pushmetrics.start_run()
    with pytest.raises(AirflowSensorTimeout):
        run_sensor(**mode | {"timeout": 0.1})


@pytest.mark.parametrize("wanted", [{"report_id": 1}, {"event": "query.run", "query_id": 9}])
def test_a_deferred_sensor_takes_the_first_event_after_it_began(
    pushmetrics: FakePushMetrics, wanted: dict[str, Any]
) -> None:
    pushmetrics.start_run()

    def arrive() -> None:
        pushmetrics.start_run("2")
        pushmetrics.start_run("1")
        query_result = f"{pushmetrics.url}/api/reports/1/queries/9/run/4"
        pushmetrics.inbox.add(
            {"event": "query.run", "report_id": 1, "query_id": 9, "query_result": query_result}
        )

    pushmetrics.results[NDJSON] = Response(b"", media_type=NDJSON)
    found = run_sensor(on_deferral=arrive, deferrable=True, **wanted)
    assert found["id"] == (3 if "report_id" in wanted else 4)


def test_a_poking_sensor_takes_the_first_event_after_its_first_look(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.start_run()
    sensor, context = build(), FakeTaskInstance()
    assert not sensor.poke({"ti": context})  # type: ignore[typeddict-item]
    run = pushmetrics.start_run()
    found = sensor.poke({"ti": context})  # type: ignore[typeddict-item]
    assert found.is_done
    assert found.xcom_value is not None
    assert found.xcom_value["body"] == pushmetrics.build_event(run)


def test_no_event_in_time_is_a_sensor_timeout(mode: Mode) -> None:
    with pytest.raises(AirflowSensorTimeout):
        run_sensor(run_id=7, **mode | {"timeout": 0.1})


@needs_airflow("3.0")  # Airflow 2 asks its database when the sensor began
def test_a_sensor_that_is_rescheduled_looks_and_comes_back(pushmetrics: FakePushMetrics) -> None:
    class Instance(FakeTaskInstance):
        def get_first_reschedule_date(self, context: Any) -> None:
            return None

    context: Any = {"ti": Instance()}
    with pytest.raises(AirflowRescheduleException):
        build(mode="reschedule", run_id=1).execute(context)
    pushmetrics.start_run()
    assert build(mode="reschedule", run_id=1).execute(context)["id"] == 1


def test_a_deferred_sensor_hands_all_its_settings_to_the_trigger() -> None:
    context: Any = {"ti": FakeTaskInstance()}
    with pytest.raises(TaskDeferred) as caught:
        build(
            event="query.run",
            report_id="1",
            query_id=2,
            run_id="7",
            workspace_id="1",
            event_filter=f"{__name__}.is_wanted",
            after=3,
            deferrable=True,
            timeout=60,
        ).execute(context)
    _, written = caught.value.trigger.serialize()
    assert written["deadline"] == pytest.approx(time.time() + 60, abs=5)
    assert written["not_before"] == pytest.approx(time.time(), abs=5)
    kept = {name: value for name, value in written.items() if name not in ("deadline", "not_before")}
    assert kept == {
        "event": "query.run",
        "report_id": 1,
        "query_id": 2,
        "run_id": 7,
        "workspace_id": 1,
        "event_filter": f"{__name__}.is_wanted",
        "after": 3,
        "newest_run_id": None,
        "open_run_ids": [],
        "pushmetrics_conn_id": "pushmetrics_default",
        "poll_interval_seconds": 5.0,
        "timeout_seconds": None,
        "end_from_trigger": has_airflow("3.3"),
        "on_failed_run": "fail",
    }
    assert caught.value.timeout is not None
    assert caught.value.timeout.total_seconds() == 360


def test_a_sensor_without_a_receiver_and_an_api_token_fails_with_the_way_out(
    connect_whole: Connect, mode: Mode
) -> None:
    connect_whole(receiver_url=None, receiver_token=None, password=None)
    with pytest.raises(PushMetricsConfigurationError, match="'receiver_url' and 'receiver_token'"):
        run_sensor(**mode)


def test_a_sensor_needs_neither_api_token_nor_trigger_token(
    connect_whole: Connect, pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    connect_whole(password=None, trigger_tokens=None)
    pushmetrics.start_run()
    assert run_sensor(run_id=1, **mode)["id"] == 1
    assert pushmetrics.seen == []


# Which events


@pytest.mark.parametrize("arrives_late", [False, True])
def test_a_function_of_the_users_chooses_the_event(
    pushmetrics: FakePushMetrics, mode: Mode, arrives_late: bool
) -> None:
    def arrive() -> None:
        for _ in range(7):
            pushmetrics.start_run()

    if not (arrives_late and mode["deferrable"]):
        arrive()
    found = run_sensor(on_deferral=arrive, after=0, event_filter=f"{__name__}.is_wanted", **mode)
    assert found["id"] == 3


async def test_a_function_whose_module_asks_the_supervisor_asks_it_in_the_loop_of_the_triggerer(
    pushmetrics: FakePushMetrics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow 3.0 reads a variable by ``async_to_sync``, and a loop of its own ends the triggerer."""
    name = f"a_filter_{uuid.uuid4().hex}"
    lines = (
        "import asyncio",
        "from asgiref.sync import async_to_sync",
        "async def ask(): return asyncio.get_running_loop()",
        "LOOP = async_to_sync(ask)()",
        "def is_wanted(body): return True",
    )
    (tmp_path / f"{name}.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    pushmetrics.start_run()
    trigger = PushMetricsSensorTrigger(event="report.run", run_id=1, event_filter=f"{name}.is_wanted")
    event = await anext(trigger.run())
    assert event.payload["status"] == "success"
    assert sys.modules.pop(name).LOOP is asyncio.get_running_loop()


def test_a_workspace_chooses_the_event(pushmetrics: FakePushMetrics, mode: Mode) -> None:
    run = pushmetrics.start_run()
    pushmetrics.inbox.add({**pushmetrics.build_event(run), "workspace_id": 2})
    assert run_sensor(after=0, workspace_id="2", **mode)["id"] == 2
    with pytest.raises(AirflowSensorTimeout):
        run_sensor(after=0, workspace_id=3, **mode | {"timeout": 0.1})


def test_a_filter_that_is_not_there_is_an_error_before_any_wait(
    pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    with pytest.raises(PushMetricsParameterError, match=r"event_filter is 'no\.such\.module\.f'"):
        run_sensor(after=0, event_filter="no.such.module.f", **mode)
    assert pushmetrics.inbox.asked == []


@pytest.mark.parametrize("arrives_late", [False, True])
def test_a_filter_that_fails_fails_the_task_with_its_error(
    pushmetrics: FakePushMetrics, mode: Mode, arrives_late: bool
) -> None:
    if not (arrives_late and mode["deferrable"]):
        pushmetrics.start_run()
    with pytest.raises(PushMetricsParameterError, match="failed on event 1: LookupError: no such key"):
        run_sensor(on_deferral=pushmetrics.start_run, after=0, event_filter=f"{__name__}.fail", **mode)


# The tries of one task


def build_tries(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Build the context of a try, with a store that outlives it."""
    context_module = pytest.importorskip("airflow.sdk.execution_time.context")
    if not hasattr(context_module, "TaskStateStoreAccessor"):
        pytest.skip("Airflow before 3.3 has no store")
    supervisor = FakeSupervisor()
    talk_to(supervisor, monkeypatch)

    def build_context(**changes: Any) -> Any:
        store = context_module.TaskStateStoreAccessor(uuid.UUID(int=1), None)
        return {"ti": FakeTaskInstance(**changes), "task_state_store": store}

    return build_context


@pytest.mark.parametrize(
    "changes", [{}, {"receiver_url": None, "receiver_token": None}], ids=["inbox", "api"]
)
def test_a_try_takes_what_came_between_it_and_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
    pushmetrics: FakePushMetrics,
    connect_whole: Connect,
    mode: Mode,
    changes: dict[str, Any],
) -> None:
    connect_whole(**changes)
    build_context = build_tries(monkeypatch)
    pushmetrics.start_run()
    with pytest.raises((AirflowSensorTimeout, TaskDeferred)):  # it waits, and its process is lost
        build(report_id=1, **mode | {"timeout": 0.01}).execute(build_context())
    pushmetrics.start_run()
    found = build(report_id=1, **mode).execute(build_context(try_number=2))
    assert found["body"]["report_notebook_outputs"].endswith("/run/2")


@pytest.mark.parametrize("changes", [{}, {"receiver_token": "wrong-reader-token"}])
async def test_a_task_never_ends_as_failed_in_the_triggerer_because_that_costs_its_retries(
    connect_whole: Connect, changes: dict[str, Any]
) -> None:
    connect_whole(**changes)
    limit = 120.0 if changes else 0.05
    trigger = PushMetricsSensorTrigger(
        event="report.run", run_id=7, timeout_seconds=limit, end_from_trigger=True
    )
    if changes:
        be_impatient()
    event = await fire_event(trigger)
    assert type(event) is TriggerEvent
    assert event.payload["status"] == ("error" if changes else "timeout")


async def test_a_trigger_reads_numbers_that_airflow_has_rendered(pushmetrics: FakePushMetrics) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    trigger = PushMetricsSensorTrigger(event="report.run", report_id="1", run_id="2", after=None)
    assert (await fire_event(trigger)).payload["found"]["id"] == 2
    lost = PushMetricsSensorTrigger(event="report.run", report_id="1", run_id=None, after=None)
    assert "their templates rendered to nothing" in (await anext(lost.run())).payload["message"]
    wrong = PushMetricsSensorTrigger(event="report.run", run_id="seven")
    assert (await fire_event(wrong)).payload["error"] == "PushMetricsParameterError"


# The end is the same in every mode


class Rescheduled(FakeTaskInstance):
    def get_first_reschedule_date(self, context: Any) -> None:
        return None


def tell(connect: Connect, changes: dict[str, Any], mode: dict[str, Any], **kwargs: Any) -> tuple[str, Any]:
    """Run a sensor in a mode, and tell its result or its error."""
    connect(**changes)
    try:
        return "result", run_sensor(ti=Rescheduled(), run_id=1, **mode | kwargs)
    except Exception as error:
        return type(error).__name__, str(error)


NO_RECEIVER: dict[str, Any] = {"receiver_url": None, "receiver_token": None}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        NO_RECEIVER,
        {"receiver_token": "wrong-reader-token"},
        NO_RECEIVER | {"password": "wrong-api-token"},
        NO_RECEIVER | {"password": None},
    ],
    ids=["receiver", "no-receiver", "refused-reader", "refused-api-token", "nothing-to-ask"],
)
@pytest.mark.parametrize("outcome", ["success", "failed", "cancelled"])
def test_all_modes_end_alike_for_every_way_that_a_run_can_end(
    connect_whole: Connect, pushmetrics: FakePushMetrics, changes: dict[str, Any], outcome: str
) -> None:
    pushmetrics.outcomes = [outcome]
    pushmetrics.start_run()
    # Airflow 2 asks its database when a sensor that is rescheduled began.
    modes: list[dict[str, Any]] = [*MODES, *([{"mode": "reschedule"}] if AIRFLOW_VERSION >= (3, 0) else [])]
    told = [tell(connect_whole, changes, mode) for mode in modes]
    assert all(other == told[0] for other in told)


@pytest.mark.parametrize("changes", [{}, NO_RECEIVER], ids=["receiver", "no-receiver"])
def test_a_timeout_is_the_same_error_on_the_worker_and_deferred(
    connect_whole: Connect, pushmetrics: FakePushMetrics, changes: dict[str, Any]
) -> None:
    pushmetrics.outcomes = ["running"]
    pushmetrics.start_run()
    told = [tell(connect_whole, changes, mode, timeout=0.1)[0] for mode in MODES]
    assert told == ["AirflowSensorTimeout", "AirflowSensorTimeout"]
