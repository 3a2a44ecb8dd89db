"""The example Dags in a real Airflow of the installed version, beside the service and the receiver."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from airflow_provider_pushmetrics.get_provider_info import CONNECTION_FIELDS
from tests.acceptance.version_system import System, prepare_system
from tests.fakes.airflow_processes import AirflowProcesses
from tests.fakes.airflow_versions import AIRFLOW_VERSION, needs_airflow
from tests.fakes.service_process import API_TOKEN
from tests.fakes.waiting import LIMIT_SECONDS

pytestmark = pytest.mark.timeout(900)

DAGS = Path(__file__).parents[2] / "dags"
MORE_DAGS = Path(__file__).with_name("version_dags")
WAYS = ("on_a_worker", "resumed", "in_the_triggerer")
BY_ASSET = "example_pushmetrics_webhook_receiver"
CONTINUOUS = "example_pushmetrics_webhook_receiver_continuous"
WITHOUT_RECEIVER = "example_pushmetrics_without_receiver"
BY_HAND = (
    "example_pushmetrics_trigger_report",
    "example_pushmetrics_sensor",
    "example_pushmetrics_to_object_storage",
    "example_pushmetrics_result_assets",
    "example_pushmetrics_mapped",
    "example_pushmetrics_many_runs",
    "example_pushmetrics_check_results",
)
CONSUMER = "example_pushmetrics_result_assets_consumer"


README_DAG = "departure_delays"


def read_dag_of_the_readme(results: Path) -> str:
    """Read the Dag of the README, with another folder for its results, and to be started by hand."""
    (code,) = re.findall(r"```python\n(.*?)```", (DAGS.parent / "README.md").read_text("utf-8"), re.S)
    assert (code.count("/tmp/departure_delays/"), code.count('schedule="@daily"')) == (1, 1)
    code = code.replace("/tmp/departure_delays/", f"{results}/readme/")
    return str(code.replace('schedule="@daily"', "schedule=None"))


@pytest.fixture(name="system", scope="module")
def start_system(folder: Path) -> Iterator[System]:
    settings = {
        "PUSHMETRICS_EXAMPLE_DEADLINE_SECONDS": "1",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    }
    with prepare_system(folder, DAGS, MORE_DAGS, **settings) as system:
        (folder / "dags" / "readme.py").write_text(read_dag_of_the_readme(system.results), "utf-8")
        system.airflow.start()
        yield system


def test_airflow_lists_the_provider_its_hook_and_its_notifier(system: System) -> None:
    providers = {row["package_name"] for row in system.airflow.run_json("providers", "list")}
    assert "airflow-provider-pushmetrics" in providers
    hooks = {row["connection_type"]: row["class"] for row in system.airflow.run_json("providers", "hooks")}
    assert hooks["pushmetrics"] == "airflow_provider_pushmetrics.hooks.pushmetrics.PushMetricsHook"


def test_airflow_tests_the_connection(system: System) -> None:
    output = system.airflow.run("connections", "test", "pushmetrics_default")
    assert "Connection success!" in output
    assert API_TOKEN not in output


@pytest.mark.skipif((3, 0) <= AIRFLOW_VERSION < (3, 2), reason="Airflow 3.0 and 3.1 list no widgets")
def test_the_connection_form_has_its_fields(system: System) -> None:
    rows = system.airflow.run_json("providers", "widgets")
    found = {row["connection_parameter_name"] for row in rows}
    assert found >= {f"extra__pushmetrics__{name}" for name in CONNECTION_FIELDS}


@pytest.mark.skipif(AIRFLOW_VERSION != (3, 1), reason="of Airflow 3.1; 3.0 needs the FAB provider for it")
def test_the_interface_is_told_the_fields_of_the_connection_form(system: System) -> None:
    program = """
import json
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
(found,) = [h for h in HookMetaService.hook_meta_data() if h.connection_type == "pushmetrics"]
fields = found.standard_fields
titles = [field["schema"]["title"] for field in found.extra_fields.values()]
print(json.dumps([sorted(found.extra_fields), [fields.host.title, fields.password.title, *titles]]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=system.airflow.environment, capture_output=True, text=True
    )
    printed = done.stdout[done.stdout.index("[[") :].splitlines()[0]
    labels = [declared["label"] for declared in CONNECTION_FIELDS.values()]
    assert json.loads(printed) == [sorted(CONNECTION_FIELDS), ["Host", "API token", *labels]]


def test_the_examples_that_are_started_by_hand_end_well(system: System) -> None:
    airflow = system.airflow
    for dag_id in (*BY_HAND, README_DAG):
        airflow.wait_until(partial(airflow.is_known, dag_id), f"{dag_id} to be known")
        airflow.run("dags", "trigger", dag_id)
    for dag_id in (*BY_HAND, README_DAG):
        airflow.wait_until(partial(airflow.count_runs, dag_id), f"{dag_id} to end")
    assert len(list((system.results / "readme").glob("*/*.json"))) == 3
    assert len(list((system.results / "trigger_report").glob("*/*.json"))) == 3
    assert len(list((system.results / "to_object_storage").glob("*/*.parquet"))) == 3
    names = airflow.ask(
        "SELECT rendered_map_index FROM task_instance WHERE dag_id = 'example_pushmetrics_mapped'"
    )
    assert {name for (name,) in names} == {"JFK", "LGA", "EWR"}


def test_the_facts_of_a_result_reach_the_dag_that_its_asset_starts(system: System) -> None:
    system.airflow.wait_until(partial(system.airflow.count_runs, CONSUMER), f"{CONSUMER} to end")
    (path,) = (system.results / "result_assets").glob("*.json")
    facts = json.loads(path.read_text())
    assert (str(facts["report_id"]), facts["status"], facts["is_truncated"]) == ("1", "success", False)
    assert facts["parameters"] == {"origin": "all", "month": 2}  # with the default of the report
    assert facts["result_url"] == f"{system.service.client.base_url}/api/reports/1/run/{facts['run_id']}"
    assert len(facts["queries"]) == 3
    assert all(query["row_count"] for query in facts["queries"])


def test_a_sensor_hands_on_the_same_event_in_whatever_way_it_ends(system: System) -> None:
    airflow = system.airflow
    airflow.wait_until(partial(airflow.is_known, "ways_to_end"), "ways_to_end to be known")
    airflow.run("dags", "trigger", "ways_to_end")

    def are_waiting() -> bool:
        query = "SELECT task_id, state FROM task_instance WHERE dag_id = 'ways_to_end'"
        states = dict(airflow.ask(query))
        return [states.get(way) for way in WAYS] == ["running", "deferred", "deferred"]

    airflow.wait_until(are_waiting, "the sensors to wait")
    time.sleep(3)  # the sensor on the worker asks for its start first
    system.run_report()
    airflow.wait_until(partial(airflow.count_runs, "ways_to_end"), "ways_to_end to end")
    noted = [json.loads((system.results / "ways_to_end" / f"{way}.json").read_text()) for way in WAYS]
    assert [kind for kind, _ in noted] == ["dict"] * 3
    assert noted[0] == noted[1] == noted[2]
    assert noted[0][1]["body"]["event"] == "report.run"
    assert len(list((system.results / "ways_to_end" / "results").glob("*.csv"))) == 3


def test_a_deferred_operator_hands_on_its_run_wherever_it_ends(system: System) -> None:
    airflow = system.airflow
    airflow.run("dags", "trigger", "deferred_operator")
    airflow.wait_until(partial(airflow.count_runs, "deferred_operator"), "deferred_operator to end")
    kind, run = json.loads((system.results / "ways_to_end" / "deferred_operator.json").read_text())
    assert (kind, run["status"], len(run["queries"])) == ("dict", "success", 3)


@needs_airflow("3.1")
def test_late_dag_run_starts_a_report(system: System) -> None:
    dag_id = "example_pushmetrics_deadline_alert"
    system.airflow.wait_until(partial(system.airflow.is_known, dag_id), f"{dag_id} to be known")
    system.airflow.run("dags", "trigger", dag_id)

    def list_alerts() -> list[object]:
        rows = system.service.client.get("/api/v1/noteflow_run/").json()["result"]
        return [row for row in rows if row["parameters"] == {"origin": "EWR", "month": 12}]

    system.airflow.wait_until(list_alerts, "the report of the alert")
    system.airflow.wait_until(partial(system.airflow.count_runs, dag_id), f"{dag_id} to end")
    assert len(list_alerts()) == 1


@needs_airflow("3.1")
def test_results_are_published_only_after_a_person_approved_them(system: System) -> None:
    before = {"run_report": "success", "approve": "success"}
    assert answer_approval(system, "rejected", "Reject") == {**before, "publish": "skipped"}
    assert not (system.results / "approved").exists()
    assert answer_approval(system, "approved", "Approve") == {**before, "publish": "success"}
    assert len(list((system.results / "approved").glob("*/*.json"))) == 3


def answer_approval(system: System, run_id: str, answer: str) -> dict[str, str]:
    """Start the Dag that asks for an approval, answer it, and return the states of its tasks at the end."""
    dag_id, airflow = "example_pushmetrics_approval", system.airflow
    airflow.wait_until(partial(airflow.is_known, dag_id), f"{dag_id} to be known")
    airflow.run("dags", "trigger", dag_id, "--run-id", run_id)

    def read_states() -> dict[str, str]:
        query = "SELECT task_id, state FROM task_instance WHERE dag_id = ? AND run_id = ?"
        return dict(airflow.ask(query, dag_id, run_id))

    airflow.wait_until(lambda: read_states().get("approve") in ("deferred", "awaiting_input"), "the question")
    # Airflow takes a task for dead that is resumed before the scheduler knows that it waits (seen on 3.2).
    finished = f"TaskInstance Finished: dag_id={dag_id}, task_id=approve, run_id={run_id},"
    airflow.wait_until(
        partial(airflow.has_logged, "scheduler", finished), "the scheduler to know that it waits"
    )
    assert not (system.results / "approved").exists()
    with system.open_api() as client:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
        assert "- `by_carrier`: 16 rows" in client.get(path).json()["body"]
        sent = client.patch(path, json={"chosen_options": [answer], "params_input": {}})
        assert sent.status_code == 200, sent.text
    ended = "SELECT 1 FROM dag_run WHERE dag_id = ? AND run_id = ? AND state = 'success'"
    airflow.wait_until(lambda: airflow.ask(ended, dag_id, run_id), f"{dag_id} to end")
    return read_states()


@needs_airflow("3.0")
def test_the_example_that_an_asset_starts_hears_of_runs(system: System) -> None:
    system.run_report()
    system.airflow.wait_until(lambda: system.airflow.count_runs(BY_ASSET) >= 1, f"{BY_ASSET} to end")
    assert list((system.results / "webhook_receiver").glob("*/by_carrier.json"))


@needs_airflow("3.0")
def test_the_example_without_a_receiver_finds_each_run_once_also_after_a_kill_of_the_triggerer(
    system: System,
) -> None:
    airflow = system.airflow
    airflow.run("dags", "unpause", WITHOUT_RECEIVER)
    airflow.wait_until(lambda: count_kept_positions(airflow) == 1, "the watcher to begin")
    before = system.count_runs()
    system.run_report()
    airflow.wait_until(lambda: system.list_polled() == {before + 1}, "the first run's results")

    time.sleep(12)  # the position is kept when the next poll is over
    airflow.kill_part("triggerer")
    system.run_report()
    system.run_report()
    time.sleep(1)  # they end while no triggerer runs
    airflow.start_part("triggerer")
    airflow.wait_until(lambda: system.list_polled() == {before + 1, before + 2, before + 3}, "3 results")
    by_api = airflow.ask(
        "SELECT e.extra FROM asset_event e JOIN asset a ON a.id = e.asset_id WHERE a.name = ?",
        "delays_ran_by_api",
    )
    found = sorted(json.loads(extra)["payload"]["id"] for (extra,) in by_api)
    assert found == [before + 1, before + 2, before + 3]


def count_kept_positions(airflow: AirflowProcesses) -> int:
    table, key = ("asset_state_store", "key") if AIRFLOW_VERSION >= (3, 3) else ("variable", "key")
    query = f"SELECT count(*) FROM {table} WHERE {key} LIKE 'pushmetrics_runs_%'"
    return int(airflow.ask(query)[0][0])


@pytest.mark.skipif(AIRFLOW_VERSION >= (3, 0), reason="of Airflow 2")
def test_an_airflow_without_asset_watchers_says_which_one_has_them(system: System) -> None:
    query = "SELECT stacktrace FROM import_error WHERE stacktrace LIKE '%PushMetricsAirflowVersionError%'"
    found = system.airflow.ask(query)
    assert len(found) == 2
    for (message,) in found:
        assert "PushMetricsAirflowVersionError: build_run_asset needs Airflow 3.0 or later" in message
        assert "'@continuous'" in message


def test_the_continuous_example_handles_each_event_once_also_after_a_kill_of_the_triggerer(
    system: System,
) -> None:
    airflow = system.airflow
    airflow.wait_until(lambda: airflow.count_runs(BY_ASSET, "running") == 0, f"{BY_ASSET} to end")
    before = system.count_runs()
    airflow.wait_until(lambda: system.fetch_reader("/cursor") == before, "the events of earlier runs")
    httpx.put(
        f"{system.receiver.url}/consumers/{CONTINUOUS}",
        json={"position": before},
        headers=system.receiver.reader_headers,
        timeout=LIMIT_SECONDS,
    ).raise_for_status()
    for _ in range(5):
        system.run_report()
    airflow.wait_until(lambda: system.fetch_reader("/cursor") == before + 5, "5 events")
    airflow.run("dags", "unpause", CONTINUOUS)
    airflow.wait_until(lambda: airflow.count_runs(CONTINUOUS) == 5, "a run for each of 5 events")
    assert system.list_handled() == set(range(before + 1, before + 6))

    airflow.wait_until(lambda: is_waiting(airflow), "a run that waits")
    airflow.kill_part("triggerer")
    for _ in range(2):
        system.run_report()
    airflow.start_part("triggerer")
    airflow.wait_until(lambda: airflow.count_runs(CONTINUOUS) == 7, "a run for each of 2 more events")
    airflow.wait_until(lambda: is_waiting(airflow), "a run that waits again")
    assert airflow.count_runs(CONTINUOUS) == 7
    assert system.list_handled() == set(range(before + 1, before + 8))
    assert system.fetch_reader(f"/consumers/{CONTINUOUS}") == before + 7


def is_waiting(airflow: AirflowProcesses) -> bool:
    states = airflow.ask(
        "SELECT state FROM task_instance WHERE dag_id = ? AND task_id = ?", CONTINUOUS, "wait_for_run"
    )
    return ("deferred",) in states
