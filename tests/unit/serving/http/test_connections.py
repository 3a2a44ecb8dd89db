from __future__ import annotations

import asyncio
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_pushmetrics.serving.http.connections import (
    REQUEST_DEADLINE_SECONDS,
    JoinedWrites,
    LimitedProtocol,
    LimitedState,
    build_config,
    group_address,
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

    def get_write_buffer_size(self) -> int:
        return 0


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


class Late(LimitedProtocol):
    """A connection since a moment, without a server around it."""

    def __init__(
        self, since: float | None, *, is_in_body: bool = False, started: bool = False, complete: bool = False
    ) -> None:
        self._arriving_since = since
        self._is_in_body = is_in_body
        self.pipeline = deque()
        self.cycle = SimpleNamespace(response_started=started, response_complete=complete)  # type: ignore[assignment]
        self.fake = Transport()
        self.transport = self.fake  # type: ignore[assignment]


def test_connection_is_late_after_the_deadline_and_not_while_it_waits_or_rests() -> None:
    now = 1000.0
    late, body = Late(now - REQUEST_DEADLINE_SECONDS - 1, complete=True), Late(0.0, is_in_body=True)
    early, resting = Late(now - REQUEST_DEADLINE_SECONDS + 1), Late(None)
    sweep([late, body, early, resting, object()], now)
    assert [found.fake.is_closed for found in (late, body, early, resting)] == [True, True, False, False]
    assert late.fake.written[0].startswith(b"HTTP/1.1 408 ")
    assert body.fake.written == late.fake.written
    sweep([late], now)
    assert len(late.fake.written) == 1


@pytest.mark.parametrize(
    "late",
    [
        Late(0.0, is_in_body=True, started=True),  # the app answers before it has the body
        Late(0.0, started=True),  # the head of another request, while a response is sent
    ],
    ids=["body", "head"],
)
def test_nothing_is_written_into_the_response_of_the_app(late: Late) -> None:
    sweep([late], 1000.0)
    assert (late.fake.is_closed, late.fake.written) == (True, [])


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_connections_are_counted_by_address_and_by_network_of_ipv6(address: str, group: str) -> None:
    assert group_address((address, 1)) == group
    assert group_address(None) == ""


def test_limit_counts_what_is_open() -> None:
    state, mine, other = LimitedState(2), ("10.0.0.1", 1), ("10.0.0.2", 1)
    assert [state.add(mine), state.add(mine), state.add(mine), state.add(other)] == [True, True, False, True]
    state.remove(mine)
    assert state.add(mine) is False
    state.remove(mine)
    state.remove(mine)
    assert state.add(mine) is True
    assert all(state.add(None) for _ in range(5)), "a Unix socket has no address"
    assert all(LimitedState(0).add(mine) for _ in range(5))


@pytest.mark.parametrize(
    ("trusted_proxies", "client"),
    [
        ("", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7"),
        ("10.0.0.2", "10.0.0.1"),
        ("10.0.0.2,10.0.0.0/24", "192.0.2.7"),
    ],
)
async def test_forwarded_addresses_are_believed_from_named_proxies_only(
    trusted_proxies: str, client: str
) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"][0])

    config = build_config(app, lifespan="off", graceful_seconds=1, trusted_proxies=trusted_proxies)
    config.load()
    headers = [(b"x-forwarded-for", b"192.0.2.7")]
    scope = {"type": "http", "scheme": "http", "client": ("10.0.0.1", 1), "headers": headers}
    await config.loaded_app(scope, None, None)
    assert seen == [client]
