"""The limit on the size of request bodies."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request

from airflow_provider_pushmetrics.service.app import HANDLERS
from airflow_provider_pushmetrics.serving.http.body_limit import BodyLimit

LIMIT = 100


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = FastAPI(exception_handlers=HANDLERS)

    @app.post("/{path:path}")
    async def echo(request: Request) -> int:
        return len(await request.body())

    app.add_middleware(BodyLimit, max_body_bytes=LIMIT)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")


async def send_in_chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size):
        yield b"x"


async def test_body_at_the_limit_is_taken(client: httpx.AsyncClient) -> None:
    assert (await client.post("/", content=b"x" * LIMIT)).json() == LIMIT
    assert (await client.post("/", content=send_in_chunks(LIMIT))).json() == LIMIT


async def test_body_over_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/", content=b"x" * (LIMIT + 1))
    assert answer.status_code == 413
    assert answer.json() == {"message": "The body is too large: at most 100 bytes are accepted"}


async def test_body_without_length_over_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/", content=send_in_chunks(LIMIT + 1))
    assert answer.status_code == 413
    assert "too large" in answer.json()["message"]


@pytest.mark.parametrize("length", ["9" * 5000, "9" * 18])
async def test_absurd_length_is_refused(client: httpx.AsyncClient, length: str) -> None:
    answer = await client.post("/", content=b"x", headers={"Content-Length": length})
    assert answer.status_code == 413
