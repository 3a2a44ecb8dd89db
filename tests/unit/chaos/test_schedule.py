"""A seed replays its schedule, and every schedule leaves what it must."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.schedule import DAGS, MANY_RUNS_DAG, Fault, Size, build_schedule

sizes = st.builds(
    Size,
    processes=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3), min_size=1),
    kills=st.integers(0, 3),
    freezes=st.integers(0, 2),
    freeze_seconds=st.floats(1, 60),
    recovery_seconds=st.floats(0, 60),
    gap_seconds=st.floats(1, 30),
    rounds=st.integers(0, 3),
    many_runs=st.integers(0, 3),
    calls=st.integers(0, 5),
)


@given(st.integers(), sizes)
def test_a_seed_replays_the_same_schedule(seed: int, size: Size) -> None:
    assert build_schedule(seed, size) == build_schedule(seed, size)


def test_other_seeds_have_other_schedules() -> None:
    size = Size({"a": 2, "b": 2}, 2, 2, 20, 10, 5, 2, 2, 2)
    schedules = [build_schedule(seed, size) for seed in range(20)]
    assert len({schedule.faults for schedule in schedules}) == 20
    assert len({schedule.starts for schedule in schedules}) == 20


@given(st.integers(), sizes)
def test_every_kind_is_killed_and_frozen_as_often_as_the_size_says(seed: int, size: Size) -> None:
    found = Counter((fault.action, fault.kind) for fault in build_schedule(seed, size).faults)
    for kind, count in size.processes.items():
        assert found["kill", kind] == size.kills
        assert found["freeze", kind] == (size.freezes if count > 1 else 0)


@given(st.integers(), sizes)
def test_no_two_processes_of_a_kind_are_out_at_once(seed: int, size: Size) -> None:
    for kind, count in size.processes.items():
        faults = [fault for fault in build_schedule(seed, size).faults if fault.kind == kind]
        assert all(1 <= fault.process <= count for fault in faults)
        for before, after in pairwise(faults):
            assert after.at >= before.at + before.seconds + size.recovery_seconds - 0.1


@given(st.integers(), sizes)
def test_faults_are_in_order_and_dags_start_among_them(seed: int, size: Size) -> None:
    schedule = build_schedule(seed, size)
    assert list(schedule.faults) == sorted(schedule.faults, key=_read_time)
    assert all(0 <= start.at <= schedule.seconds for start in schedule.starts)
    assert Counter(start.dag_id for start in schedule.starts) == Counter(
        {**dict.fromkeys(DAGS, size.rounds), MANY_RUNS_DAG: size.many_runs, "": size.calls}
    )
    assert len({start.key for start in schedule.starts}) == len(schedule.starts)


def _read_time(fault: Fault) -> float:
    return fault.at
