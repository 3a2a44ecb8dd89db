"""Answers with the pieces of a result, to clients that leave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message

from airflow_provider_pushmetrics.service.api.conventions.files import ResultResponse, answer_file
from airflow_provider_pushmetrics.service.results.store import ResultStore

MEDIA_TYPE = "application/x-ndjson"


class Pieces:
    """The pieces of a result; remembers in which thread they were closed."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.closed_in: list[threading.Thread] = []

    def __iter__(self) -> Generator[bytes, None, None]:
        try:
            for number in range(self.count):
                yield b"%d" % number
        finally:
            self.closed_in.append(threading.current_thread())


async def answer(pieces: Pieces, spec_version: str, leaves_after: int | None = None) -> list[bytes]:
    """Answer to a client that leaves after some pieces; give what it got."""
    response = ResultResponse(iter(pieces), media_type=MEDIA_TYPE, headers={})
    return await send_to_client(response, spec_version, leaves_after)


async def send_to_client(
    response: Response, spec_version: str, leaves_after: int | None = None
) -> list[bytes]:
    got, gone = list[bytes](), asyncio.Event()

    async def send(message: Message) -> None:
        got.append(message.get("body", b""))
        if leaves_after is not None and len(got) > leaves_after:
            if spec_version >= "2.4":
                raise OSError
            gone.set()
            await asyncio.Event().wait()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    scope = {"type": "http", "asgi": {"spec_version": spec_version}}
    with suppress(ClientDisconnect):
        await response(scope, receive, send)
    return got


async def test_client_that_leaves_makes_no_other_request_wait_for_what_was_read_ahead() -> None:
    for spec_version in ("2.3", "2.4"):
        pieces = Pieces(100)
        assert await answer(pieces, spec_version, leaves_after=2) == [b"", b"0", b"1"]
        (thread,) = pieces.closed_in
        assert thread is not threading.current_thread()


async def test_client_gets_all_pieces() -> None:
    pieces = Pieces(3)
    assert await answer(pieces, "2.3") == [b"", b"0", b"1", b"2", b""]
    assert len(pieces.closed_in) == 1


async def test_file_that_is_deleted_before_its_answer_begins_is_sent_to_its_end(tmp_path: Path) -> None:
    store, name, content = ResultStore(tmp_path), "run-1/a.parquet", b"rows" * 200_000
    store.write_bytes(name, content)
    found = store.find(name)
    assert found is not None
    request = Request({"type": "http", "method": "GET", "headers": []})
    response = answer_file(request, found, MEDIA_TYPE, {"ETag": '"1"'})
    store.delete([name])
    assert b"".join(await send_to_client(response, "2.3")) == content
