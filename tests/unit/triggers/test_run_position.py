from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.client.models import Run, RunStatus
from airflow_provider_pushmetrics.triggers.run_position import (
    BEGIN_RUNS,
    MAX_OPEN_RUNS,
    AssetStore,
    RunPosition,
    offer_asset_store,
)


def build_runs(*runs: tuple[int, str]) -> list[Run]:
    return [Run(id=number, status=RunStatus(status)) for number, status in runs]


def test_a_new_position_waits_for_the_unfinished_runs_and_for_newer_ones() -> None:
    position = RunPosition.begin(build_runs((9, "success"), (8, "running"), (7, "failed")), is_complete=True)
    assert [number for number in range(7, 12) if position.remains(number)] == [8, 10, 11]


def test_a_new_position_waits_for_a_run_that_appears_after_a_newer_one() -> None:
    position = RunPosition.begin(build_runs((9, "success"), (7, "success")), is_complete=True)
    assert position.remains(8)


def test_a_new_position_lists_few_runs_by_their_numbers() -> None:
    runs = build_runs(*((number, "running" if number == 3 else "success") for number in range(500, 0, -1)))
    position = RunPosition.begin(runs, is_complete=True)
    assert len(position.handled) == BEGIN_RUNS - 1
    assert position.floor == 401
    assert position.open_runs == {3}


def test_a_new_position_does_not_go_behind_the_oldest_of_a_few_listed_runs() -> None:
    runs = build_runs((9, "success"), (8, "success"), (7, "running"))
    position = RunPosition.begin(runs, is_complete=False)
    assert [number for number in range(1, 12) if position.remains(number)] == [7, 10, 11]


def test_without_runs_every_run_is_new() -> None:
    assert RunPosition.begin([], is_complete=True).remains(1)


def test_the_oldest_of_very_many_unfinished_runs_are_dropped_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        position = RunPosition().raise_floor(5000, range(1, MAX_OPEN_RUNS + 3))
    assert len(position.open_runs) == MAX_OPEN_RUNS
    assert not position.remains(2)
    assert "the oldest 2 are not watched" in caplog.text


numbers = st.integers(1, 30)


@given(handled=st.sets(numbers), floors=st.lists(numbers), unfinished=st.sets(numbers))
def test_raising_the_floor_forgets_no_unfinished_run_and_brings_back_no_handled_one(
    handled: set[int], floors: list[int], unfinished: set[int]
) -> None:
    position = RunPosition()
    for number in handled:
        position = position.handle(number)
    for floor in floors:
        position = position.raise_floor(floor, unfinished - handled)
    assert not any(position.remains(number) for number in handled)
    assert all(position.remains(number) for number in unfinished - handled)
    assert RunPosition.parse(position.dump()) == position


class Store:
    """The store of an asset, which may refuse values."""

    def __init__(self, value: RunPosition | None = None, *, refuses: bool = False) -> None:
        self.value = value.dump() if value else None
        self._refuses = refuses

    def get(self, key: str) -> Any:
        return self.value

    def set(self, key: str, value: Any) -> None:
        if self._refuses:
            raise RuntimeError("refused")
        self.value = value


class Stores:
    """The stores of a trigger's assets, as Airflow gives them to it."""

    def __init__(self, *stores: Store) -> None:
        self._by_name = dict(enumerate(stores))
        self._by_uri: dict[str, Store] = {}


async def test_the_newest_of_several_positions_is_taken_in_any_order() -> None:
    older, newer = RunPosition(5, frozenset({7}), frozenset({2})), RunPosition(5, frozenset({7, 8}))
    for number, pair in enumerate([(older, newer), (newer, older)]):
        stores = Stores(*map(Store, pair))
        offer_asset_store(f"newest{number}", stores)
        assert await AssetStore("a", f"newest{number}").load() == newer


async def test_a_store_that_refuses_a_position_does_not_keep_it_from_the_others() -> None:
    last = Store()
    stores = Stores(Store(refuses=True), last)
    offer_asset_store("refused", stores)
    with pytest.raises(RuntimeError, match="refused"):
        await AssetStore("a", "refused").save(RunPosition(3))
    assert last.value == RunPosition(3).dump()
