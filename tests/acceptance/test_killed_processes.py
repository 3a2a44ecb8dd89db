"""Processes of a real Airflow killed by SIGKILL at the worst moments: each task has started one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.errors import DemoError
from demo.folder import DemoFolder
from demo.http_client import DagRun
from demo.processes import read_tail
from demo.settings import find_free_ports
from demo.system import DemoSystem
from tests.fakes.airflow_versions import needs_airflow
from tests.fakes.short_folder import make_short_folder

pytestmark = needs_airflow("3.3")  # before, only PushMetrics' memory of keys prevents a second run

DAG_ID = "mortal_tasks"
WORKERLESS = "tasks_without_a_worker"
DAGS = Path(__file__).with_name("dags")
LIMIT_SECONDS = 600.0

MONTHS = {
    "after_call_on_the_worker": 1,
    "after_call_deferred": 2,
    "after_store_on_the_worker": 3,
    "after_store_deferred": 4,
    "when_resumed": 5,
    "while_deferred": 6,
    "cleared": 7,
    "cleared_and_reused": 8,
}
CLEARED = ("cleared", "cleared_and_reused")
KILLED = tuple(name for name in MONTHS if name not in (*CLEARED, "while_deferred"))


class ImpatientSystem(DemoSystem):
    """A system whose Airflow soon takes a triggerer for dead, and whose deferred tasks rest for long."""

    def build_airflow_environment(self) -> dict[str, str]:
        return {
            **super().build_airflow_environment(),
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "15",
        }


@dataclass(frozen=True)
class Survivors:
    """
    What is left after all the killing.

    :param tasks: The task instances, by name, when the Dag run had ended.
    :param runs: How many runs of the report each task had started by then.
    :param runs_after_clear: How many it had started after two tasks were cleared.
    :param killed_triggerers: How many processes of the triggerer were killed.
    """

    tasks: dict[str, Any]
    runs: dict[str, int]
    runs_after_clear: dict[str, int]
    killed_triggerers: int


@pytest.fixture(name="mortal_system", scope="module")
def start_system() -> Iterator[DemoSystem]:
    with make_short_folder() as parent:
        folder = DemoFolder(parent / "demo")
        folder.clear()
        system = ImpatientSystem(folder, *find_free_ports(2), dags=DAGS)
        try:
            system.start_service()
            system.open_report()
            system.start_airflow()
            yield system
        finally:
            system.stop()


def wait_for_dag(system: DemoSystem, dag_id: str) -> None:
    system.wait_for(
        "the Dag", lambda: system.airflow.find(f"/api/v2/dags/{dag_id}"), timeout_seconds=LIMIT_SECONDS
    )


def find_tasks(system: DemoSystem, run: DagRun) -> dict[str, Any] | None:
    """Find the task instances of a run, by name; None while Airflow is too busy to say."""
    answer = system.airflow.find(f"{run.path}/taskInstances")
    return {task["task_id"]: task for task in answer["task_instances"]} if answer else None


def find_deferred(system: DemoSystem, run: DagRun) -> bool | None:
    tasks = find_tasks(system, run)
    return True if tasks and tasks["while_deferred"]["state"] == "deferred" else None


def kill_triggerer(system: DemoSystem) -> int:
    """Kill the triggerer's processes, and start another triggerer; return how many were killed."""
    found = [process for process in system.processes.find_members() if is_triggerer(process)]
    for process in found:
        process.kill()
    system.start("airflow", "triggerer", "--skip-serve-logs", env=system.build_airflow_environment())
    return len(found)


def is_triggerer(process: psutil.Process) -> bool:
    try:
        words = " ".join(process.cmdline()).lower()
    except psutil.Error:
        return False
    return "triggerer" in words and "gunicorn" not in words


def count_runs(system: DemoSystem) -> dict[str, int]:
    rows = system.service.find("/api/v1/noteflow_run/", report_uid="1", q="(page:0,page_size:100)")["result"]
    months = [row["parameters"]["month"] for row in rows]
    return {name: months.count(month) for name, month in MONTHS.items()}


def wait_for_end(system: DemoSystem, run: DagRun) -> DagRun:
    """Wait for the end of a Dag run; if it does not come, say where its tasks are and what Airflow logged."""
    find = partial(system.airflow.find_finished_run, run)
    try:
        return system.wait_for(f"the end of {run.dag_id}", find, timeout_seconds=LIMIT_SECONDS)
    except DemoError as error:
        states = {name: task["state"] for name, task in (find_tasks(system, run) or {}).items()}
        log = read_tail(system.folder.logs / "airflow.log", lines=40)
        raise DemoError(f"{error} Its tasks: {states}\n{log}") from None


@pytest.fixture(name="survivors", scope="module")
def kill_everything(mortal_system: DemoSystem) -> Survivors:
    """Run the Dag once: tasks kill themselves, and the triggerer is killed while one waits in it."""
    system = mortal_system
    wait_for_dag(system, DAG_ID)
    run = system.airflow.trigger_dag(DAG_ID, {})
    system.wait_for("a deferred task", lambda: find_deferred(system, run), timeout_seconds=LIMIT_SECONDS)
    killed = kill_triggerer(system)
    wait_for_end(system, run)
    tasks = system.wait_for("the tasks", lambda: find_tasks(system, run), timeout_seconds=LIMIT_SECONDS)
    runs = count_runs(system)
    wanted = {"dry_run": False, "dag_run_id": run.run_id, "task_ids": list(CLEARED), "only_failed": False}
    system.airflow.post(f"/api/v2/dags/{DAG_ID}/clearTaskInstances", wanted)
    wait_for_end(system, run)
    return Survivors(tasks, runs, count_runs(system), killed)


@pytest.mark.parametrize("name", KILLED)
def test_a_task_whose_process_is_killed_has_started_one_run_after_all(
    survivors: Survivors, name: str
) -> None:
    assert (survivors.tasks[name]["state"], survivors.tasks[name]["try_number"]) == ("success", 2)
    assert survivors.runs[name] == 1


def test_a_triggerer_that_is_killed_costs_the_task_that_waits_in_it_nothing(survivors: Survivors) -> None:
    assert survivors.killed_triggerers > 0
    task = survivors.tasks["while_deferred"]
    assert (task["state"], task["try_number"]) == ("success", 1)
    assert survivors.runs["while_deferred"] == 1


def test_clearing_a_task_runs_the_report_again_unless_it_is_to_reuse_its_run(survivors: Survivors) -> None:
    assert [survivors.runs[name] for name in CLEARED] == [1, 1]
    assert [survivors.runs_after_clear[name] for name in CLEARED] == [2, 1]


# In the same Airflow, with a triggerer that lives


@pytest.fixture(name="workerless", scope="module")
def run_without_workers(mortal_system: DemoSystem, survivors: Survivors) -> dict[str, Any]:
    """Run the Dag whose sensors begin in the triggerer; give its task instances."""
    system = mortal_system
    wait_for_dag(system, WORKERLESS)
    run = system.airflow.trigger_dag(WORKERLESS, {})
    wait_for_end(system, run)
    tasks = system.wait_for("the tasks", lambda: find_tasks(system, run), timeout_seconds=LIMIT_SECONDS)
    entry = f"{run.path}/taskInstances/arrives/xcomEntries/return_value?deserialize=true"
    return {**tasks, "returned": system.airflow.find(entry)}


def test_a_sensor_may_begin_and_end_in_the_triggerer_and_returns_its_event(
    workerless: dict[str, Any],
) -> None:
    task = workerless["arrives"]
    assert (task["state"], task["try_number"], task["pid"]) == ("success", 1, None)
    assert workerless["returned"]["value"]["body"]["event"] == "report.run"


def test_a_sensor_that_fails_in_the_triggerer_is_retried_there(workerless: dict[str, Any]) -> None:
    """Its last try ends on a worker, which raises the error; both tries began in the triggerer."""
    task = workerless["fails"]
    assert (task["state"], task["try_number"]) == ("failed", 2)
