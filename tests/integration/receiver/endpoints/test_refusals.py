"""What the receiver refuses, and how. No database matters here, so these run on SQLite alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, event
from starlette.applications import Starlette

from airflow_provider_pushmetrics.receiver.app import create_app
from airflow_provider_pushmetrics.receiver.endpoints.access import Access, Ages
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings, SourceSettings
from tests.fakes.receiver_requests import DELIVERY_URL, REPORT_RUN, build_signed_headers
from tests.fakes.receiver_server import READER_TOKEN, SENDER_TOKEN
from tests.integration.receiver.description import PATHS

REFUSED = {"message": "The source is unknown, or its credential was refused."}
MEBIBYTE = 1024 * 1024


@pytest.fixture
def inbox_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("/webhooks/demo", {}),
        ("/webhooks/demo?token=wrong", {}),
        (f"/webhooks/elsewhere?token={SENDER_TOKEN}", {}),
        (f"/webhooks/demo?token={READER_TOKEN}", {}),
        ("/webhooks/signed", {}),
        ("/webhooks/signed", build_signed_headers("msg_1", b"another body")),
        ("/webhooks/signed", {**build_signed_headers("msg_1", b"{}"), "webhook-signature": "garbage"}),
        ("/webhooks/demo", {"content-type": "text/plain"}),
    ],
)
async def test_every_credential_fault_is_the_same_401(
    sender: httpx.AsyncClient, reader: httpx.AsyncClient, url: str, headers: dict[str, str]
) -> None:
    answer = await sender.post(url, content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()) == (401, REFUSED)
    assert (await reader.get("/cursor")).json() == {"cursor": 0}


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"[]", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"event": 1}', "application/json", 400),
        (b"[" * 500_000, "application/json", 400),
        (b'{"event": "x", "n": NaN}', "application/json", 400),
        (b'{"event": "\\u0000"}', "application/json", 400),
        (b'{"event": "x", "t": "\\ud800"}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"event": "x"}', "text/plain", 415),
        (b'{"event": "x", "t": "\\u0000", "t": 1}', "application/json", 202),
        (b" " * (MEBIBYTE + 1), "application/json", 413),
        (b'{"event": "x"}' + b" " * (MEBIBYTE - 14), "application/json", 202),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else None,
)
async def test_bad_body_gets_its_answer_and_the_feed_goes_on(
    sender: httpx.AsyncClient, reader: httpx.AsyncClient, body: bytes, content_type: str, status: int
) -> None:
    answer = await sender.post(DELIVERY_URL, content=body, headers={"content-type": content_type})
    assert answer.status_code == status
    assert set(answer.json()) == ({"id", "outcome"} if status == 202 else {"message"})
    page = (await reader.get("/events")).json()
    assert len(page["events"]) == page["cursor"] == (1 if status == 202 else 0)


PUBLIC_PATHS = {"/webhooks/{source}", "/health/live", "/health/ready"}
READER_ROUTES = [
    (method.upper(), path.format(id=1, name="airflow"))
    for path, methods in PATHS.items()  # a test of the description holds that these are all routes
    if path not in PUBLIC_PATHS
    for method in methods
]


@pytest.mark.parametrize(("method", "path"), READER_ROUTES)
@pytest.mark.parametrize("authorization", ["", "Bearer wrong", f"Bearer {SENDER_TOKEN}", "Basic Og=="])
async def test_every_route_but_ingest_and_health_asks_for_the_reader_token(
    sender: httpx.AsyncClient, method: str, path: str, authorization: str
) -> None:
    answer = await sender.request(method, path, headers={"authorization": authorization})
    assert (answer.status_code, answer.json()) == (401, {"message": "The reader token is missing or wrong."})


async def test_health_is_public(sender: httpx.AsyncClient) -> None:
    assert (await sender.get("/health/live")).json() == {"status": "live"}
    assert (await sender.get("/health/ready")).json() == {"status": "ready"}


async def test_requests_for_readiness_share_one_check(sender: httpx.AsyncClient, app: Starlette) -> None:
    """Anybody may ask, so a thousand who ask must not take the threads of readers."""
    await app.state.runtime.get()
    statements: list[str] = []

    def record(connection: object, cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", record)
    try:
        answers = await asyncio.gather(*(sender.get("/health/ready") for _ in range(50)))
    finally:
        event.remove(Engine, "before_cursor_execute", record)
    assert {answer.status_code for answer in answers} == {200}
    assert 1 <= len(statements) < 50


async def test_receiver_that_cannot_read_its_credentials_is_not_ready(sqlite_url: str) -> None:
    def fail() -> Access:
        raise OSError("the secrets backend is away")

    ages = Ages(refresh=0.0, wait=0.0, discard=0.0)
    app = create_app(
        ReceiverSettings(sqlite_url, (SourceSettings("demo", token=SENDER_TOKEN),), READER_TOKEN),
        fail,
        ages=ages,
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
        answers = [await client.post(DELIVERY_URL, json=REPORT_RUN), await client.get("/health/ready")]
    app.state.runtime.close()
    assert [answer.status_code for answer in answers] == [503, 503]


@pytest.mark.parametrize("query", ["after=-1", "limit=x", "wait=nan", "report_id=1.5", "event=%00"])
async def test_parameter_that_cannot_be_meant_is_refused(reader: httpx.AsyncClient, query: str) -> None:
    answer = await reader.get(f"/events?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["message"]


async def test_unknown_path_and_method_are_answered_alike(sender: httpx.AsyncClient) -> None:
    missing, wrong = await sender.post("/webhooks/demo/more"), await sender.get("/webhooks/demo")
    assert (missing.status_code, missing.json()) == (404, {"message": "Not Found."})
    assert (wrong.status_code, wrong.json()) == (405, {"message": "Method Not Allowed."})


async def test_database_that_cannot_be_opened_is_503_and_not_500(tmp_path: Path) -> None:
    settings = ReceiverSettings(
        f"sqlite:///{tmp_path}/missing/inbox.db", (SourceSettings("demo", token=SENDER_TOKEN),), READER_TOKEN
    )
    transport = httpx.ASGITransport(create_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
        for answer in (
            await client.post(DELIVERY_URL, json=REPORT_RUN),
            await client.get("/events", headers={"authorization": f"Bearer {READER_TOKEN}"}),
        ):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
