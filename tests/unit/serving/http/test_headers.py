"""``Authorization`` and ``Accept`` as clients write them, and the default of ``Cache-Control``."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_provider_pushmetrics.serving.http.headers import (
    MAX_CREDENTIAL_BYTES,
    NoStore,
    parse_accept,
    parse_bearer,
)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (b"Bearer abc", b"abc"),
        (b"bearer  abc ", b"abc"),
        (b"BEARER a b", b"a b"),  # no token that is issued has a space, and none is equal to it
        (b"Bearer \xc3\xa4", b"\xc3\xa4"),
        (b"Basic abc", None),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"Bearer\tabc", None),
        (b"Bearerabc", None),
        (b"Bearer " + b"a" * MAX_CREDENTIAL_BYTES, None),
        (b"", None),
    ],
)
def test_bearer_token_is_read(header: bytes, token: bytes | None) -> None:
    assert parse_bearer(header) == token


@given(st.binary(max_size=50))
def test_bearer_token_is_never_empty(header: bytes) -> None:
    assert parse_bearer(header) != b""


def test_most_specific_range_counts() -> None:
    accept = parse_accept("text/*;q=0.5, text/html;level=1;q=0.7, */*;q=0.1")
    weights = [accept.get_weight(name) for name in ("text/html", "text/csv", "image/png")]
    assert weights == [0.7, 0.5, 0.1]
    assert accept.get_named_weight("text/html") == 0.7
    assert accept.get_named_weight("text/csv") == 0.0


@pytest.mark.parametrize("weight", ["nan", "inf", "-1", "1.1", "much", ""])
def test_weight_that_makes_no_sense_is_zero(weight: str) -> None:
    assert parse_accept(f"text/html;q={weight}").get_weight("text/html") == 0.0


def test_first_of_equal_ranges_counts() -> None:
    assert parse_accept("text/csv;q=0.2, text/csv;q=0.9").get_weight("text/csv") == 0.2


@pytest.mark.parametrize("header", [None, "", "  "])
def test_client_that_does_not_say_names_nothing(header: str | None) -> None:
    assert parse_accept(header).weights == {}


@given(st.text(alphabet="ab/*;,=q.019 ", max_size=80))
def test_every_weight_is_between_0_and_1(header: str) -> None:
    assert all(0 <= weight <= 1 for weight in parse_accept(header).weights.values())


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
