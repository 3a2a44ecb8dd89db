"""Whatever is sent to the receiver: no fault of ours, and no answer but those that its description names."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance
from starlette.applications import Starlette

from tests.fakes.receiver_requests import SIGNING_SECRET, build_signed_headers
from tests.fakes.receiver_server import READER_TOKEN, SENDER_TOKEN, ReceiverServer, start_receiver
from tests.fakes.waiting import LIMIT_SECONDS
from tests.integration.receiver.description import DESCRIPTION, PATHS

EXAMPLES = int(os.environ.get("PUSHMETRICS_FUZZ_EXAMPLES", "6"))
"""For each operation; the variable asks for a longer run."""

SCHEMA: Any = schemathesis.openapi.from_dict(DESCRIPTION)
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def server() -> Iterator[ReceiverServer]:
    with (
        tempfile.TemporaryDirectory(prefix="pm-") as folder,
        start_receiver(
            f"sqlite:///{folder}/inbox.db", "--no-access-log", "--signing-secret", SIGNING_SECRET
        ) as server,
    ):
        for number in range(3):
            httpx.post(
                server.delivery_url, json={"event": "x", "number": number}, timeout=LIMIT_SECONDS
            ).raise_for_status()
        yield server


def test_every_route_is_described(app: Starlette) -> None:
    served = {
        (getattr(route, "path", ""), method.lower())
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method != "HEAD"
    }
    assert served == {(path, method) for path, methods in PATHS.items() for method in methods}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_answer_is_one_that_the_description_names(operation: Any, server: ReceiverServer) -> None:
    token = SENDER_TOKEN if operation.path.startswith("/webhooks") else READER_TOKEN

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(case: Any) -> None:
        answer = case.call(base_url=server.url, headers={"Authorization": f"Bearer {token}"})
        case.validate_response(answer, checks=CHECKS)

    send()


EVENT = b'{"event": "x"}'
JSON = ("content-type", "application/json")
HOSTILE: dict[str, tuple[bytes, list[tuple[str, str | bytes]]]] = {
    "NUL": (b'{"event": "x", "t": "\x00"}', [JSON]),
    "escaped NUL": (b'{"event": "x\\u0000"}', [JSON]),
    "lone surrogate": (b'{"event": "x", "t": "\\ud800"}', [JSON]),
    "surrogate in UTF-8": (b'{"event": "x", "t": "\xed\xa0\x80"}', [JSON]),
    "64 deep and one": (b'{"event": "x", "t": ' + b"[" * 64 + b"]" * 64 + b"}", [JSON]),
    "100,000 deep": (b'{"event": "x", "t": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", [JSON]),
    "1e400": (b'{"event": "x", "n": 1e400}', [JSON]),
    "5,000 digits": (b'{"event": "x", "n": ' + b"9" * 5000 + b"}", [JSON]),
    "NaN": (b'{"event": "x", "n": NaN}', [JSON]),
    "duplicate keys": (b'{"event": "x", "event": 7}', [JSON]),
    "byte order mark": (b"\xef\xbb\xbf" + EVENT, [JSON]),
    "UTF-16": (EVENT.decode().encode("utf-16"), [JSON]),
    "empty": (b"", [JSON]),
    "array": (b"[]", [JSON]),
    "gzip, said": (gzip.compress(EVENT), [JSON, ("content-encoding", "gzip")]),
    "gzip, not said": (gzip.compress(EVENT), [JSON]),
    "another content type": (EVENT, [("content-type", "application/xml")]),
    "content type that is none": (EVENT, [("content-type", b"\xff\xfe; =")]),
    "two webhook-id": (EVENT, [JSON, ("webhook-id", "a"), ("webhook-id", "b")]),
    "headers that are not ASCII": (
        EVENT,
        [JSON, ("webhook-signature", b"v1,\xc3\xa9"), ("webhook-id", b"\xff")],
    ),
    "timestamp of 400 digits": (
        EVENT,
        [JSON, ("webhook-signature", "v1,x"), ("webhook-timestamp", "9" * 400)],
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("proof", ["token", "signature"])
def test_hostile_delivery_is_refused_or_kept_and_can_be_read(
    name: str, proof: str, server: ReceiverServer
) -> None:
    body, headers = HOSTILE[name]
    if proof == "signature":
        signed = build_signed_headers(f"msg_{abs(hash(name))}", body)
        del signed["content-type"]
        headers = [*headers, *signed.items()]
    else:
        headers = [*headers, ("authorization", f"Bearer {SENDER_TOKEN}")]
    raw = [(key.encode(), value if isinstance(value, bytes) else value.encode()) for key, value in headers]
    answer = httpx.post(f"{server.url}/webhooks/demo", content=body, headers=raw, timeout=LIMIT_SECONDS)
    ingest = next(operation for operation in OPERATIONS if operation.path == "/webhooks/{source}")
    ingest.Case(path_parameters={"source": "demo"}).validate_response(answer, checks=CHECKS)
    if answer.status_code in (200, 202):
        with server.open_reader() as reader:
            json.loads(reader.get(f"/events/{answer.json()['id']}").content)
