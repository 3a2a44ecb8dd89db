from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_pushmetrics.serving.http.connections import (
    REQUEST_DEADLINE_SECONDS,
    DeadlineProtocol,
    JoinedWrites,
    sweep,
)

HEAD = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n"


class Transport:
    """Remembers what was written, and whether it was closed."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


def join(transport: Any) -> JoinedWrites:
    return JoinedWrites(transport, asyncio.get_running_loop())


async def test_head_and_body_are_sent_at_once() -> None:
    transport = Transport()
    joined = join(transport)
    joined.write(HEAD)
    joined.write(b"{}")
    joined.write(b"more")
    await asyncio.sleep(0)
    assert transport.written == [HEAD + b"{}", b"more"]


async def test_head_whose_body_takes_time_is_not_held_back() -> None:
    transport = Transport()
    join(transport).write(HEAD)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert transport.written == [HEAD]


async def test_what_is_held_back_is_sent_before_the_end() -> None:
    transport = Transport()
    joined = join(transport)
    joined.write(HEAD)
    joined.close()
    assert (transport.written, transport.is_closed, joined.is_closing()) == ([HEAD], True, True)


class Late(DeadlineProtocol):
    """A connection since a moment, without a server around it."""

    def __init__(self, since: float | None, *, is_in_body: bool = False) -> None:
        self._arriving_since = since
        self._is_in_body = is_in_body
        self.fake = Transport()
        self.transport = self.fake  # type: ignore[assignment]


def test_connection_is_late_after_the_deadline_and_not_while_it_waits_or_rests() -> None:
    now = 1000.0
    late, body = Late(now - REQUEST_DEADLINE_SECONDS - 1), Late(0.0, is_in_body=True)
    early, resting = Late(now - REQUEST_DEADLINE_SECONDS + 1), Late(None)
    sweep([late, body, early, resting, object()], now)
    assert [found.fake.is_closed for found in (late, body, early, resting)] == [True, True, False, False]
    assert late.fake.written[0].startswith(b"HTTP/1.1 408 ")
    assert body.fake.written == []  # the app answers
    sweep([late], now)
    assert len(late.fake.written) == 1
