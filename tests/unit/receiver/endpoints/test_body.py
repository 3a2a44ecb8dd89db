from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from airflow_provider_pushmetrics.receiver.endpoints.body import read_limited_body
from airflow_provider_pushmetrics.receiver.errors import BodyTooLarge


class Sender:
    """Sends a body in chunks, and counts how many were asked for."""

    def __init__(self, chunks: Sequence[bytes], *, stalls: bool = False) -> None:
        self._chunks = list(chunks)
        self._stalls = stalls
        self.sent = 0

    async def receive(self) -> dict[str, Any]:
        if self.sent == len(self._chunks) and self._stalls:
            await asyncio.Event().wait()
        chunk = self._chunks[self.sent]
        self.sent += 1
        has_more = self._stalls or self.sent < len(self._chunks)
        return {"type": "http.request", "body": chunk, "more_body": has_more}


async def read(sender: Sender, declared: str | None = None) -> bytes:
    header = b"" if declared is None else declared.encode("latin-1")
    return await read_limited_body(sender.receive, header, max_bytes=10)


@pytest.mark.parametrize("chunks", [[b""], [b"0123456789"], [b"01234", b"", b"56789"]])
async def test_body_up_to_the_limit_is_read_whole(chunks: list[bytes]) -> None:
    assert await read(Sender(chunks)) == b"".join(chunks)


@pytest.mark.parametrize("declared", ["11", "99999999999999999999999", "-1", "x", "²", "1_0"])
async def test_body_declared_too_large_or_not_at_all_sensibly_is_refused_unread(declared: str) -> None:
    sender = Sender([b"01234"])
    with pytest.raises(BodyTooLarge, match="larger than 10 bytes"):
        await read(sender, declared)
    assert sender.sent == 0


async def test_streamed_body_is_refused_as_soon_as_it_is_too_large() -> None:
    sender = Sender([b"01234", b"56789", b"x", b"never read"])
    with pytest.raises(BodyTooLarge):
        await read(sender, "5")
    assert sender.sent == 3


async def test_sender_that_hangs_up_is_told_apart_from_one_that_ends() -> None:
    async def hang_up() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await read_limited_body(hang_up, b"", max_bytes=10)
