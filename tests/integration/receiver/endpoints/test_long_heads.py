"""
Heads of requests without a limit, as Airflow's API server passes them on.

Their sizes would take hours if the time were not proportional to them.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Message, Scope

from airflow_provider_pushmetrics.receiver.endpoints.paths import MAX_READ_PATH_LENGTH
from tests.fakes.receiver_requests import DELIVERY_URL
from tests.fakes.receiver_server import SENDER_TOKEN

MOUNTED_AT = "/pushmetrics"
PATH, _, QUERY = DELIVERY_URL.partition("?")
MEBIBYTE = 1024 * 1024
HALF_TOKENS = ("-eyJ", "eyJ", "-eyJaaaaa", "eyJ.", "Bearer ", "pmpat_", "://", "?token=", "a1-")


@pytest.fixture
def inbox_url(sqlite_url: str) -> str:
    return sqlite_url


async def post(
    app: Starlette, path: str, *, query: bytes = b"", headers: Iterable[tuple[bytes, bytes]] = ()
) -> int:
    """Send a webhook to the mounted receiver; return the status of the response."""
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": MOUNTED_AT + path,
        "root_path": "",
        "query_string": query,
        "headers": list(headers),
        "client": ("192.0.2.1", 5000),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b'{"event": "ping"}', "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await Starlette(routes=[Mount(MOUNTED_AT, app)])(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("unit", HALF_TOKENS)
async def test_path_of_megabytes_is_refused(app: Starlette, unit: str) -> None:
    long = unit.replace("/", "") * (2 * MEBIBYTE // len(unit))
    assert await post(app, f"/webhooks/{long}") == 401
    assert await post(app, f"/unknown/{long}") == 404
    stored = app.state.runtime.rejections.drain()
    assert [entry.source for entry in stored] == ["***", ""]
    assert stored[1].reason == "no such path: /pushmetrics/unknown/***"


async def test_secret_in_a_long_path_is_never_shown_in_part(app: Starlette) -> None:
    before = "/" + "/".join(["abcdefghijklmnopqrstuvwxyz"] * 500)
    for cut in range(1, len(SENDER_TOKEN)):
        path = before[: MAX_READ_PATH_LENGTH - len(MOUNTED_AT) - cut - 1] + "/" + SENDER_TOKEN
        assert await post(app, path) == 404
    assert not any(SENDER_TOKEN[:3] in entry.reason for entry in app.state.runtime.rejections.drain())


async def test_half_a_million_repeated_headers_are_refused(app: Starlette) -> None:
    for name in (b"authorization", b"content-type", b"content-encoding", b"webhook-signature"):
        headers = [(name, b"application/json")] * 500_000
        assert await post(app, PATH, headers=headers) == 401
        assert await post(app, "/consumers/c", headers=headers) == 405


async def test_query_of_megabytes_has_no_token(app: Starlette) -> None:
    assert await post(app, PATH, query=QUERY.encode()) == 202
    assert await post(app, PATH, query=QUERY.encode() + b"&a=+" * MEBIBYTE) == 401
