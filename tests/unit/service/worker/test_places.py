"""How the run places of a worker are shared."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.service.models import Delivery, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.worker.claims import Claim, Group
from airflow_provider_pushmetrics.service.worker.places import PlaceLimits, WaitingGroup, choose_groups

START = datetime(2026, 1, 1, tzinfo=UTC)


def wait(
    workspace_id: int, report_id: int, count: int = 1, *, after: int = 0, is_suspect: bool = False
) -> WaitingGroup:
    group = Group(Run, report_id, workspace_id, is_suspect)
    return WaitingGroup(group, count, START + timedelta(seconds=after))


def run(workspace_id: int, report_id: int, number: int = 1, *, is_suspect: bool = False) -> Claim:
    return Claim(Group(Run, report_id, workspace_id, is_suspect), number)


def limit(places: int, is_shared: bool = False) -> PlaceLimits:
    return PlaceLimits(places, max(1, places // 2), is_shared)


@pytest.mark.parametrize(("places", "per_report"), [(1, 1), (2, 1), (3, 1), (4, 2), (9, 4)])
def test_one_report_has_at_most_half_of_the_places(places: int, per_report: int) -> None:
    hog = wait(1, 1, 1000)
    assert choose_groups([hog], [], limit(places)) == Counter({hog.group: per_report})


def test_one_workspace_leaves_a_place_for_the_others() -> None:
    hogs = [wait(1, report_id, 1000) for report_id in range(1, 9)]
    assert choose_groups(hogs, [], limit(4, True)).total() == 3
    assert choose_groups(hogs, [], limit(4)).total() == 4, "there is no other workspace"


def test_workspace_and_report_with_the_fewest_runs_come_first() -> None:
    active = [run(1, 1, 1), run(2, 3, 2)]
    groups = [wait(1, 1, 5), wait(1, 2, 5, after=1), wait(2, 4, 5, after=2), wait(3, 5, 5, after=3)]
    assert choose_groups(groups, active, limit(5, True)) == Counter(
        {groups[3].group: 1, groups[1].group: 1, groups[2].group: 1}
    )


def test_oldest_run_comes_first_among_equals() -> None:
    newer, older = wait(1, 1, after=5), wait(2, 2, after=1)
    assert choose_groups([newer, older], [], limit(1, True)) == Counter({older.group: 1})


def test_runs_of_a_report_and_of_its_blocks_share_its_places() -> None:
    of_block = WaitingGroup(Group(StandaloneQueryRun, 1, 1), 5, START)
    assert choose_groups([wait(1, 1, 5), of_block], [], limit(4)).total() == 2


def test_one_suspect_runs_at_a_time() -> None:
    suspects = [wait(1, report_id, is_suspect=True) for report_id in (1, 2, 3)]
    assert choose_groups(suspects, [], limit(8)).total() == 1
    assert not choose_groups(suspects, [run(1, 9, is_suspect=True)], limit(8))


GROUPS = st.lists(
    st.builds(
        wait,
        st.integers(1, 3),
        st.integers(1, 4),
        st.integers(1, 20),
        after=st.integers(0, 9),
        is_suspect=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda one: (one.group.workspace_id, one.group.key, one.group.is_suspect),
)


@given(GROUPS, st.integers(1, 12), st.booleans())
def test_no_limit_is_ever_passed_and_no_allowed_place_stays_free(
    groups: list[WaitingGroup], places: int, is_shared: bool
) -> None:
    limits = limit(places, is_shared)
    chosen = choose_groups(groups, [], limits)
    reports, workspaces = Counter[int | str](), Counter[int]()
    for group, count in chosen.items():
        assert 0 < count <= sum(one.count for one in groups if one.group == group)
        reports[group.key] += count
        workspaces[group.workspace_id] += count
    assert chosen.total() <= places
    assert all(count <= limits.per_group for count in reports.values())
    assert all(count <= limits.per_workspace for count in workspaces.values())
    if chosen.total() < places:
        for one in groups:
            group = one.group
            assert (
                chosen[group] == one.count
                or reports[group.key] == limits.per_group
                or workspaces[group.workspace_id] == limits.per_workspace
                or group.is_suspect
            )


def due(*keys: int) -> list[WaitingGroup]:
    """Make deliveries to these subscriptions, the most urgent first."""
    return [
        WaitingGroup(Group(Delivery, key), 100, START + timedelta(seconds=number))
        for number, key in enumerate(keys)
    ]


def deliver(**counts: int) -> list[Claim]:
    """Make active deliveries to the subscriptions of these numbers."""
    return [
        Claim(Group(Delivery, int(name[1:])), number)
        for name, count in counts.items()
        for number in range(count)
    ]


def count_chosen(waiting: list[WaitingGroup], active: list[Claim], limits: PlaceLimits) -> dict[object, int]:
    return {group.key: count for group, count in choose_groups(waiting, active, limits).items()}


def test_places_go_round_among_the_groups_and_the_most_urgent_has_the_odd_one() -> None:
    assert count_chosen(due(2, 1, 3), [], PlaceLimits(7, 4)) == {2: 3, 1: 2, 3: 2}


def test_group_never_has_more_places_than_its_own() -> None:
    assert count_chosen(due(1), deliver(s1=2), PlaceLimits(64, 8)) == {1: 6}
    assert count_chosen(due(1), deliver(s1=8), PlaceLimits(64, 8)) == {}


def test_group_without_a_place_comes_before_those_that_have_some() -> None:
    slow = deliver(s0=8, s1=8, s2=8, s3=8, s4=8, s5=8, s6=8, s7=7)
    assert count_chosen(due(*range(8), 99), slow, PlaceLimits(64, 8)) == {99: 1}


def test_nothing_is_chosen_when_all_places_are_taken() -> None:
    assert count_chosen(due(1), deliver(s2=2), PlaceLimits(2, 1)) == {}
