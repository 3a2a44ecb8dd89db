"""Items that are committed together: each has its own result and its own error."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from airflow_provider_pushmetrics.serving.group_commit import MAX_BATCH, Batch, GroupCommit, start_daemon
from tests.fakes.waiting import LIMIT_SECONDS, until


class Squares:
    """Commits squares, one batch at a time, when it is let go."""

    def __init__(self) -> None:
        self.fail: Callable[[], list[int | Exception]] | None = None
        self.batches: list[list[int]] = []
        self.is_let_go = threading.Event()
        self.has_begun = threading.Event()

    def commit(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(numbers))
        self.has_begun.set()
        assert self.is_let_go.wait(120)
        if self.fail is not None:
            fail, self.fail = self.fail, None
            return fail()
        return [number**2 if number >= 0 else ValueError(f"{number} is mine") for number in numbers]

    async def begin(self) -> None:
        assert await asyncio.to_thread(self.has_begun.wait, 10)


@pytest.fixture
def squares() -> Squares:
    return Squares()


@pytest.fixture
def group(squares: Squares) -> Iterator[GroupCommit[int, int]]:
    group = GroupCommit[int, int]("squares", squares.commit)
    yield group
    squares.is_let_go.set()
    group.close()


async def submit(group: GroupCommit[int, int], *numbers: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(group.submit(number)) for number in numbers]
    await asyncio.sleep(0)
    return tasks


async def test_items_that_come_during_a_commit_share_the_next(
    group: GroupCommit[int, int], squares: Squares
) -> None:
    first = await submit(group, 1)
    await squares.begin()
    others = await submit(group, 2, 3, 4)
    assert group.count_waiting() == 3
    squares.is_let_go.set()
    assert await asyncio.gather(*first, *others) == [1, 4, 9, 16]
    assert squares.batches == [[1], [2, 3, 4]]


async def test_transaction_has_a_limit(group: GroupCommit[int, int], squares: Squares) -> None:
    tasks = await submit(group, 0)
    await squares.begin()
    tasks += await submit(group, *range(MAX_BATCH + 1))
    squares.is_let_go.set()
    await asyncio.gather(*tasks)
    assert [len(batch) for batch in squares.batches] == [1, MAX_BATCH, 1]


async def test_items_that_come_before_a_transaction_has_its_lock_are_in_it() -> None:
    has_begun, has_lock = threading.Event(), threading.Event()
    batches: list[list[int]] = []

    def commit(numbers: Batch[int, int]) -> list[int]:
        has_begun.set()
        assert has_lock.wait(120)
        numbers.fill()
        batches.append(list(numbers))
        return [number**2 for number in numbers]

    group = GroupCommit[int, int]("squares", commit)
    tasks = await submit(group, 0)
    assert await asyncio.to_thread(has_begun.wait, 120)
    gone, *others = await submit(group, -1, *range(1, MAX_BATCH + 1))
    gone.cancel()
    await asyncio.wait([gone])
    has_lock.set()
    assert await asyncio.gather(*tasks, *others) == [number**2 for number in range(MAX_BATCH + 1)]
    assert batches == [list(range(MAX_BATCH)), [MAX_BATCH]]
    await asyncio.to_thread(group.close)


async def test_error_of_one_is_its_own(group: GroupCommit[int, int], squares: Squares) -> None:
    (first,) = await submit(group, 0)
    await squares.begin()
    bad, good = await submit(group, -2, 2)
    squares.is_let_go.set()
    assert (await first, await good) == (0, 4)
    with pytest.raises(ValueError, match="-2 is mine"):
        await bad


def find_full_disk() -> list[int | Exception]:
    raise OSError("disk full")


@pytest.mark.parametrize(
    ("fail", "error", "message"),
    [
        (find_full_disk, OSError, "disk full"),
        (sys.exit, RuntimeError, "squares was interrupted: SystemExit"),
        (list, RuntimeError, "squares returned 0 results for 1 items"),
    ],
)
async def test_commit_that_fails_is_nobody_s_success_and_the_next_one_is_tried(
    fail: Callable[[], list[int | Exception]],
    error: type[Exception],
    message: str,
    group: GroupCommit[int, int],
    squares: Squares,
) -> None:
    squares.fail = fail
    squares.is_let_go.set()
    with pytest.raises(error, match=message):
        await group.submit(4)
    assert await group.submit(5) == 25


async def test_item_that_nobody_waits_for_any_more_is_left_out(
    group: GroupCommit[int, int], squares: Squares
) -> None:
    (under_way,) = await submit(group, 0)
    await squares.begin()
    gone, other = await submit(group, 2, 3)
    for task in (under_way, gone):
        task.cancel()
    await asyncio.wait((under_way, gone))
    squares.is_let_go.set()
    assert await other == 9
    assert squares.batches == [[0], [3]]


async def test_thread_that_cannot_be_started_fails_its_item_and_no_later_one(squares: Squares) -> None:
    refused: list[str] = []

    def start_second_time(name: str, run: Callable[[], None]) -> threading.Thread:
        if not refused:
            refused.append(name)
            raise RuntimeError("can't start new thread")
        return start_daemon(name, run)

    squares.is_let_go.set()
    group = GroupCommit[int, int]("squares", squares.commit, start_thread=start_second_time)
    with pytest.raises(RuntimeError, match="new thread"):
        await group.submit(1)
    assert await group.submit(6) == 36
    assert squares.batches == [[6]]
    group.close()


async def test_closing_commits_what_was_submitted_and_then_refuses(squares: Squares) -> None:
    group = GroupCommit[int, int]("squares", squares.commit)
    squares.is_let_go.set()
    (waiting,) = await submit(group, 6)
    await asyncio.to_thread(group.close)
    assert await waiting == 36
    with pytest.raises(RuntimeError, match="squares is closed"):
        await group.submit(7)


def test_group_that_was_never_used_has_no_thread_to_wait_for(squares: Squares) -> None:
    def refuse(name: str, run: Callable[[], None]) -> threading.Thread:
        raise AssertionError(name)

    GroupCommit[int, int]("squares", squares.commit, start_thread=refuse).close()


async def test_results_are_given_before_what_comes_after(squares: Squares) -> None:
    seen: list[Sequence[int | Exception]] = []
    is_answered = threading.Event()

    def look(results: Sequence[int | Exception]) -> None:
        assert is_answered.wait(120)
        seen.append(results)

    squares.is_let_go.set()
    group = GroupCommit[int, int]("squares", squares.commit, after=look)
    assert await group.submit(3) == 9
    is_answered.set()
    await asyncio.to_thread(group.close)
    assert seen == [[9]]


async def test_fault_after_a_commit_is_logged_and_ends_nothing(
    squares: Squares, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(results: Sequence[int | Exception]) -> None:
        raise KeyError("what was committed")

    squares.is_let_go.set()
    group = GroupCommit[int, int]("squares", squares.commit, after=fail)
    assert [await group.submit(number) for number in (1, 2)] == [1, 4]
    await asyncio.to_thread(group.close)
    assert [message.partition(" at ")[0] for message in caplog.messages] == [
        "squares failed after a commit: KeyError"
    ]


class FaultyLoop(asyncio.SelectorEventLoop):
    """Has no memory left for some answers."""

    faults = 0

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        if self.faults and threading.current_thread().name == "squares":
            self.faults -= 1
            raise MemoryError
        return super().call_soon_threadsafe(callback, *args, context=context)


@pytest.mark.parametrize("faults", [1, 2])
def test_answer_for_which_there_is_no_memory_ends_no_later_one(
    faults: int, group: GroupCommit[int, int], squares: Squares
) -> None:
    squares.is_let_go.set()
    loop = FaultyLoop()

    async def use() -> None:
        loop.faults = faults
        (first,) = await submit(group, 3)
        await until(lambda: not loop.faults, "the faults")
        assert await asyncio.wait_for(group.submit(5), LIMIT_SECONDS) == 25
        if faults == 1:
            assert await first == 9
        first.cancel()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(use())


async def test_thread_that_has_ended_is_replaced(squares: Squares) -> None:
    started: list[threading.Thread] = []

    def start_once_for_nothing(name: str, run: Callable[[], None]) -> threading.Thread:
        thread = start_daemon(name, run if started else lambda: None)
        if not started:
            thread.join()
        started.append(thread)
        return thread

    squares.is_let_go.set()
    group = GroupCommit[int, int]("squares", squares.commit, start_thread=start_once_for_nothing)
    (first,) = await submit(group, 3)
    assert await group.submit(4) == 16
    assert await first == 9
    await asyncio.to_thread(group.close)
    assert len(started) == 2


def test_one_group_serves_several_event_loops(group: GroupCommit[int, int], squares: Squares) -> None:
    squares.is_let_go.set()
    found: list[int] = []

    async def submit_some(first: int) -> None:
        found.extend(await asyncio.gather(*(group.submit(first + number) for number in range(10))))

    threads = [threading.Thread(target=asyncio.run, args=(submit_some(first),)) for first in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [number**2 for number in range(30)]
