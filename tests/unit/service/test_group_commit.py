"""Transactions that are committed together: each has its own result and its own error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from airflow_provider_pushmetrics.service.group_commit import GroupCommit


class Store:
    """Counts commits, and refuses the next one if told to."""

    def __init__(self) -> None:
        self.commits = 0
        self.fault: Exception | None = None

    @contextmanager
    def open(self) -> Iterator[Any]:
        yield self
        if self.fault is not None:
            raise self.fault
        self.commits += 1

    def begin_nested(self) -> Any:
        return nullcontext()


def test_those_who_wait_are_committed_together() -> None:
    store, turn = Store(), threading.Lock()
    group = GroupCommit(turn, store.open)
    with ThreadPoolExecutor(10) as pool:
        turn.acquire()
        results = [pool.submit(group.run, lambda _, number=number: number) for number in range(10)]
        while len(group._waiting) < 10:
            pass
        turn.release()
        assert [one.result(10) for one in results] == list(range(10))
    assert store.commits == 1


def test_error_of_one_is_its_own() -> None:
    store, turn = Store(), threading.Lock()
    group = GroupCommit(turn, store.open)

    def fail(_: Any) -> None:
        raise ValueError("mine")

    with ThreadPoolExecutor(2) as pool:
        turn.acquire()
        bad, good = pool.submit(group.run, fail), pool.submit(group.run, lambda _: "fine")
        while len(group._waiting) < 2:
            pass
        turn.release()
        assert good.result(10) == "fine"
        with pytest.raises(ValueError, match="mine"):
            bad.result(10)
    assert store.commits == 1


def test_what_cannot_be_committed_is_nobody_s_success() -> None:
    store = Store()
    group = GroupCommit(threading.Lock(), store.open)
    store.fault = OSError("disk full")
    with pytest.raises(OSError, match="disk full"):
        group.run(lambda _: "lost")
    store.fault = None
    assert group.run(lambda _: "kept") == "kept"
