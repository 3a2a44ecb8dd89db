"""The facts in the asset events of ``outlets``, of all tasks that return the results of a run."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset, TaskDeferred
from starlette.responses import Response

from airflow_provider_pushmetrics.assets.uris import create_asset
from airflow_provider_pushmetrics.compat import has_airflow, mask_secret
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAirflowVersionError,
    PushMetricsConfigurationError,
    PushMetricsNoResultsError,
    PushMetricsParameterError,
    PushMetricsRunError,
    PushMetricsRunFailed,
    PushMetricsRunTimeout,
)
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.tasks.failures import is_permanent
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator
from tests.fakes.airflow_versions import needs_airflow
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.supervisor import FakeStateStore, FakeTaskInstance
from tests.fakes.triggerer import fire
from tests.integration.provider.conftest import Connect

try:
    from airflow.sdk.execution_time.context import OutletEventAccessors
except ImportError:  # before Airflow 3.0
    from airflow.utils.context import OutletEventAccessors  # type: ignore[no-redef, unused-ignore]

pytestmark = pytest.mark.usefixtures("quick_worker")

BODY = b"PAR1 a file"
PARAMETERS = {"month": "2026-01", "origin": "JFK"}
Execute = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def served(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.results["application/vnd.apache.parquet"] = Response(BODY)


def run(task: Any, outlet: Any, store: Any = None, *, try_number: int = 1) -> Any:
    """Run a task, and return the accessor of its outlet's event."""
    events = OutletEventAccessors()
    context = {
        "ti": FakeTaskInstance(try_number=try_number),
        "outlet_events": events,
        "task_state_store": store,
    }
    task.execute(context)
    return events[outlet]


@dataclass
class Place:
    """Where a task runs its report, and where it saves results."""

    pushmetrics: FakePushMetrics
    path: Path

    def has_files(self) -> bool:
        return any(self.path.rglob("*.parquet"))


@pytest.fixture
def place(pushmetrics: FakePushMetrics, tmp_path: Path) -> Place:
    return Place(pushmetrics, tmp_path)


def build_operator(place: Place, **kwargs: Any) -> Any:
    defaults: dict[str, Any] = {"task_id": "t", "report_id": 1, "parameters": PARAMETERS}
    return PushMetricsTriggerReportOperator(**defaults | kwargs)


def build_sensor(place: Place, **kwargs: Any) -> Any:
    run = place.pushmetrics.start_run("1", PARAMETERS)
    return PushMetricsRunSensor(task_id="t", run_id=run.id, **{"report_id": 1, **kwargs})


def build_transfer(place: Place, **kwargs: Any) -> Any:
    event = place.pushmetrics.build_event(place.pushmetrics.start_run("1", PARAMETERS))
    return PushMetricsToObjectStorageOperator(
        task_id="t", report_run=event, path=str(place.path), file_format="parquet", **kwargs
    )


def build_single_transfer(place: Place, **kwargs: Any) -> Any:
    url = place.pushmetrics.build_result_url(place.pushmetrics.start_run("1", PARAMETERS))
    file = str(place.path / "one.parquet")
    return PushMetricsToObjectStorageOperator(task_id="t", query_result=url, path=file, **kwargs)


TASKS = [build_operator, build_sensor, build_transfer, build_single_transfer]
of_all_tasks = pytest.mark.parametrize("build", TASKS)


@of_all_tasks
def test_the_event_of_a_query_has_its_facts(place: Place, build: Any) -> None:
    asset = create_asset(report_id=1, query_id=1)
    extra = run(build(place, outlets=[asset]), asset).extra
    assert (extra["run_id"], str(extra["report_id"]), extra["query_id"]) == (1, "1", 1)
    assert (extra["status"], extra["parameters"]) == ("success", PARAMETERS)
    assert extra["result_url"] == place.pushmetrics.build_result_url(place.pushmetrics.runs[0])
    assert (extra["query_name"], extra["row_count"]) == ("by_carrier", 12)
    assert extra["is_truncated"] is False
    if "sha256" in extra:
        assert build in (build_transfer, build_single_transfer)
        assert extra["sha256"] == hashlib.sha256(BODY).hexdigest()
        assert extra["bytes"] == len(BODY) == len(Path(extra["path"]).read_bytes())


@of_all_tasks
def test_the_event_of_a_report_lists_its_queries(place: Place, build: Any) -> None:
    asset = create_asset(report_id=1)
    extra = run(build(place, outlets=[asset]), asset).extra
    assert (extra["run_id"], extra["status"], extra["is_truncated"]) == (1, "success", False)
    assert [query["query_id"] for query in extra["queries"]] == [1]


@of_all_tasks
def test_an_asset_of_a_query_that_the_run_does_not_have_fails_the_task(place: Place, build: Any) -> None:
    there, missing = create_asset(report_id=1, query_id=1), create_asset(report_id=1, query_id=9)
    events = OutletEventAccessors()
    task = build(place, outlets=[there, missing])
    with pytest.raises(PushMetricsParameterError, match=r"query 9, and run 1 has results of the queries 1\."):
        task.execute({"ti": FakeTaskInstance(), "outlet_events": events})
    assert len(events) == 0
    assert not place.has_files()


@of_all_tasks
def test_an_asset_of_another_report_fails_the_task_before_anything_is_done(place: Place, build: Any) -> None:
    task = build(place, outlets=[create_asset(report_id=2)])
    with pytest.raises(PushMetricsParameterError, match="asset of report 2"):
        task.execute({"ti": FakeTaskInstance(), "outlet_events": OutletEventAccessors()})
    assert not place.pushmetrics.triggered
    assert not place.has_files()


@of_all_tasks
def test_without_an_api_token_no_asset_event_is_created(
    connect_whole: Connect, place: Place, build: Any
) -> None:
    connect_whole(password=None)
    task = build(place, outlets=[create_asset(report_id=1)])
    with pytest.raises(PushMetricsConfigurationError, match="API"):
        task.execute({"ti": FakeTaskInstance(), "outlet_events": OutletEventAccessors()})
    assert not place.pushmetrics.triggered


@of_all_tasks
@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_failed_run_creates_no_asset_event(place: Place, build: Any, status: str) -> None:
    place.pushmetrics.outcomes = [status]
    events = OutletEventAccessors()
    task = build(place, outlets=[create_asset(report_id=1, query_id=1)])
    with pytest.raises(PushMetricsRunFailed):
        task.execute({"ti": FakeTaskInstance(), "outlet_events": events})
    assert len(events) == 0
    assert not place.has_files()


@of_all_tasks
def test_a_run_of_unknown_outcome_creates_no_asset_event(place: Place, build: Any) -> None:
    place.pushmetrics.outputs_say_status = False
    place.pushmetrics.hides_runs = True
    place.pushmetrics.looks = 99
    place.pushmetrics.delivers = True
    task = build(place, outlets=[create_asset(report_id=1)])
    with pytest.raises(PushMetricsRunError, match="not known to have succeeded") as raised:
        task.execute({"ti": FakeTaskInstance(), "outlet_events": OutletEventAccessors()})
    assert not is_permanent(raised.value)  # the outcome may be known later


@of_all_tasks
def test_a_run_whose_outcome_is_unknown_at_first_has_an_event_in_the_next_try(
    place: Place, build: Any
) -> None:
    place.pushmetrics.outputs_say_status, place.pushmetrics.looks = False, 99
    asset, store = create_asset(report_id=1), FakeStateStore()
    task = build(place, outlets=[asset])
    with pytest.raises(PushMetricsRunError, match="not known to have succeeded"):
        run(task, asset, store)
    place.pushmetrics.outputs_say_status = True
    assert run(task, asset, store).extra["status"] == "success"
    assert len(place.pushmetrics.runs) == 1


# Query runs


def build_query_transfer(place: Place, **kwargs: Any) -> Any:
    place.pushmetrics.results["application/x-ndjson"] = Response("{}", media_type="application/x-ndjson")
    url = f"{place.pushmetrics.url}/api/reports/1/queries/1/run/7"
    file = str(place.path / "one.parquet")
    return PushMetricsToObjectStorageOperator(task_id="t", query_result=url, path=file, **kwargs)


def build_query_sensor(place: Place, **kwargs: Any) -> Any:
    place.pushmetrics.results["application/x-ndjson"] = Response("{}", media_type="application/x-ndjson")
    place.pushmetrics.inbox.add(
        {
            "event": "query.run",
            "report_id": 1,
            "report_name": "Departure delays",
            "query_id": 1,
            "query_name": "by_carrier",
            "query_result": f"{place.pushmetrics.url}/api/reports/1/queries/1/run/7",
            "workspace_id": 1,
            "workspace_name": "Main Workspace",
            "timestamp": "2026-01-01T00:00:00+00:00",
        }
    )
    return PushMetricsRunSensor(task_id="t", event="query.run", run_id=7, **kwargs)


of_query_runs = pytest.mark.parametrize("build", [build_query_transfer, build_query_sensor])


@of_query_runs
def test_the_event_of_a_query_run_names_its_number_as_that_of_a_query_run(place: Place, build: Any) -> None:
    asset = create_asset(report_id=1, query_id=1)
    extra = run(build(place, outlets=[asset]), asset).extra
    assert (extra["query_run_id"], extra["status"], extra["query_id"]) == (7, "success", 1)
    assert "run_id" not in extra  # report runs are counted apart


@of_query_runs
def test_a_query_run_is_not_the_result_of_a_whole_report(place: Place, build: Any) -> None:
    asset = create_asset(report_id=1)
    with pytest.raises(PushMetricsParameterError, match="asset of a whole report, and the task is about a q"):
        run(build(place, outlets=[asset]), asset)
    assert not place.has_files()


def test_a_failed_query_run_creates_no_asset_event(place: Place) -> None:
    asset = create_asset(report_id=1, query_id=1)
    task = build_query_transfer(place, outlets=[asset])
    place.pushmetrics.results["application/x-ndjson"] = Response('{"message": "division by zero"}', 409)
    with pytest.raises(PushMetricsRunFailed, match="query run 7 failed"):
        run(task, asset)
    assert not place.has_files()


def test_some_queries_are_not_the_result_of_a_whole_report(place: Place) -> None:
    place.pushmetrics.query_names = ("by_carrier", "by_day")
    whole = create_asset(report_id=1)
    task = build_transfer(place, queries=["by_carrier"], outlets=[whole])
    with pytest.raises(PushMetricsParameterError, match="the task does not save the queries 2"):
        run(task, whole)
    with pytest.raises(PushMetricsParameterError, match="the task does not save the queries 2"):
        run(build_single_transfer(place, outlets=[whole]), whole)
    assert not place.has_files()
    one = create_asset(report_id=1, query_id=1)
    task = build_transfer(place, queries=["by_carrier"], outlets=[one])
    assert run(task, one).extra["query_name"] == "by_carrier"


def test_the_results_of_two_runs_give_no_event_of_one(place: Place) -> None:
    urls = [
        place.pushmetrics.build_result_url(place.pushmetrics.start_run("1", PARAMETERS)) for _ in range(2)
    ]
    queries = [{"query_id": number, "query_result": url} for number, url in enumerate(urls, 1)]
    asset = create_asset(report_id=1)
    task = PushMetricsToObjectStorageOperator(
        task_id="t", report_run={"queries": queries}, path=str(place.path), outlets=[asset]
    )
    with pytest.raises(PushMetricsParameterError, match="the results are of several runs"):
        run(task, asset)


@pytest.mark.parametrize("on_no_results", ["fail", "succeed"])
def test_no_results_create_no_asset_event(place: Place, on_no_results: str) -> None:
    place.pushmetrics.has_queries = False
    task = build_transfer(place, outlets=[create_asset(report_id=1)], on_no_results=on_no_results)
    with pytest.raises(PushMetricsNoResultsError):
        run(task, task.outlets[0])


def test_other_outlets_are_left_alone(place: Place) -> None:
    asset = Asset("s3://bucket/file")
    assert run(build_operator(place, outlets=[asset]), asset).extra == {}


def test_a_report_that_is_named_by_its_uid_has_an_asset_by_its_number(
    connect_whole: Connect, place: Place
) -> None:
    connect_whole(trigger_tokens={"1": place.pushmetrics.trigger_token})
    asset = create_asset(report_id="rEp1")
    with pytest.raises(PushMetricsParameterError, match="report rEp1"):
        run(build_operator(place, outlets=[asset]), asset)


def test_secrets_are_masked_and_tokens_are_removed(place: Place) -> None:
    mask_secret("a-masked-secret")
    parameters = {
        "password": "hunter2hunter2",
        "note": "a-masked-secret",
        "deep": [[[[[[{"token": "tttttt"}]]]]]],
    }
    asset = create_asset(report_id=1)
    extra = run(build_operator(place, parameters=parameters, outlets=[asset]), asset).extra
    for secret in ("hunter2hunter2", "a-masked-secret", "tttttt", place.pushmetrics.trigger_token):
        assert secret not in str(extra)


def test_an_asset_needs_a_result_that_is_waited_for(place: Place) -> None:
    with pytest.raises(PushMetricsParameterError, match="wait_for_completion=True"):
        build_operator(place, wait_for_completion=False, outlets=[create_asset(report_id=1)])
    with pytest.raises(PushMetricsParameterError, match="on_failed_run='succeed'"):
        build_sensor(place, on_failed_run="succeed", outlets=[create_asset(report_id=1)])


# The parameters of the run, not those of the try that ends the task


def build_other_try(place: Place, month: int, **kwargs: Any) -> Any:
    """Build the operator as a try renders it whose templates depend on the time."""
    return build_operator(place, parameters={"month": month}, poll_interval=0.01, **kwargs)


@pytest.mark.parametrize("shows_parameters", [True, False])
@pytest.mark.parametrize("month", [2, 3])
def test_a_try_that_continues_with_a_run_tells_the_parameters_of_that_run(
    place: Place, shows_parameters: bool, month: int
) -> None:
    place.pushmetrics.shows_parameters = shows_parameters
    place.pushmetrics.delivers, place.pushmetrics.looks = False, 10**6
    asset, store = create_asset(report_id=1), FakeStateStore()
    with pytest.raises(PushMetricsRunTimeout):
        run(build_other_try(place, 2, timeout=0.1, outlets=[asset]), asset, store)
    place.pushmetrics.runs[0].looks = 0
    extra = run(build_other_try(place, month, outlets=[asset]), asset, store, try_number=2).extra
    assert (len(place.pushmetrics.triggered), extra["run_id"]) == (1, 1)
    is_known = shows_parameters or month == 2
    assert extra["parameters"] == ({"month": 2} if is_known else None)


@pytest.mark.parametrize("shows_parameters", [True, False])
@pytest.mark.parametrize("month", [2, 3])
def test_a_deferred_task_tells_the_parameters_of_the_run_that_it_started(
    place: Place, shows_parameters: bool, month: int
) -> None:
    place.pushmetrics.shows_parameters = shows_parameters
    asset = create_asset(report_id=1)
    deferring: dict[str, Any] = {"deferrable": True, "defer_after": 0, "outlets": [asset]}
    with pytest.raises(TaskDeferred) as deferral:
        run(build_other_try(place, 2, **deferring), asset)
    events = OutletEventAccessors()
    build_other_try(place, month, **deferring).execute_complete(
        {"ti": FakeTaskInstance(), "outlet_events": events},
        asyncio.run(fire(deferral.value.trigger)),
    )
    is_known = shows_parameters or month == 2
    assert events[asset].extra["parameters"] == ({"month": 2} if is_known else None)


def test_a_deferred_task_creates_no_event_for_a_report_that_it_did_not_start(place: Place) -> None:
    deferring: dict[str, Any] = {"deferrable": True, "defer_after": 0}
    asset = create_asset(report_id=1)
    with pytest.raises(TaskDeferred) as deferral:
        run(build_operator(place, outlets=[asset], **deferring), asset)
    other = create_asset(report_id=2)
    task = build_operator(place, report_id=2, outlets=[other], **deferring)
    with pytest.raises(PushMetricsParameterError, match=r"run 1 is of report 1\."):
        task.execute_complete(
            {"ti": FakeTaskInstance(), "outlet_events": OutletEventAccessors()},
            asyncio.run(fire(deferral.value.trigger)),
        )


# Partitions


@needs_airflow("3.3")
@of_all_tasks
def test_a_parameter_gives_the_event_its_partition(place: Place, build: Any) -> None:
    asset = create_asset(report_id=1)
    event = run(build(place, outlets=[asset], partition_by="month"), asset)
    assert event.partition_keys == {"2026-01"}


@needs_airflow("3.3")
@of_all_tasks
@pytest.mark.parametrize("value", [None, " ", True, ["a"], {"a": 1}])
def test_a_parameter_without_a_value_fails_the_task(
    place: Place, monkeypatch: pytest.MonkeyPatch, build: Any, value: Any
) -> None:
    monkeypatch.setitem(PARAMETERS, "month", value)
    asset = create_asset(report_id=1)
    task = build(place, outlets=[asset], partition_by="month")
    with pytest.raises(PushMetricsParameterError, match="partition_by is 'month'"):
        run(task, asset)
    assert not place.pushmetrics.triggered
    assert not place.has_files()


@needs_airflow("3.3")
@of_all_tasks
def test_a_partition_key_that_airflow_would_refuse_fails_the_task_before_anything_is_done(
    place: Place, monkeypatch: pytest.MonkeyPatch, build: Any
) -> None:
    asset = create_asset(report_id=1)
    monkeypatch.setitem(PARAMETERS, "month", "m" * 250)
    assert run(build(place, outlets=[asset], partition_by="month"), asset)
    calls = len(place.pushmetrics.triggered)
    place.path = place.path / "another"
    monkeypatch.setitem(PARAMETERS, "month", "m" * 251)
    with pytest.raises(PushMetricsParameterError, match="251 characters, and a partition key at most 250"):
        run(build(place, outlets=[asset], partition_by="month"), asset)
    assert len(place.pushmetrics.triggered) == calls
    assert not place.has_files()


@needs_airflow("3.3")
@of_all_tasks
def test_a_secret_is_no_partition_key(place: Place, monkeypatch: pytest.MonkeyPatch, build: Any) -> None:
    mask_secret("a-masked-month")
    monkeypatch.setitem(PARAMETERS, "month", "a-masked-month")
    asset = create_asset(report_id=1)
    with pytest.raises(PushMetricsParameterError, match="Airflow masks the value") as raised:
        run(build(place, outlets=[asset], partition_by="month"), asset)
    assert "a-masked-month" not in str(raised.value)
    assert not place.pushmetrics.triggered


@needs_airflow("3.3")
def test_a_server_that_does_not_show_parameters_gives_no_partition(place: Place) -> None:
    place.pushmetrics.shows_parameters = False
    asset = create_asset(report_id=1)
    assert run(build_sensor(place, outlets=[asset]), asset).extra["parameters"] is None
    with pytest.raises(PushMetricsParameterError, match="its parameters are unknown"):
        run(build_sensor(place, outlets=[asset], partition_by="month"), asset)


@needs_airflow("3.3")
@of_all_tasks
def test_a_partition_needs_an_asset(place: Place, build: Any) -> None:
    with pytest.raises(PushMetricsParameterError, match="no PushMetrics asset in 'outlets'"):
        build(place, partition_by="month")


@pytest.mark.skipif(has_airflow("3.3"), reason="of what Airflow 3.3 has")
@of_all_tasks
def test_an_airflow_without_partitions_says_which_one_has_them(place: Place, build: Any) -> None:
    with pytest.raises(PushMetricsAirflowVersionError, match=r"partition_by needs Airflow 3\.3"):
        build(place, outlets=[create_asset(report_id=1)], partition_by="month")
