"""What the provider adds, in a real Airflow of the installed version: each since its first version."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.version_system import System, prepare_system
from tests.fakes.airflow_processes import PROGRAMS
from tests.fakes.airflow_versions import AIRFLOW_VERSION, needs_airflow
from tests.fakes.loopback import serve_http
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.service_process import API_TOKEN
from tests.fakes.statsd import FakeStatsd
from tests.fakes.trace_collector import TraceCollector, collect_traces

pytestmark = pytest.mark.timeout(900)

HERE = Path(__file__).parent
USERS = {"boss": "admin", "reader": "viewer", "stranger": ""}
PASSWORD = "a-password-of-a-test"
TEAM = "flights"
FACTS = {"report_id": "1", "status": "success", "query_id": 2, "query_name": "by_day", "row_count": 28}
BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"


def build_team_settings(folder: Path) -> dict[str, str]:
    """Build the settings of an Airflow with a team, whose Dags are in a folder of its own."""
    bundles = [
        {"name": "dags-folder", "classpath": BUNDLE, "kwargs": {}},
        {"name": "of-a-team", "classpath": BUNDLE, "kwargs": {"path": str(folder)}, "team_name": TEAM},
    ]
    return {
        "AIRFLOW__CORE__MULTI_TEAM": "True",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
    }


def build_trace_settings(port: int) -> dict[str, str]:
    """Build the settings of an Airflow that sends its traces to a port."""
    return {
        "AIRFLOW__TRACES__OTEL_ON": "True",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{port}/v1/traces",
        "OTEL_TRACES_EXPORTER": "otlp_proto_http",
    }


def build_metric_settings(port: int) -> dict[str, str]:
    """Build the settings of an Airflow that sends the provider's metrics to a port, with their tags."""
    settings = {
        "statsd_on": True,
        "statsd_host": "127.0.0.1",
        "statsd_port": port,
        "statsd_influxdb_enabled": True,
        "metrics_allow_list": "pushmetrics",
    }
    return {f"AIRFLOW__METRICS__{name.upper()}": str(value) for name, value in settings.items()}


def build_user_settings(passwords: Path) -> dict[str, str]:
    """Build the settings of an Airflow with users; before 3.1, with an admin only."""
    if AIRFLOW_VERSION < (3, 1):
        return {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True"}
    passwords.write_text(json.dumps(dict.fromkeys(USERS, PASSWORD)))
    return {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(map(":".join, USERS.items())),
    }


@pytest.fixture(name="collector", scope="module")
def start_collector() -> Iterator[TraceCollector]:
    with collect_traces() as collector:
        yield collector


@contextmanager
def collect_from_servers(collector: TraceCollector) -> Iterator[None]:
    """Have the service and the receiver, which get the variables of this process, send their traces too."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in build_trace_settings(collector.port).items():
            if name.startswith("OTEL_") and name != "OTEL_TRACES_EXPORTER":  # whose value is Airflow's own
                patch.setenv(name, value)
        yield


@pytest.fixture(name="statsd", scope="module")
def start_statsd() -> Iterator[FakeStatsd]:
    statsd = FakeStatsd()
    yield statsd
    statsd.close()


@pytest.fixture(name="endless", scope="module")
def serve_endless_runs() -> Iterator[FakePushMetrics]:
    """Serve a PushMetrics whose runs end when the test says so."""
    with serve_http() as server:
        fake = FakePushMetrics(server.url, outcomes=["running"])
        server.app = fake.build_app()
        yield fake


def build_endless_settings(endless: FakePushMetrics) -> dict[str, str]:
    """Build the setting of an Airflow with a connection to it."""
    extra = {"trigger_tokens": {"1": endless.trigger_token}}
    connection = {"conn_type": "pushmetrics", "host": endless.url, "password": endless.api_token}
    return {"AIRFLOW_CONN_PUSHMETRICS_ENDLESS": json.dumps({**connection, "extra": extra})}


@pytest.fixture(name="system", scope="module")
def start_system(
    folder: Path, collector: TraceCollector, statsd: FakeStatsd, endless: FakePushMetrics
) -> Iterator[System]:
    settings = build_user_settings(folder / "passwords.json") | build_endless_settings(endless)
    settings["AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT"] = "200"  # a busy machine
    settings["AIRFLOW__OPENLINEAGE__DISABLED"] = "True"  # a listener needs a worker at the end of a task
    dags = [] if AIRFLOW_VERSION < (3, 0) else [HERE / "addition_dags"]
    if AIRFLOW_VERSION >= (3, 2):
        settings |= build_trace_settings(collector.port)
    if AIRFLOW_VERSION >= (3, 3):
        settings |= build_team_settings(HERE / "team_dags") | build_metric_settings(statsd.port)
    with collect_from_servers(collector), prepare_system(folder, *dags, **settings) as system:
        (folder / "dags").mkdir(exist_ok=True)
        if AIRFLOW_VERSION >= (3, 3):
            system.airflow.run("db", "migrate")
            system.airflow.run("teams", "create", TEAM)
        system.airflow.start()
        yield system


@pytest.fixture(name="api", scope="module")
def open_api(system: System) -> Iterator[httpx.Client]:
    login = {"username": "boss", "password": PASSWORD} if AIRFLOW_VERSION >= (3, 1) else None
    with system.open_api(login) as client:
        yield client


def run_dag(system: System, dag_id: str, conf: dict[str, Any] | None = None) -> str:
    """Run a Dag; return the id of its run when it has succeeded."""
    airflow = system.airflow
    airflow.wait_until(partial(airflow.is_known, dag_id), f"{dag_id} to be known")
    before = airflow.count_runs(dag_id)
    airflow.run("dags", "trigger", dag_id, *(["--conf", json.dumps(conf)] if conf else []))
    airflow.wait_until(lambda: airflow.count_runs(dag_id) > before, f"{dag_id} to end")
    return find_newest_run(system, dag_id)


def find_newest_run(system: System, dag_id: str) -> str:
    ((run_id,),) = system.airflow.ask(
        "SELECT run_id FROM dag_run WHERE dag_id = ? ORDER BY id DESC LIMIT 1", dag_id
    )
    return str(run_id)


def fetch_task(api: httpx.Client, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
    """Fetch a task instance, with its XComs and its links."""
    path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
    found: dict[str, Any] = api.get(path).raise_for_status().json()
    returned = api.get(f"{path}/xcomEntries/return_value", params={"deserialize": AIRFLOW_VERSION >= (3, 1)})
    links = api.get(f"{path}/links").raise_for_status().json()["extra_links"]
    return {**found, "returned": returned.raise_for_status().json()["value"], "links": links}


def count_worker_starts(system: System, task: dict[str, Any]) -> int:
    """Count the workers that have run a task: each begins with one call of the Execution API."""
    text = (system.airflow.home / "api-server.log").read_text("utf-8", "replace")
    calls = [line for line in text.splitlines() if f"/task-instances/{task['id']}/run" in line]
    return len(calls)


def run_command(system: System, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``pushmetrics`` in the environment of Airflow, as a user does."""
    return subprocess.run(
        [PROGRAMS / "pushmetrics", *arguments],
        env=system.airflow.environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_dag_that_the_command_writes_runs_the_report_as_its_form_says(system: System, folder: Path) -> None:
    path, results = folder / "dags" / "written.py", folder / "results" / "written"
    written = run_command(
        system, "dag", "new", "1", "--dag-id", "written", "--output", path, "--results", results
    )
    assert written.returncode == 0, written.stderr
    run_dag(system, "written", {"origin": "JFK", "month": 3})
    newest = system.service.client.get("/api/v1/noteflow_run/").json()["result"][0]
    assert system.fetch_run(newest["id"])["parameters"] == {"origin": "JFK", "month": 3}
    assert len(list(results.rglob("*.json"))) == 3
    checked = run_command(system, "dag", "check", path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@needs_airflow("3.3")
def test_deferred_operator_ends_after_one_worker_start_unless_it_has_an_outlet(
    system: System, api: httpx.Client
) -> None:
    run_id = run_dag(system, "deferred_operators")
    plain, other = (
        fetch_task(api, "deferred_operators", run_id, task_id) for task_id in ("plain", "with_outlet")
    )
    assert (count_worker_starts(system, plain), count_worker_starts(system, other)) == (1, 2)
    for task in (plain, other):
        assert (task["state"], task["try_number"]) == ("success", 1)
        returned = task["returned"]
        assert (returned["status"], len(returned["queries"])) == ("success", 3)
        assert task["links"]["PushMetrics run"] == returned["outputs_url"]
        assert task["links"]["PushMetrics report"].endswith("/app/reports/1")


@needs_airflow("3.0")
def test_event_of_a_deferred_operators_outlet_has_the_facts_of_its_run(
    system: System, api: httpx.Client
) -> None:
    if not system.airflow.count_runs("deferred_operators"):
        run_dag(system, "deferred_operators")
    run_id = find_newest_run(system, "deferred_operators")
    task = fetch_task(api, "deferred_operators", run_id, "with_outlet")
    events = api.get("/api/v2/assets/events", params={"source_dag_id": "deferred_operators"}).json()
    (event,) = events["asset_events"]
    assert {name: event["extra"][name] for name in FACTS} == FACTS
    assert event["extra"]["run_id"] == task["returned"]["run_id"]
    assert event["extra"]["parameters"]["month"] == 2
    assert "token" not in json.dumps(event)


@needs_airflow("3.3")
def test_deferred_sensor_ends_after_one_worker_start_in_a_span_that_links_to_the_run(
    system: System, api: httpx.Client, collector: TraceCollector
) -> None:
    airflow = system.airflow
    airflow.wait_until(partial(airflow.is_known, "deferred_ends"), "the Dag to be known")
    airflow.run("dags", "trigger", "deferred_ends")
    state = "SELECT state FROM task_instance WHERE dag_id = 'deferred_ends'"
    airflow.wait_until(lambda: airflow.ask(state) == [("deferred",)], "the sensor to wait")
    run_dag(system, "traced")
    airflow.wait_until(partial(airflow.count_runs, "deferred_ends"), "the sensor to end")
    task = fetch_task(api, "deferred_ends", find_newest_run(system, "deferred_ends"), "wait")
    assert (task["state"], task["try_number"], count_worker_starts(system, task)) == ("success", 1, 1)
    found = task["returned"]
    assert (found["body"]["event"], found["body"]["report_id"]) == ("report.run", 1)
    assert task["links"]["PushMetrics run"] == found["body"]["report_notebook_outputs"]
    trace_id = found["traceparent"].split("-")[1]
    airflow.wait_until(partial(collector.find, "trigger.wait"), "the span of the wait")
    assert [span.links for span in collector.find("trigger.wait")] == [{trace_id}]


@needs_airflow("3.2")
def test_task_run_delivery_and_the_dag_that_the_event_starts_share_a_trace(
    system: System, api: httpx.Client, collector: TraceCollector
) -> None:
    run_id = run_dag(system, "traced")
    returned = fetch_task(api, "traced", run_id, "run_report")["returned"]
    assert f"traced.run_report (run {run_id}, try 1)" in system.fetch_run(returned["run_id"])["started_by"]
    with system.receiver.open_reader() as reader:
        events = reader.get("/events").json()["events"]
    suffix = f"/run/{returned['run_id']}"
    (delivered,) = [one for one in events if one["body"]["report_notebook_outputs"].endswith(suffix)]
    trace_id = delivered["traceparent"].split("-")[1]
    airflow = system.airflow
    airflow.wait_until(
        lambda: trace_id in {span.trace_id for span in collector.find("worker.run_report", "traced")},
        "the span of the task",
    )

    def find_reactions() -> list[Any]:
        return [span for span in collector.find("worker.react") if trace_id in span.links]

    airflow.wait_until(find_reactions, "the Dag that the event starts")
    call, *_, received = collector.follow_run(trace_id)
    assert call.parent_id in {one.span_id for one in collector.spans if one.trace_id == trace_id}
    assert delivered["traceparent"].split("-")[2] == received.span_id
    notes = [note for note in system.read_notes("traced") if delivered["traceparent"] in note["traces"]]
    assert len(notes) == 1
    assert notes[0]["links"] == len(set(notes[0]["traces"]) - {None})


@needs_airflow("3.3")
def test_event_of_a_partition_starts_the_run_of_that_partition_and_no_other(system: System) -> None:
    airflow = system.airflow
    for count, month in enumerate((2, 3, 2), start=1):
        run_dag(system, "partition_producer", {"month": month})
        airflow.wait_until(
            lambda count=count: airflow.count_runs("partition_consumer") == count,  # type: ignore[misc]
            f"run {count} of the consumer",
        )
    notes = system.read_notes("partitions")
    assert sorted(note["key"] for note in notes) == ["2", "2", "3"]
    for note in notes:
        (facts,) = note["extras"]
        assert str(facts["parameters"]["month"]) == note["key"]
    assert len({note["extras"][0]["run_id"] for note in notes}) == 3
    assert airflow.ask("SELECT run_id FROM dag_run WHERE dag_id = 'plain_consumer'") == []


@needs_airflow("3.1")
def test_tab_shows_a_run_to_those_who_may_see_the_task_and_to_nobody_else(
    system: System, api: httpx.Client
) -> None:
    run_id = run_dag(system, "traced")
    where = {"dag_id": "traced", "run_id": run_id, "task_id": "run_report"}
    returned = fetch_task(api, "traced", run_id, "run_report")["returned"]
    for name in ("boss", "reader"):
        with system.open_api({"username": name, "password": PASSWORD}) as client:
            shown = client.get("/pushmetrics-task/run", params=where).raise_for_status()
            run = shown.json()["run"]
            assert (run["id"], run["status"]) == (str(returned["run_id"]), "success")
            queries = [block for block in run["blocks"] if block["type"] == "sql"]
            assert [block["name"] for block in queries] == ["by_carrier", "by_day", "worst"]
            one = {**where, "query_id": queries[0]["query_id"]}
            rows = client.get("/pushmetrics-task/rows", params=one).raise_for_status()
            assert len(rows.json()["rows"]) == queries[0]["row_count"]
            page = client.get("/pushmetrics-task/").raise_for_status()
            assert API_TOKEN not in shown.text + rows.text + page.text
    with system.open_api({"username": "stranger", "password": PASSWORD}) as client:
        refuse_tab(client, where, 403)
    with httpx.Client(base_url=api.base_url, timeout=api.timeout) as client:
        refuse_tab(client, where, 401)


def refuse_tab(client: httpx.Client, where: dict[str, str], status: int) -> None:
    """Check that somebody gets nothing of the tab."""
    for path in ("", "run", "rows", "chart", "task.js"):
        more = {"query_id": "1", "block_uid": "x"}
        answer = client.get(f"/pushmetrics-task/{path}", params={**where, **more})
        assert (path, answer.status_code) == (path, status)
        assert "by_carrier" not in answer.text


@needs_airflow("3.0")
def test_failure_is_retried_only_where_a_retry_may_mend_it(system: System) -> None:
    run_dag(system, "failures")
    rows = system.airflow.ask(
        "SELECT task_id, try_number FROM task_instance WHERE dag_id = 'failures' AND state = 'failed'"
    )
    tries = {"unknown_report": 1, "failed_report": 2}
    if AIRFLOW_VERSION >= (3, 3):
        tries |= {"failed_report_with_policy": 1, "deferred_with_policy": 1}
    assert dict(rows) == tries


@needs_airflow("3.4")
def test_watcher_with_a_queue_runs_only_in_a_triggerer_of_the_queue(system: System) -> None:
    airflow = system.airflow
    airflow.wait_until(partial(airflow.is_known, "of_a_queue"), "of_a_queue to be known")
    run_dag(system, "traced")
    before = airflow.count_runs("traced_consumer")
    run_dag(system, "traced")
    airflow.wait_until(lambda: airflow.count_runs("traced_consumer") > before, "the Dag without a queue")
    assert airflow.ask("SELECT run_id FROM dag_run WHERE dag_id = 'of_a_queue'") == []
    arguments = ("--queues", "far", "--skip-serve-logs")
    airflow.start_part("triggerer", *arguments, AIRFLOW__TRIGGERER__QUEUES_ENABLED="True")
    airflow.wait_until(partial(airflow.count_runs, "of_a_queue"), "the Dag with the queue")


@needs_airflow("3.3")
def test_metrics_of_a_teams_task_have_its_name(system: System, statsd: FakeStatsd) -> None:
    statsd.read()
    run_dag(system, "of_a_team")
    heard = statsd.read()
    for name in ("runs_triggered", "runs_finished,status=success"):
        (line,) = [one for one in heard if one.startswith(f"pushmetrics.{name}")]
        assert f"team_name={TEAM}" in line, heard


def start_waiting(system: System, endless: FakePushMetrics) -> int:
    """Run the Dag that waits; return its triggerer when the trigger of its task has started there."""
    airflow, runs = system.airflow, len(endless.runs)
    airflow.wait_until(partial(airflow.is_known, "waits"), "waits to be known")
    airflow.run("dags", "trigger", "waits")
    airflow.wait_until(lambda: len(endless.runs) > runs, "the run of the report")
    airflow.wait_until(lambda: find_triggerer(system), "the triggerer of the task")
    # Airflow deletes a trigger that was not started yet without a word to it.
    folder = airflow.home / "logs" / "dag_id=waits" / f"run_id={find_newest_run(system, 'waits')}"
    airflow.wait_until(
        lambda: any("starting" in log.read_text() for log in folder.rglob("*.trigger.*.log")),
        "the trigger to start",
    )
    return find_triggerer(system)


def find_triggerer(system: System) -> int:
    """Find the triggerer that the task that waits is assigned to; 0 for none."""
    rows = system.airflow.ask(
        'SELECT triggerer_id FROM "trigger" JOIN task_instance ON trigger_id = "trigger".id WHERE dag_id = ?',
        "waits",
    )
    return int(rows[0][0] or 0) if rows else 0


def pause(system: System, process: subprocess.Popen[bytes]) -> None:
    """Stop a process at a moment at which it has not locked the database."""

    def stop() -> bool:
        os.kill(process.pid, signal.SIGSTOP)
        try:
            with closing(sqlite3.connect(system.airflow.home / "airflow.db", timeout=0)) as database:
                database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            os.kill(process.pid, signal.SIGCONT)
            return False
        return True

    system.airflow.wait_until(stop, "the process to leave the database")


@needs_airflow("3.3")
def test_run_of_a_trigger_that_moves_goes_on_and_that_of_a_task_that_a_user_marks_is_cancelled(
    system: System, api: httpx.Client, endless: FakePushMetrics
) -> None:
    airflow = system.airflow
    first = start_waiting(system, endless)
    run = endless.runs[-1]
    airflow.start_part("triggerer", "--skip-serve-logs")
    pause(system, airflow.parts["triggerer"])
    airflow.wait_until(lambda: find_triggerer(system) not in (0, first), "another triggerer")
    os.kill(airflow.parts["triggerer"].pid, signal.SIGCONT)
    logs = airflow.home / "logs"
    airflow.wait_until(
        lambda: any("trigger completed" in log.read_text() for log in logs.rglob(f"*.trigger.{first}.log")),
        "the first triggerer to notice it",
    )
    assert run.status == "running"
    run.status = "success"
    airflow.wait_until(partial(airflow.count_runs, "waits"), "the Dag to end")
    start_waiting(system, endless)
    path = f"/api/v2/dags/waits/dagRuns/{find_newest_run(system, 'waits')}/taskInstances/wait"
    api.patch(path, json={"new_state": "success"}).raise_for_status()
    airflow.wait_until(lambda: endless.runs[-1].status == "cancelled", "the run to be cancelled")
