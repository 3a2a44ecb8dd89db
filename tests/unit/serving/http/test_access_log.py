"""The line that each request gets in the log."""

from __future__ import annotations

import logging

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_provider_pushmetrics.serving.http.access_log import AccessLog, describe_path

LOGGER = "server.access"


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    path = scope["path"]
    if path == "/broken":
        raise RuntimeError("broken")
    if path != "/gone":
        await Response(status_code=418)(scope, receive, send)


async def request(path: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.set_level(logging.INFO)
    transport = httpx.ASGITransport(AccessLog(answer, LOGGER), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        try:
            await client.post(path)
        except AssertionError:
            assert path == "/gone", "httpx has no answer to give"
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


async def test_line_has_method_path_and_status_and_no_query_string(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = await request("/report/1%20forged%0AGET/webhook?token=s3cret-token", caplog)
    assert line.startswith("POST /report/1%20forged%0AGET/webhook 418 ")
    assert line.endswith(" ms")


async def test_app_that_raises_is_logged_as_500(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = await request("/broken", caplog)
    assert line.startswith("POST /broken 500 ")


async def test_request_that_nobody_answers_has_no_status(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = await request("/gone", caplog)
    assert line.startswith("POST /gone - ")


def test_logged_path_is_one_short_word_without_tokens() -> None:
    assert describe_path("/webhooks/demo") == "/webhooks/demo"
    assert describe_path("/webhooks/a\nb c\u202e") == "/webhooks/a%0Ab%20c%E2%80%AE"
    assert describe_path("/webhooks/pmpat_secret") == "/webhooks/pmpat_***"
    assert describe_path("/\udc80") == "/%3F"
    assert len(describe_path("/" * 5000)) == len(describe_path("/" + "\x00" * 5000)) == 200
