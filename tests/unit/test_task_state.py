from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from airflow_provider_pushmetrics.client.waits import RunTarget
from airflow_provider_pushmetrics.task_state import (
    STORE_KEY,
    StartedRun,
    TaskState,
    read_started_run,
)


class Store(dict[str, Any]):
    """The task's store, as far as it is used."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


TARGET = RunTarget("1", None, after_cursor=3, after_run_id=7)


@pytest.mark.parametrize("is_accepted", [True, False])
def test_what_tells_a_run_from_others_is_kept_for_the_next_try(is_accepted: bool) -> None:
    store = Store()
    TaskState(store, "2", "a-key").save(TARGET, is_accepted=is_accepted)
    kept = TaskState(store, "2", "a-key").load("1")
    assert kept is not None
    assert (kept.build_target(), kept.is_accepted) == (TARGET, is_accepted)


@pytest.mark.parametrize(("report_id", "epoch"), [("2", "2"), ("1", "3")])
def test_what_was_kept_for_another_report_or_clearing_is_not_found(report_id: str, epoch: str) -> None:
    store = Store()
    TaskState(store, "2", "a-key").save(TARGET, is_accepted=True)
    assert TaskState(store, epoch, "a-key").load(report_id) is None


def test_what_is_forgotten_is_not_found() -> None:
    store = Store()
    state = TaskState(store, "2", "a-key")
    state.save(TARGET, is_accepted=True)
    state.delete()
    assert state.load("1") is None
    assert STORE_KEY not in store


def test_without_a_store_nothing_is_kept_and_nothing_fails() -> None:
    state = TaskState(None, "2", "a-key")
    state.save(TARGET, is_accepted=True)
    state.delete()
    assert state.load("1") is None
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
