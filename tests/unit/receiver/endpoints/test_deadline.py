"""How long a request may take, in all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_pushmetrics.receiver.endpoints.deadline import Deadline
from airflow_provider_pushmetrics.receiver.errors import BodyTimeout, Unavailable

SHORT, LONG = 0.01, 120.0


async def run(deadline: Deadline, *, body_arrives: bool = True, is_answered: bool = True) -> str:
    with deadline:
        await (asyncio.sleep(0) if body_arrives else asyncio.Event().wait())
        deadline.complete_body()
        await (asyncio.sleep(0) if is_answered else asyncio.Event().wait())
        return "answered"


async def test_request_in_time_is_answered() -> None:
    assert await run(Deadline(LONG)) == "answered"


async def test_body_that_stalls_is_given_up() -> None:
    with pytest.raises(BodyTimeout, match=r"within 0\.01 s"):
        await run(Deadline(SHORT, LONG), body_arrives=False)


async def test_answer_that_does_not_come_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="did not answer in time"):
        await run(Deadline(SHORT, 2 * SHORT), is_answered=False)


async def test_answer_has_more_time_than_the_body() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(Unavailable):
        await run(Deadline(SHORT, 10 * SHORT), is_answered=False)
    assert loop.time() - began >= 10 * SHORT - 0.001


async def test_answer_has_no_less_time_than_the_body() -> None:
    with pytest.raises(Unavailable):
        await run(Deadline(SHORT, 0), is_answered=False)


async def test_one_who_is_cancelled_meanwhile_is_cancelled_and_not_late() -> None:
    running = asyncio.ensure_future(run(Deadline(LONG), body_arrives=False))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_late_request_is_cancelled_as_by_asyncio_timeout() -> None:
    async def run_with_asyncio() -> None:
        async with asyncio.timeout(SHORT):
            await asyncio.Event().wait()

    async def attempt(late: asyncio.Task[Any]) -> str:
        try:
            await late
        except (TimeoutError, BodyTimeout):
            return "late"
        except asyncio.CancelledError:
            return "cancelled"
        return "answered"

    ours = await attempt(asyncio.ensure_future(run(Deadline(SHORT, LONG), body_arrives=False)))
    assert ours == await attempt(asyncio.ensure_future(run_with_asyncio()))


async def test_late_request_leaves_its_task_able_to_go_on() -> None:
    with pytest.raises(BodyTimeout):
        await run(Deadline(SHORT, LONG), body_arrives=False)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)
