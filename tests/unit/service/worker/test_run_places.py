"""How the run places of a worker are shared."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.service.models import Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.worker.run_places import (
    ActiveRun,
    PlaceLimits,
    RunGroup,
    choose_groups,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def wait(
    workspace_id: int, report_id: int, count: int = 1, *, after: int = 0, is_suspect: bool = False
) -> RunGroup:
    oldest = START + timedelta(seconds=after)
    return RunGroup(Run, workspace_id, report_id, is_suspect, count, oldest)


def run(workspace_id: int, report_id: int, number: int = 1, *, is_suspect: bool = False) -> ActiveRun:
    return ActiveRun(Run, number, workspace_id, report_id, is_suspect)


@pytest.mark.parametrize(("places", "per_report"), [(1, 1), (2, 1), (3, 1), (4, 2), (9, 4)])
def test_one_report_has_at_most_half_of_the_places(places: int, per_report: int) -> None:
    hog = wait(1, 1, 1000)
    assert choose_groups([hog], [], PlaceLimits(places, False)) == Counter({hog: per_report})


def test_one_workspace_leaves_a_place_for_the_others() -> None:
    hogs = [wait(1, report_id, 1000) for report_id in range(1, 9)]
    assert choose_groups(hogs, [], PlaceLimits(4, True)).total() == 3
    assert choose_groups(hogs, [], PlaceLimits(4, False)).total() == 4, "there is no other workspace"


def test_workspace_and_report_with_the_fewest_runs_come_first() -> None:
    active = [run(1, 1, 1), run(2, 3, 2)]
    groups = [wait(1, 1, 5), wait(1, 2, 5, after=1), wait(2, 4, 5, after=2), wait(3, 5, 5, after=3)]
    assert choose_groups(groups, active, PlaceLimits(5, True)) == Counter(
        {groups[3]: 1, groups[1]: 1, groups[2]: 1}
    )


def test_oldest_run_comes_first_among_equals() -> None:
    newer, older = wait(1, 1, after=5), wait(2, 2, after=1)
    assert choose_groups([newer, older], [], PlaceLimits(1, True)) == Counter({older: 1})


def test_runs_of_a_report_and_of_its_blocks_share_its_places() -> None:
    of_block = RunGroup(StandaloneQueryRun, 1, 1, False, 5, START)
    assert choose_groups([wait(1, 1, 5), of_block], [], PlaceLimits(4, False)).total() == 2


def test_one_suspect_runs_at_a_time() -> None:
    suspects = [wait(1, report_id, is_suspect=True) for report_id in (1, 2, 3)]
    assert choose_groups(suspects, [], PlaceLimits(8, False)).total() == 1
    assert not choose_groups(suspects, [run(1, 9, is_suspect=True)], PlaceLimits(8, False))


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
    unique_by=lambda group: (group.workspace_id, group.report_id, group.is_suspect),
)


@given(GROUPS, st.integers(1, 12), st.booleans())
def test_no_limit_is_ever_passed_and_no_allowed_place_stays_free(
    groups: list[RunGroup], places: int, is_shared: bool
) -> None:
    limits = PlaceLimits(places, is_shared)
    chosen = choose_groups(groups, [], limits)
    reports, workspaces = Counter[int](), Counter[int]()
    for group, count in chosen.items():
        assert 0 < count <= group.count
        reports[group.report_id] += count
        workspaces[group.workspace_id] += count
    assert chosen.total() <= places
    assert all(count <= limits.per_report for count in reports.values())
    assert all(count <= limits.per_workspace for count in workspaces.values())
    if chosen.total() < places:
        for group in groups:
            assert (
                chosen[group] == group.count
                or reports[group.report_id] == limits.per_report
                or workspaces[group.workspace_id] == limits.per_workspace
                or group.is_suspect
            )
