"""The tasks of the example Dags, against PushMetrics faked at the wire."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from starlette.responses import JSONResponse

from airflow_provider_pushmetrics.exceptions import PushMetricsError, PushMetricsUntrustedUrlError
from tests.fakes.airflow_versions import needs_airflow
from tests.fakes.pushmetrics import FakePushMetrics
from tests.integration.provider.conftest import Connect

DAGS = Path(__file__).parents[3] / "dags"
NAMES = sorted(path.stem for path in DAGS.glob("*.py"))
# The features of newer versions: the docs name these Dags with the version.
SINCE = {
    "example_pushmetrics_approval": "3.1",
    "example_pushmetrics_deadline_alert": "3.1",
    "example_pushmetrics_webhook_receiver": "3.0",
    "example_pushmetrics_without_receiver": "3.0",
}
RESULT = {"columns": [{"name": "a", "type": "int"}], "row_count": 1, "data": [{"a": 1}]}


@pytest.fixture(autouse=True)
def served(
    connect_whole: Connect, pushmetrics: FakePushMetrics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_whole()
    pushmetrics.results["application/json"] = JSONResponse(RESULT)
    monkeypatch.setenv("PUSHMETRICS_EXAMPLE_OUTPUT", str(tmp_path / "results"))


def load(dag: str) -> ModuleType:
    """Load a Dag's file."""
    spec = importlib.util.spec_from_file_location(dag, DAGS / f"{dag}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_task(dag: str, task: str) -> Any:
    """Load a Dag's file, and take the function of one of its tasks."""
    return getattr(load(dag), task).function


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs_airflow(SINCE.get(name, "2.11"))) for name in NAMES]
)
def test_each_example_loads_on_every_version_that_has_its_features(name: str) -> None:
    load(name)


def list_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_results_of_a_run_are_saved_by_their_names(pushmetrics: FakePushMetrics, tmp_path: Path) -> None:
    run = pushmetrics.start_run()
    query = {"query_name": "by_carrier", "query_result": pushmetrics.build_result_url(run)}
    save_results = load_task("example_pushmetrics_trigger_report", "save_results")
    paths = save_results({"run_id": 1, "queries": [query]})
    assert list(paths) == ["by_carrier"]
    assert list_files(tmp_path) == ["results/trigger_report/1/by_carrier.json"]


def fetch_by_asset(body: dict[str, Any]) -> Any:
    return load_task("example_pushmetrics_webhook_receiver", "fetch_results")(body)


def fetch_by_sensor(body: dict[str, Any]) -> Any:
    return load_task("example_pushmetrics_webhook_receiver_continuous", "fetch_results")(
        {"id": 1, "body": body}
    )


RECEIVERS = [pytest.param(fetch_by_asset, marks=needs_airflow("3.0")), fetch_by_sensor]


@pytest.mark.parametrize("fetch_results", RECEIVERS)
def test_the_results_that_a_webhook_names_are_saved(
    pushmetrics: FakePushMetrics, tmp_path: Path, fetch_results: Any
) -> None:
    paths = fetch_results(pushmetrics.build_event(pushmetrics.start_run()))
    assert list(paths) == ["by_carrier"]
    (name,) = list_files(tmp_path)
    assert re.fullmatch(r"results/webhook_receiver(_continuous)?/1/by_carrier\.json", name)


@pytest.mark.parametrize("fetch_results", RECEIVERS)
@pytest.mark.parametrize("name", ["../../../escaped", "a/b", "..", ".", "/etc/passwd", None])
def test_a_webhook_cannot_name_a_file_elsewhere(
    pushmetrics: FakePushMetrics, tmp_path: Path, name: Any, fetch_results: Any
) -> None:
    body = pushmetrics.build_event(pushmetrics.start_run())
    body["queries"][0]["query_name"] = name
    fetch_results(body)
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    folders = [
        tmp_path / "results" / name / "1" for name in ("webhook_receiver", "webhook_receiver_continuous")
    ]
    assert path.parent in folders


@pytest.mark.parametrize("fetch_results", RECEIVERS)
def test_a_forged_webhook_gets_no_token(
    pushmetrics: FakePushMetrics, tmp_path: Path, fetch_results: Any
) -> None:
    body = pushmetrics.build_event(pushmetrics.start_run())
    body["queries"][0]["query_result"] = "https://evil.example/api/reports/1/queries/1/reportRun/1"
    with pytest.raises(PushMetricsUntrustedUrlError):
        fetch_results(body)
    assert list_files(tmp_path) == []


@pytest.mark.parametrize("fetch_results", RECEIVERS)
def test_other_events_fetch_nothing(pushmetrics: FakePushMetrics, fetch_results: Any) -> None:
    assert fetch_results({"event": "report.archived"}) == {}
    assert pushmetrics.seen == []


@needs_airflow("3.0")
def test_a_dag_run_reads_every_event_that_started_it() -> None:
    def build(payload: Any, **extra: Any) -> Any:
        return SimpleNamespace(extra={"payload": payload, **extra})

    read_events = load_task("example_pushmetrics_webhook_receiver", "read_events")
    events = {
        "asset": [
            build({"body": {"n": 1}}, from_trigger=True),
            build({"body": {"n": 2}}, from_receiver=True),
        ],
        "other": [build(None)],
    }
    assert read_events(triggering_asset_events=events) == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("dag", NAMES)
def test_every_deferrable_task_of_an_example_has_a_retry(dag: str) -> None:
    """Airflow may fail a task that is resumed soon: a retry continues with its run."""
    text = (DAGS / f"{dag}.py").read_text(encoding="utf-8")
    for call in re.findall(r"PushMetrics\w+(?:Operator|Sensor)\((.*?)\n    \)", text, flags=re.DOTALL):
        if "deferrable=True" in call:
            assert "retries" in call or '"retries"' in text


def test_many_runs_in_one_task_hide_no_failure(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.outcomes = ["success", "failed", "success"]
    run_reports = load_task("example_pushmetrics_many_runs", "run_reports")
    dag = SimpleNamespace(dag_id="a_dag")
    runs = run_reports([{"month": month} for month in range(3)], run_id="manual", dag=dag)
    assert sorted(run["status"] for run in runs) == ["failed", "success", "success"]
    assert [run["parameters"]["month"] for run in runs] == [0, 1, 2]
    again = run_reports([{"month": month} for month in range(3)], run_id="manual", dag=dag)
    assert [run["run_id"] for run in again] == [run["run_id"] for run in runs]
    refuse_failures = load_task("example_pushmetrics_many_runs", "refuse_failures")
    with pytest.raises(PushMetricsError, match="1 of 3 runs did not succeed"):
        refuse_failures(runs)
    assert refuse_failures([run for run in runs if run["status"] == "success"]) == 2


def test_a_try_after_an_unanswered_call_continues_with_all_of_many_runs(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.swallows_calls = 1
    run_reports = load_task("example_pushmetrics_many_runs", "run_reports")
    months, task = [{"month": 1}, {"month": 2}], {"run_id": "manual", "dag": SimpleNamespace(dag_id="a_dag")}
    with pytest.raises(PushMetricsError, match="end of 1 of 2 runs is unknown"):
        run_reports(months, **task)
    runs = run_reports(months, **task)
    assert [run["status"] for run in runs] == ["success", "success"]
    assert len(pushmetrics.runs) == 2


@pytest.mark.parametrize("count", [0, None])
def test_a_result_without_rows_fails_the_check(count: int | None) -> None:
    check_rows = load_task("example_pushmetrics_check_results", "check_rows")
    full, empty = ({"query_name": name, "row_count": rows} for name, rows in (("a", 3), ("b", count)))
    assert check_rows({"run_id": 1, "queries": [full]}) == {"a": 3}
    with pytest.raises(AirflowFailException, match="no rows in"):
        check_rows({"run_id": 1, "queries": [full, empty]})
    with pytest.raises(AirflowFailException, match="any query"):
        check_rows({"run_id": 1, "queries": []})
