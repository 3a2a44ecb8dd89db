"""Deliveries as senders and proxies send them: other paths, other content types, several credentials."""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from airflow_provider_pushmetrics.receiver.app import ReceiverApp, create_app
from airflow_provider_pushmetrics.receiver.endpoints.access import Access, Ages
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings, SourceSettings
from tests.fakes.receiver_server import READER_TOKEN, SENDER_TOKEN

BODY = {"event": "report.run", "report_id": 1}
LENIENT_TOKEN = "lenient+token/0123456789"
SOURCES = (
    SourceSettings("demo", token=SENDER_TOKEN),
    SourceSettings("lenient", token=LENIENT_TOKEN, lenient_content_type=True),
)
READER = {"authorization": f"Bearer {READER_TOKEN}"}


@pytest.fixture(name="receiver")
def make_receiver(sqlite_url: str) -> Iterator[ReceiverApp]:
    app = create_app(ReceiverSettings(sqlite_url, SOURCES, READER_TOKEN))
    yield app
    app.state.runtime.close()


def open_client(app: Any, root_path: str = "") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, root_path=root_path)
    return httpx.AsyncClient(transport=transport, base_url="http://receiver")


@pytest.fixture(name="client")
async def connect(receiver: ReceiverApp) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(receiver) as client:
        yield client


async def fetch_rejections(client: httpx.AsyncClient, count: int) -> list[dict[str, Any]]:
    """Wait until the inbox has kept what was refused."""
    for _ in range(2400):
        found: list[dict[str, Any]] = (await client.get("/rejections", headers=READER)).json()["rejections"]
        if len(found) >= count:
            return found
        await asyncio.sleep(0.05)
    raise TimeoutError("the refused deliveries were not kept")


# Paths


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/demo/",
        "//webhooks/demo",
        "/webhooks//demo",
        "/pushmetrics/webhooks/demo",
        "/a/b/webhooks/demo/",
    ],
)
async def test_a_delivery_is_taken_whatever_slashes_and_prefix_its_path_has(
    client: httpx.AsyncClient, path: str
) -> None:
    url = httpx.URL("http://receiver").copy_with(raw_path=f"{path}?token={SENDER_TOKEN}".encode())
    assert (await client.post(url, json=BODY)).status_code == 202
    (event,) = (await client.get("/events", headers=READER)).json()["events"]
    assert event["source"] == "demo"


@pytest.mark.parametrize("is_cut", [True, False])
async def test_a_mounted_receiver_is_reached_whether_the_proxy_cuts_its_prefix_or_not(
    receiver: ReceiverApp, is_cut: bool
) -> None:
    outer = Starlette(routes=[Mount("/pushmetrics", receiver)])
    prefix = "" if is_cut else "/airflow"
    async with open_client(outer, root_path="/airflow") as client:
        url = f"{prefix}/pushmetrics/webhooks/demo?token={SENDER_TOKEN}"
        assert (await client.post(url, json=BODY)).status_code == 202
        answer = await client.get(f"{prefix}/pushmetrics/cursor", headers=READER)
        assert answer.json() == {"cursor": 1}


async def test_a_path_that_is_no_delivery_is_404_and_recorded_without_its_token(
    client: httpx.AsyncClient,
) -> None:
    paths = ["/webhook/demo", "/webhooks", f"/webhooks/demo/{SENDER_TOKEN}", "/", f"/{SENDER_TOKEN}/demo/"]
    for path in paths:
        answer = await client.post(path, params={"token": SENDER_TOKEN}, json=BODY)
        assert (answer.status_code, answer.json()) == (404, {"message": "Not Found."})
    rejections = await fetch_rejections(client, len(paths))
    assert [row["reason"] for row in reversed(rejections)] == [
        "no such path: /webhook/demo",
        "no such path: /webhooks",
        "no such path: /webhooks/demo/***",
        "no such path: /",
        "no such path: /***/demo/",
    ]
    assert {(row["status"], row["outcome"]) for row in rejections} == {(404, "not_found")}
    assert SENDER_TOKEN not in json.dumps(rejections)
    metrics = (await client.get("/metrics", headers=READER)).text
    assert f'deliveries_total{{outcome="not_found"}} {len(paths)}' in metrics


@pytest.mark.parametrize("secret", [SENDER_TOKEN, READER_TOKEN, "an-older-token-0123456789"])
async def test_a_token_in_the_place_of_the_source_is_not_recorded(
    client: httpx.AsyncClient, secret: str
) -> None:
    assert (await client.post(f"/webhooks/{secret}", json=BODY)).status_code == 401
    (row,) = await fetch_rejections(client, 1)
    assert (row["source"], row["reason"]) == ("***", "source")


async def test_an_unknown_source_is_recorded_as_it_was_named(client: httpx.AsyncClient) -> None:
    assert (await client.post("/webhooks/sales-té", json=BODY)).status_code == 401
    assert (await fetch_rejections(client, 1))[0]["source"] == "sales-t\\xe9"


async def test_a_delivery_by_another_method_is_recorded_and_a_look_by_a_browser_is_not(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/webhooks/demo")).status_code == 405
    assert (await client.get("/favicon.ico")).status_code == 404
    assert (await client.put("/webhooks/demo", json=BODY)).status_code == 405
    (row,) = await fetch_rejections(client, 1)
    assert (row["status"], row["reason"]) == (405, "no such path: /webhooks/demo")


async def test_what_a_reader_looks_for_in_vain_is_no_refused_delivery(client: httpx.AsyncClient) -> None:
    assert (await client.post("/events/7/replay", headers=READER)).status_code == 404
    assert 'outcome="not_found"} 0' in (await client.get("/metrics", headers=READER)).text


# Credentials


async def test_a_rotated_token_counts_without_a_restart_and_the_old_one_stops(sqlite_url: str) -> None:
    token = "old"

    def build() -> Access:
        return Access((SourceSettings("demo", token=token),), f"reader-{token}")

    settings = ReceiverSettings(sqlite_url, build().sources, build().reader_token)
    app = create_app(settings, build, ages=Ages(refresh=0.0, wait=0.0))
    async with open_client(app) as client:
        for token, other in (("old", "new"), ("new", "old")):
            assert (await client.post(f"/webhooks/demo?token={other}", json=BODY)).status_code == 401
            assert (await client.post(f"/webhooks/demo?token={token}", json=BODY)).status_code < 300
            headers = [("authorization", f"Bearer reader-{token}")]
            assert (await client.get("/cursor", headers=headers)).status_code == 200
    app.state.runtime.close()


# Content types


CONTENTS = [
    ("text/plain", b""),
    ("text/plain; charset=utf-8", b""),
    ("application/json, application/json", b""),
    ("application/json", codecs.BOM_UTF8),
    ("text/plain", codecs.BOM_UTF8),
]


@pytest.mark.parametrize(("content_type", "prefix"), CONTENTS)
async def test_a_lenient_source_may_mislabel_its_json(
    client: httpx.AsyncClient, content_type: str, prefix: bytes
) -> None:
    content, headers = prefix + json.dumps(BODY).encode(), {"content-type": content_type}
    strict = await client.post(f"/webhooks/demo?token={SENDER_TOKEN}", content=content, headers=headers)
    assert strict.status_code in (400, 415)
    assert "lenient_content_type" in strict.json()["message"]
    url = httpx.URL("http://receiver").copy_with(raw_path=f"/webhooks/lenient?token={LENIENT_TOKEN}".encode())
    answers = [await client.post(url, content=content, headers=headers) for _ in range(2)]
    assert [answer.json()["outcome"] for answer in answers] == ["accepted", "duplicate"]
    (event,) = (await client.get("/events", headers=READER)).json()["events"]
    assert event["body"] == BODY


async def test_two_content_type_headers_count_as_one_list(client: httpx.AsyncClient) -> None:
    async def send(source: str, token: str, *types: str) -> int:
        url = httpx.URL("http://receiver").copy_with(raw_path=f"/webhooks/{source}?token={token}".encode())
        headers = [("content-type", name) for name in types]
        return (await client.post(url, content=json.dumps(BODY), headers=headers)).status_code

    assert await send("demo", SENDER_TOKEN, "application/json", "application/json") == 415
    assert await send("demo", SENDER_TOKEN, "application/json", "text/html") == 415
    assert await send("lenient", LENIENT_TOKEN, "application/json", "application/json") == 202
    assert await send("lenient", LENIENT_TOKEN, "application/json", "text/html") == 415


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/html", "application/json, text/html", ","]
)
async def test_a_lenient_source_sends_json_all_the_same(client: httpx.AsyncClient, content_type: str) -> None:
    url = httpx.URL("http://receiver").copy_with(raw_path=f"/webhooks/lenient?token={LENIENT_TOKEN}".encode())
    headers = {"content-type": content_type}
    refused = await client.post(url, content=json.dumps(BODY), headers=headers)
    assert refused.status_code == 415
    assert "lenient_content_type" not in refused.json()["message"]  # it is set, and would not help
    headers = {"content-type": "text/plain"}
    assert (await client.post(url, content="event=report.run", headers=headers)).status_code == 400
