"""Responses are not stored on their way, unless they say otherwise."""

from __future__ import annotations

import httpx
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_provider_pushmetrics.serving.headers import NoStore


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"Cache-Control": "max-age=60"} if scope["path"] == "/page" else None
    await Response(headers=headers)(scope, receive, send)


async def fetch_cache_control(path: str) -> str:
    transport = httpx.ASGITransport(NoStore(answer))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        return (await client.get(path)).headers["Cache-Control"]


async def test_response_is_not_stored_by_default() -> None:
    assert await fetch_cache_control("/token") == "no-store"


async def test_response_that_says_otherwise_keeps_its_words() -> None:
    assert await fetch_cache_control("/page") == "max-age=60"
