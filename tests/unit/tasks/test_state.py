from __future__ import annotations

import dataclasses
import re
from typing import Any
from uuid import UUID

import pytest

from airflow_provider_pushmetrics.client.run_polling import RunSnapshot
from airflow_provider_pushmetrics.client.waits import RunTarget
from airflow_provider_pushmetrics.tasks.state import (
    RUN_KEY,
    SENSOR_START_KEY,
    StartedRun,
    TaskState,
    hash_key,
    read_started_run,
)
from tests.fakes.supervisor import FakeStateStore, FakeTaskInstance

TARGET = RunTarget("1", None, after_cursor=3, after_run_id=7)


def build_context(store: FakeStateStore | None = None, **changes: Any) -> Any:
    return {"ti": dataclasses.replace(FakeTaskInstance(), **changes), "task_state_store": store}


def build_key(context: Any, *, is_reused: bool = False) -> str:
    return TaskState.open(context, is_reused=is_reused).idempotency_key


# The run that an operator has started


@pytest.mark.parametrize("is_accepted", [True, False])
def test_what_tells_a_run_from_others_is_kept_for_the_next_try(is_accepted: bool) -> None:
    store = FakeStateStore()
    TaskState.open(build_context(store)).save_run(TARGET, is_accepted=is_accepted)
    kept = TaskState.open(build_context(store, try_number=2)).load_run("1")
    assert kept is not None
    assert (kept.build_target(), kept.is_accepted) == (TARGET, is_accepted)


def test_a_run_is_stored_in_the_shape_that_earlier_versions_read() -> None:
    store = FakeStateStore()
    TaskState.open(build_context(store)).save_run(TARGET, is_accepted=False)
    assert store == {
        "pushmetrics_run": {
            "epoch": "2",
            "report_id": "1",
            "run_id": None,
            "after_cursor": 3,
            "after_run_id": 7,
            "is_accepted": False,
            "parameters_digest": None,
        }
    }


@pytest.mark.parametrize(("report_id", "max_tries"), [("2", 2), ("1", 3)])
def test_what_was_kept_for_another_report_or_clearing_is_not_found(report_id: str, max_tries: int) -> None:
    store = FakeStateStore()
    TaskState.open(build_context(store)).save_run(TARGET, is_accepted=True)
    assert TaskState.open(build_context(store, max_tries=max_tries)).load_run(report_id) is None


def test_a_cleared_task_that_reuses_its_run_finds_it() -> None:
    store = FakeStateStore()
    TaskState.open(build_context(store), is_reused=True).save_run(TARGET, is_accepted=True)
    assert TaskState.open(build_context(store, max_tries=5), is_reused=True).load_run("1")


def test_a_run_that_was_deleted_is_not_found() -> None:
    store = FakeStateStore()
    state = TaskState.open(build_context(store))
    state.save_run(TARGET, is_accepted=True)
    state.delete_run()
    assert state.load_run("1") is None
    assert RUN_KEY not in store


def test_without_a_store_nothing_is_kept_and_nothing_fails() -> None:
    state = TaskState.open(build_context())
    state.save_run(TARGET, is_accepted=True)
    state.delete_run()
    state.save_cursor("a", 7)
    state.save_runs("a", RunSnapshot(7))
    assert (state.load_run("1"), state.load_cursor("a"), state.load_runs("a")) == (None, None, None)
    assert not state.is_durable


def test_what_an_earlier_version_kept_is_a_run_that_was_accepted() -> None:
    kept = {"epoch": "2", "report_id": "1", "run_id": 7, "after_cursor": 3}
    assert read_started_run(kept) == StartedRun("2", "1", 7, 3)


@pytest.mark.parametrize(
    "changes",
    [{"epoch": None}, {"report_id": 1}, {"run_id": "7"}, {"after_cursor": "3"}, {"after_run_id": 1.5}],
)
def test_what_is_not_of_this_shape_is_nothing_of_ours(changes: dict[str, Any]) -> None:
    kept = dataclasses.asdict(StartedRun("2", "1", 7, 3, 6))
    assert read_started_run(kept) is not None
    assert read_started_run(kept | changes) is None


# Where a sensor began


def test_where_the_first_try_began_is_found_by_the_next_ones_alone() -> None:
    store = FakeStateStore()
    TaskState.open(build_context(store)).save_cursor("a", 7)
    assert TaskState.open(build_context(store, try_number=2)).load_cursor("a") == 7
    assert TaskState.open(build_context(store, max_tries=3)).load_cursor("a") is None
    cleared = build_context(store, try_number=2, max_tries=2, retries=1)
    assert TaskState.open(cleared).load_cursor("a") is None
    assert TaskState.open(build_context(store)).load_cursor("b") is None
    assert TaskState.open(build_context(store)).load_runs("a") is None


def test_the_runs_that_there_were_are_found_again() -> None:
    store = FakeStateStore()
    TaskState.open(build_context(store)).save_runs("a", RunSnapshot(7, (5, 6)))
    assert TaskState.open(build_context(store)).load_runs("a") == RunSnapshot(7, (5, 6))
    assert store[SENSOR_START_KEY] == {
        "epoch": "2",
        "try_number": 1,
        "conn_id": "a",
        "newest_run_id": 7,
        "open_run_ids": [5, 6],
    }


@pytest.mark.parametrize("kept", ["7", 7, {}, {"epoch": "2", "conn_id": "a", "cursor": "7"}])
def test_whatever_else_is_kept_under_the_name_is_not_taken_for_a_start(kept: Any) -> None:
    state = TaskState.open(build_context(FakeStateStore({SENSOR_START_KEY: kept})))
    assert state.load_cursor("a") is None
    assert state.load_runs("a") is None


def test_an_operator_and_a_sensor_of_one_name_do_not_overwrite_each_other() -> None:
    state = TaskState.open(build_context(FakeStateStore()))
    state.save_run(TARGET, is_accepted=True)
    state.save_cursor("a", 7)
    assert (state.load_run("1") is not None, state.load_cursor("a")) == (True, 7)


# The idempotency key


def test_a_cleared_task_that_reuses_its_run_keeps_its_key() -> None:
    keys = {build_key(build_context(max_tries=number), is_reused=True) for number in (2, 5)}
    assert len(keys) == 1
    assert keys.isdisjoint({build_key(build_context())})


def test_the_key_is_the_same_for_every_try() -> None:
    keys = {build_key(build_context(try_number=number)) for number in (1, 2, 3)}
    assert len(keys) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"max_tries": 5},
        {"map_index": 0},
        {"map_index": 1},
        {"task_id": "b_task"},
        {"run_id": "manual__2026-01-02"},
        {"dag_id": "b_dag"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_task_instance_and_a_cleared_one_have_another_key(changes: dict[str, Any]) -> None:
    assert build_key(build_context(**changes)) != build_key(build_context())


LOOP = UUID("0198c1de-0000-7000-8000-000000000001")
NESTED_LOOP = UUID("0198c1de-0000-7000-8000-000000000002")


def test_each_iteration_of_a_task_loop_has_a_key_of_its_own() -> None:
    """All iterations have the same map index, so iteration 2 would get the run of iteration 1."""
    iterations: list[dict[str, Any]] = [
        {"region_id": region_id, "region_index": index}
        for region_id in (LOOP, NESTED_LOOP)
        for index in (0, 1)
    ]
    keys = {build_key(build_context(**iteration)) for iteration in iterations}
    assert len(keys) == 4
    assert build_key(build_context()) not in keys


def test_all_tries_of_an_iteration_have_one_key() -> None:
    iteration: dict[str, Any] = {"region_id": LOOP, "region_index": 1}
    assert len({build_key(build_context(**iteration, try_number=number)) for number in (1, 2)}) == 1


@pytest.mark.parametrize("map_index", [-1, 3])
def test_the_key_of_a_task_outside_of_a_loop_is_the_same_on_every_airflow(map_index: int) -> None:
    """Airflow 3.4 puts such a task into the region whose id is zero."""
    before = build_context(map_index=map_index)
    now = build_context(map_index=map_index, region_id=UUID(int=0), region_index=map_index)
    assert build_key(now) == build_key(before)
    assert build_key(build_context()) == "916cacabeaa7f5ec87515471546172cf4e4eecd3a75c63fd"


def test_names_that_run_together_do_not_make_one_key() -> None:
    assert build_key(build_context(dag_id="a", run_id="bc")) != build_key(
        build_context(dag_id="ab", run_id="c")
    )


def test_a_key_is_short_visible_and_gives_nothing_away() -> None:
    key = build_key(build_context(dag_id="Größe " * 40))
    assert re.fullmatch(r"[0-9a-f]{48}", key)


def test_the_key_after_a_failed_run_is_another_one_each_time() -> None:
    key = build_key(build_context())
    assert len({key, hash_key(key, "1"), hash_key(key, "2"), hash_key(hash_key(key, "1"), "2")}) == 4
