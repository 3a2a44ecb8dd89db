from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from airflow_provider_pushmetrics.receiver.errors import Unavailable
from airflow_provider_pushmetrics.receiver.inbox.expiry import Expiry


async def test_answer_that_does_not_come_fails_in_time() -> None:
    expiry, answer = Expiry(0.01), asyncio.get_running_loop().create_future()
    expiry.add(answer)
    with pytest.raises(Unavailable, match="did not answer in time"):
        await answer


async def test_one_that_came_stays_as_it_is_and_a_later_one_still_fails() -> None:
    loop, expiry = asyncio.get_running_loop(), Expiry(0.01)
    came, late = loop.create_future(), loop.create_future()
    expiry.add(came)
    expiry.add(late)
    came.set_result(17)
    with pytest.raises(Unavailable):
        await late
    assert await came == 17


async def test_one_that_is_added_later_fails_later_by_the_same_timer() -> None:
    loop, expiry = asyncio.get_running_loop(), Expiry(0.05)
    first, second = loop.create_future(), loop.create_future()
    expiry.add(first)
    await asyncio.sleep(0.03)
    expiry.add(second)
    with pytest.raises(Unavailable):
        await first
    assert not second.done()
    with pytest.raises(Unavailable):
        await second


async def test_what_came_is_not_kept_while_others_are_added() -> None:
    loop, expiry = asyncio.get_running_loop(), Expiry(60)
    came = loop.create_future()
    reference = weakref.ref(came)
    expiry.add(came)
    came.set_result(b"a body")
    del came
    waits = loop.create_future()
    expiry.add(waits)
    gc.collect()
    assert reference() is None
    waits.cancel()
