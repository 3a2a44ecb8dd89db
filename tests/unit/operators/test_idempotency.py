from __future__ import annotations

import dataclasses
import re
from typing import Any
from uuid import UUID

import pytest

from airflow_provider_pushmetrics.operators.idempotency import build_idempotency_key, hash_key
from airflow_provider_pushmetrics.task_epoch import find_epoch
from tests.fakes.supervisor import FakeTaskInstance


def build_context(**changes: Any) -> Any:
    return {"ti": dataclasses.replace(FakeTaskInstance(), **changes)}


def build_key(context: Any, *, is_reused: bool = False) -> str:
    return build_idempotency_key(context, find_epoch(context, is_reused=is_reused))


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
    iterations = [
        {"region_id": region_id, "region_index": index}
        for region_id in (LOOP, NESTED_LOOP)
        for index in (0, 1)
    ]
    keys = {build_key(build_context(**iteration)) for iteration in iterations}
    assert len(keys) == 4
    assert build_key(build_context()) not in keys


def test_all_tries_of_an_iteration_have_one_key() -> None:
    iteration = {"region_id": LOOP, "region_index": 1}
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
