"""Tasks that were deferred by an older version, watchers that began with it, and Dags that it serialized."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.triggers import pushmetrics as triggers
from tests.fakes.supervisor import FakeTaskInstance
from tests.upgrade.deferred_tasks import UserDag, build_trigger, connect, rebuild_trigger
from tests.upgrade.releases import Release
from tests.upgrade.servers import Servers

TRIGGERS = {
    name for name, found in vars(triggers).items() if getattr(found, "__module__", "") == triggers.__name__
}


@pytest.fixture
def kept(release: Release) -> dict[str, dict[str, Any]]:
    """Give what Airflow's database has of each deferred task."""
    return {row["task_id"]: row for row in release.read("deferred")}


@pytest.fixture
def serialized_dag(release: Release, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the Dag, as an API server reads it from Airflow's database; a scheduler leaves the links out."""
    monkeypatch.setattr(DagSerialization, "_load_operator_extra_links", True)
    return DagSerialization.from_dict(release.read("dag"))


def open_dag(
    release: Release, servers: Servers, monkeypatch: pytest.MonkeyPatch, kept: Any = None
) -> UserDag:
    """Give the user's Dag to workers of this version, with connections to the servers."""
    dag = UserDag(release.dag_file, (kept or {}).get("stored_state"))
    connect(monkeypatch, servers.connection, dag.supervisor)
    return dag


async def fire(trigger: Any, task_id: str) -> Any:
    """Run a trigger of a task until its one event."""
    trigger.task_instance = FakeTaskInstance(dag_id="user_dag", task_id=task_id)
    (event,) = [event async for event in trigger.run()]
    return event


async def test_an_operator_that_was_deferred_returns_its_run(
    release: Release, servers: Servers, kept: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = kept["run_report"]
    dag = open_dag(release, servers, monkeypatch, task)
    event = await fire(rebuild_trigger(task), "run_report")
    run = dag.resume(task, event.payload)
    assert (run["report_id"], run["run_id"], run["status"]) == ("1", 3, "success")
    assert [query["row_count"] for query in run["queries"]] == [1]


def test_a_retry_of_a_task_that_was_deferred_starts_no_second_run(
    release: Release, servers: Servers, kept: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = kept["run_report"]
    dag = open_dag(release, servers, monkeypatch, task)
    assert dag.defer("run_report", try_number=2)["kwargs"]["run_id"] == 3
    runs = servers.client.get("/api/v1/noteflow_run/?report_uid=1").raise_for_status().json()
    assert runs["count"] == 3


async def test_a_sensor_that_was_deferred_ends_with_its_event(
    release: Release, servers: Servers, kept: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = kept["wait_for_run"]
    dag = open_dag(release, servers, monkeypatch, task)
    dag.supervisor.set_state(FakeTaskInstance(dag_id="user_dag", task_id="wait_for_run"), "deferred")
    event = await fire(rebuild_trigger(task), "wait_for_run")
    assert isinstance(event, TaskSuccessEvent)
    found = dag.supervisor.xcoms["return_value"]
    assert found["body"]["report_notebook_outputs"].endswith("/api/reports/1/run/3")


async def test_a_watcher_continues_after_the_last_event_that_it_stored(
    release: Release, servers: Servers, serialized_dag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_dag(release, servers, monkeypatch)
    (asset,) = serialized_dag.timetable.asset_condition.objects
    (watcher,) = asset.watchers
    trigger = build_trigger(watcher.trigger["classpath"], watcher.trigger["kwargs"])
    async with aclosing(trigger.run()) as events:
        assert [(await anext(events)).payload["id"] for _ in range(2)] == [2, 3]


async def test_a_sensor_of_a_serialized_dag_begins_in_the_triggerer(
    release: Release, servers: Servers, serialized_dag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag = open_dag(release, servers, monkeypatch)
    start = serialized_dag.get_task("begin_in_triggerer").start_trigger_args
    event = await fire(build_trigger(start.trigger_cls, start.trigger_kwargs), "begin_in_triggerer")
    task = {"task_id": "begin_in_triggerer", "next_method": start.next_method, "next_kwargs": {}}
    assert dag.resume(task, event.payload)["id"] == 3


def test_every_task_of_a_serialized_dag_still_has_its_links(serialized_dag: Any) -> None:
    links = {task.task_id: set(task.operator_extra_link_dict) for task in serialized_dag.tasks}
    assert links == {
        "run_report": {"PushMetrics run", "PushMetrics report"},
        "wait_for_run": {"PushMetrics run", "PushMetrics report", "PushMetrics event"},
        "begin_in_triggerer": {"PushMetrics run", "PushMetrics report", "PushMetrics event"},
        "save": set(),
    }


def test_data_of_this_version_has_each_public_trigger() -> None:
    release = Release(__version__, "sqlite")
    text = (release.folder / "dag.json").read_text("utf-8") + (release.folder / "deferred.json").read_text(
        "utf-8"
    )
    assert {name for name in TRIGGERS if f"{triggers.__name__}.{name}" in text} == TRIGGERS
    assert len(TRIGGERS) >= 3
