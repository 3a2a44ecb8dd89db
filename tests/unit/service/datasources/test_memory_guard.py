"""What is done when a worker uses too much memory."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.service.bounded_processes.limits import read_memory
from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.datasources.base import Stopper
from airflow_provider_pushmetrics.service.datasources.memory_guard import (
    IDLE_SECONDS,
    PAUSE_SECONDS,
    MemoryGuard,
    RunningQueries,
    find_machine_memory,
)

LIMIT = 1000


class Children(ChildPool):
    """Child processes of which a test says how much memory they use."""

    def __init__(self, *used: int) -> None:
        super().__init__("none", max_children=1, max_frame_bytes=1)
        self.used = list(used)
        self.idle = 0

    def read_memory(self) -> int:
        return sum(self.used) + self.idle

    def kill_largest(self, reason: str) -> bool:
        self.used.remove(max(self.used))
        return True

    def close_idle(self) -> None:
        self.idle = 0


@dataclass
class Process:
    """A process of which a test says how much memory it uses."""

    used: int = 0
    kept: int = 0
    now: float = 100.0
    ended: int = 0
    queries: RunningQueries = field(default_factory=RunningQueries)
    children: Children = field(default_factory=lambda: Children())

    def open(self) -> MemoryGuard:
        return MemoryGuard(
            LIMIT,
            self.queries,
            self.children,
            read=lambda: self.used,
            release=self.release,
            end=self.end,
            monotonic=lambda: self.now,
        )

    def release(self) -> None:
        self.used -= self.kept
        self.kept = 0

    def end(self) -> None:
        self.ended += 1


def test_newest_query_is_stopped_first_and_the_next_after_a_pause() -> None:
    process = Process(used=850)
    guard, older, newer = process.open(), Stopper(), Stopper()
    with process.queries.hold(older), process.queries.hold(newer):
        guard.check()
        guard.check()
        assert (older.reason, newer.reason is not None) == (None, True)
        process.now += PAUSE_SECONDS
        guard.check()
        assert older.reason is not None
        assert "memory is used up" in older.reason
    assert process.ended == 0


def test_nothing_is_stopped_below_three_fifths_or_where_memory_is_given_back() -> None:
    process, query = Process(used=600), Stopper()
    guard = process.open()
    with process.queries.hold(query):
        guard.check()
        process.used, process.kept = 900, 400
        guard.check()
    assert (query.reason, process.ended, process.used) == (None, 0, 500)


def test_process_above_its_limit_is_ended_at_once() -> None:
    process = Process(used=LIMIT + 1)
    process.open().check()
    assert process.ended == 1


def test_largest_child_is_killed_before_a_process_that_is_below_its_limit() -> None:
    process = Process(used=300, children=Children(500, 600))
    guard = process.open()
    guard.check()
    assert (process.children.used, process.ended) == ([500], 0)


def test_idle_children_are_ended_before_a_query_is_stopped() -> None:
    process, query = Process(used=300), Stopper()
    process.children.idle = 500
    with process.queries.hold(query):
        process.open().check()
    assert (process.children.idle, query.reason) == (0, None)


def test_idle_process_that_keeps_its_memory_is_replaced() -> None:
    process = Process(used=900)
    guard = process.open()
    guard.check()
    process.now += IDLE_SECONDS - 1
    with ExitStack() as stack:
        stack.enter_context(process.queries.hold(Stopper()))
        guard.check()
    process.now += PAUSE_SECONDS
    guard.check()
    assert process.ended == 0, "it was not idle all the time"
    process.now += IDLE_SECONDS
    guard.check()
    assert process.ended == 1


def test_memory_of_this_process_and_machine_is_known() -> None:
    assert 10 * 2**20 < read_memory() < find_machine_memory()


@pytest.mark.parametrize("version", [1, 2])
def test_limit_of_a_container_is_found_in_either_version(tmp_path: Path, version: int) -> None:
    first, second = tmp_path / "memory.max", tmp_path / "memory.limit_in_bytes"
    (second if version == 1 else first).write_text("1048576\n", "ascii")
    assert find_machine_memory((first, second)) == 2**20
    first.write_text("max\n", "ascii")
    second.write_text(f"{2**63 - 4096}\n", "ascii")  # no limit, in version 1
    assert find_machine_memory((first, second)) == find_machine_memory(())
