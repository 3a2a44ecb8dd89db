"""How the places of a worker are shared among the receivers of what is due."""

from __future__ import annotations

from collections import Counter

from airflow_provider_pushmetrics.service.worker.due_selection import Group, share_places


def test_places_go_round_among_the_groups_and_the_most_urgent_has_the_odd_one() -> None:
    assert share_places(["b", "a", "c"], Counter(), 7, 4) == {"b": 3, "a": 2, "c": 2}


def test_group_never_has_more_places_than_its_own() -> None:
    assert share_places([1], Counter({1: 2}), 64, 8) == {1: 6}
    assert share_places([1], Counter({1: 8}), 64, 8) == {}


def test_group_without_a_place_comes_before_those_that_have_some() -> None:
    slow: Counter[Group] = Counter({number: 8 for number in range(7)})
    slow[7] = 7
    assert share_places([*range(8), 99], slow, 64, 8) == {99: 1}


def test_nothing_is_chosen_when_all_places_are_taken() -> None:
    assert share_places(["a"], Counter({"b": 2}), 2, 1) == {}
