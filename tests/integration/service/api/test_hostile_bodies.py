"""Whatever body is sent to whatever route: an answer of ours, and never a fault."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.fakes.service_reports import TRIGGER_TOKEN, text
from tests.integration.service.conftest import Api, open_client

JSON = "application/json"

HOSTILE_TEXTS = (
    r'"\u0000"',
    r'"\ud800"',
    r'"\udfff\ud800"',
    '"' + "x" * 100_000 + '"',
    '""',
    r'"\u202e\ufeff"',
)
HOSTILE_VALUES = (
    *HOSTILE_TEXTS,
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
    "9" * 400,
    "-1",
    "[]",
    "{}",
    "null",
    "true",
    "[" * 65 + "]" * 65,
    '{"a":' * 65 + "1" + "}" * 65,
    r'{"\u0000": "\ud800"}',
    r'["\u0000", "\ud800", 1e400]',
)

WHOLE_BODIES = (
    b"",
    b" ",
    b"[]",
    b"null",
    b"1",
    b'"text"',
    b"{",
    b"\x00",
    b"\xff\xfe\xfd",
    b"\xef\xbb\xbf{}",
    b'{"name": "a", "name": "b"}',
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "{}".encode("utf-16"),
    '{"name": "é"}'.encode("latin-1"),
    gzip.compress(b"{}"),
    b"1" * 5000,
)

HEADERS: tuple[dict[str, bytes], ...] = (
    {"Content-Type": b"text/plain"},
    {"Content-Type": b"application/xml; charset=nope"},
    {"Content-Type": b""},
    {"Content-Type": b"application/json; charset=utf-16"},
    {"Content-Type": b"application/json", "Content-Encoding": b"gzip"},
    {"Content-Type": b"multipart/form-data; boundary=x"},
    {"Content-Type": b"\xff\xe9", "Idempotency-Key": b"\xe9\xff", "Accept": b"\xff/*"},
    {"Content-Type": b"application/json", "Idempotency-Key": b"k" * 5000},
)


SHARES = (14, pytest.param(1, marks=pytest.mark.slow))
"""One of so many bodies is sent to each route, the next one another; and all of them."""


@pytest.fixture
async def attacker(app: FastAPI, api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that sees a fault of the service as its users do: as status 500."""
    async with open_client(app, raises=False) as client:
        yield client


def list_targets(app: FastAPI, report_id: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """List all routes that change something, with the fields of their bodies."""
    document = app.openapi()
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method in {"post", "put"} & set(methods):
            content = methods[method].get("requestBody", {}).get("content", {})
            schema = content.get(JSON, {}).get("schema", {})
            schema = next((one for one in schema.get("anyOf", ()) if "$ref" in one), schema)
            named = schemas.get(schema.get("$ref", "").rpartition("/")[2], {})
            examples = {
                name: next(iter(field.get("examples", ())), None)
                for name, field in named.get("properties", {}).items()
            }
            number = str(report_id) if "/report/" in path else "1"
            url = re.sub(r"\{[^}]*\}", number, path)
            yield (
                method.upper(),
                f"{url}?token={TRIGGER_TOKEN}" if path.endswith("/webhook") else url,
                examples,
            )


def make_light_report(api: Api) -> int:
    """Make a report that runs in no time, for some bodies start runs."""
    return api.make_report(note=text("hello")).id


async def send(
    client: httpx.AsyncClient, method: str, url: str, body: bytes, headers: dict[str, bytes]
) -> str | None:
    """Send a body, and give what was wrong with the answer."""
    answer = await client.request(
        method, url, content=body, headers=[(name.encode(), value) for name, value in headers.items()]
    )
    if answer.status_code < 500:
        return None
    return f"{method} {url.partition('?')[0]}: {answer.status_code} for {body[:80]!r} {headers}"


@pytest.mark.parametrize("share", SHARES)
async def test_no_body_and_no_header_is_a_fault(
    attacker: httpx.AsyncClient, app: FastAPI, api: Api, share: int
) -> None:
    targets = list(list_targets(app, make_light_report(api)))
    assert len(targets) > 35
    sent = [
        *((body, {"Content-Type": JSON.encode()}) for body in WHOLE_BODIES),
        *((b'{"name": "x"}', headers) for headers in HEADERS),
    ]
    requests = [(method, url, *one) for method, url, _ in targets for one in sent][::share]
    found = [await send(attacker, *request) for request in requests]
    assert [fault for fault in found if fault] == []


@pytest.mark.parametrize("share", SHARES)
async def test_no_value_of_a_field_is_a_fault(
    attacker: httpx.AsyncClient, app: FastAPI, api: Api, share: int
) -> None:
    requests = []
    for method, url, examples in list_targets(app, make_light_report(api)):
        given = {name: json.dumps(value) for name, value in examples.items() if value is not None}
        for field in examples or ("any",):
            for value in HOSTILE_VALUES:
                body = ",".join(f"{json.dumps(name)}:{one}" for name, one in {**given, field: value}.items())
                headers = {"Content-Type": JSON.encode()}
                requests.append((method, url, f"{{{body}}}".encode(), headers))
    assert len(requests) > 1000
    found = [await send(attacker, *request) for request in requests[::share]]
    assert [fault for fault in found if fault] == []
