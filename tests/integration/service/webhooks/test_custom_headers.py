"""Headers of a subscription, from the API to a real endpoint; and who sees what of a URL."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from airflow_provider_pushmetrics.service.maintenance.secret_keys import rotate_secrets
from airflow_provider_pushmetrics.service.models import Subscription
from airflow_provider_pushmetrics.service.webhooks.custom_headers import read_headers
from tests.fakes.service_subscriber import Subscriber, listen
from tests.fakes.waiting import until_async
from tests.integration.service.conftest import Api, open_client, read_accepted, read_result
from tests.integration.service.webhooks.test_subscriptions import (
    DELIVERIES,
    SUBSCRIPTIONS,
    is_test,
    send_test,
    wait_for_status,
)

SECRET = "header-secret-0123456789"
HEADERS = {"Authorization": f"Bearer {SECRET}", "X-Latin": "caf\u00e9"}
MASKED = {"Authorization": "***", "X-Latin": "***"}


async def subscribe(api: Api, url: str, **fields: Any) -> dict[str, Any]:
    body = {"name": "test", "url": url, "events": ["report.run"], "headers": HEADERS, **fields}
    return read_accepted(await api.client.post(f"{SUBSCRIPTIONS}/", json=body))


async def open_guest(api: Api, app: FastAPI) -> httpx.AsyncClient:
    user = {"email": "guest@example.com", "first_name": "G", "last_name": "", "roles": [3]}
    made = read_accepted(await api.client.post("/api/v1/user/?skip_welcome_email=true", json=user))
    token = read_accepted(
        await api.client.post(f"/api/v1/user/{made['id']}/access_token/", json={"name": "guest"})
    )
    return open_client(app, token.get("token") or token["result"]["token"])


async def test_headers_are_sent_and_no_answer_shows_their_values(
    api: Api, subscriber: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = await subscribe(api, subscriber.url)
    path = f"{SUBSCRIPTIONS}/{made['id']}"
    delivery_id = await send_test(api, made)
    received = subscriber.wait_for(is_test)
    assert received.headers["authorization"] == HEADERS["Authorization"]
    assert received.headers["x-latin"] == HEADERS["X-Latin"]
    received.verify(made["signing_secret"])
    await wait_for_status(api, delivery_id, "delivered")
    answers = [
        json.dumps(made),
        *[
            (await api.client.get(url)).text
            for url in (path, f"{SUBSCRIPTIONS}/", f"{DELIVERIES}/{delivery_id}", f"{DELIVERIES}/")
        ],
        (await api.client.put(path, json={"name": "other"})).text,
        (await api.client.post(f"{path}/rotate_secret")).text,
        caplog.text,
    ]
    assert [answer for answer in answers if SECRET in answer] == []
    assert read_result(await api.client.get(path))["headers"] == MASKED


@pytest.mark.parametrize("name", ["Accept", "accept"])
async def test_media_type_that_an_endpoint_wants_is_sent_once(
    api: Api, subscriber: Subscriber, name: str
) -> None:
    made = await subscribe(api, subscriber.url, headers={name: "application/vnd.example+json"})
    await send_test(api, made)
    assert subscriber.wait_for(is_test).headers["accept"] == "application/vnd.example+json"


async def test_headers_are_encrypted_at_rest_and_by_the_newest_key(api: Api, subscriber: Subscriber) -> None:
    made = await subscribe(api, subscriber.url)
    with api.parts.database.reading() as session:
        row = session.execute(
            text("SELECT * FROM webhook_subscription WHERE id = :id"), {"id": made["id"]}
        ).one()
    assert SECRET not in str(row)
    assert "Authorization" not in str(row)
    assert rotate_secrets(api.parts.database, api.parts.cipher).total > 0
    with api.parts.database.reading() as session:
        stored = session.get_one(Subscription, made["id"])
        assert read_headers(stored.headers_encrypted, api.parts.cipher) == HEADERS


async def test_a_mask_keeps_the_stored_value_and_what_is_left_out_is_deleted(
    api: Api, subscriber: Subscriber
) -> None:
    made = await subscribe(api, subscriber.url)
    path = f"{SUBSCRIPTIONS}/{made['id']}"
    changed = {"headers": {"authorization": "***", "X-New": "n"}}
    assert read_result(await api.client.put(path, json=changed))["headers"] == {
        "authorization": "***",
        "X-New": "***",
    }
    await send_test(api, made)
    received = subscriber.wait_for(is_test)
    assert received.headers["authorization"] == HEADERS["Authorization"]
    assert received.headers["x-new"] == "n"
    assert "x-latin" not in received.headers
    unknown = await api.client.put(path, json={"headers": {"X-Unknown": "***"}})
    assert (unknown.status_code, "X-Unknown" in unknown.json()["message"]) == (400, True)
    assert read_result(await api.client.put(path, json={"headers": {}}))["headers"] == {}


async def test_stored_values_do_not_move_to_another_host(api: Api, subscriber: Subscriber) -> None:
    made = await subscribe(api, subscriber.url)
    path = f"{SUBSCRIPTIONS}/{made['id']}"
    with listen() as other:
        for body in ({}, {"headers": {"Authorization": "***"}}):
            answer = await api.client.put(path, json={"url": other.url, **body})
            assert (answer.status_code, "another host" in answer.json()["message"]) == (400, True)
        assert read_result(await api.client.get(path))["url"] == subscriber.url
        same = await api.client.put(path, json={"url": f"{subscriber.url}?other=1"})
        assert read_result(same)["headers"] == MASKED
        moved = await api.client.put(path, json={"url": other.url, "headers": {"X-New": "n"}})
        assert read_result(moved)["headers"] == {"X-New": "***"}
        await send_test(api, made)
        received = other.wait_for(is_test)
        assert received.headers["x-new"] == "n"
        assert "authorization" not in received.headers


async def test_a_redirect_is_not_followed_and_gets_no_header(api: Api, subscriber: Subscriber) -> None:
    with listen() as other:
        subscriber.statuses, subscriber.headers = [307], {"Location": other.url}
        made = await subscribe(api, subscriber.url)
        delivery_id = await send_test(api, made)
        subscriber.wait_for(is_test)

        async def find_attempt() -> dict[str, Any] | None:
            attempts = read_result(await api.client.get(f"{DELIVERIES}/{delivery_id}"))["attempts"]
            return attempts[0] if attempts else None

        assert (await until_async(find_attempt, "an attempt"))["status_code"] == 307
        assert other.received == []


async def test_an_endpoint_that_repeats_what_it_got_shows_no_secret(api: Api, subscriber: Subscriber) -> None:
    subscriber.answer = f"you sent Bearer {SECRET}, and query-secret-0123".encode()
    made = await subscribe(api, f"{subscriber.url}?key=query-secret-0123")
    delivery_id = await send_test(api, made)
    row = await wait_for_status(api, delivery_id, "delivered")
    assert row["attempts"][0]["answer"] == "you sent ***, and ***"


@pytest.mark.parametrize(
    ("rest", "repeated"),
    [
        ("?Zk3TsecretQ", "/hook?Zk3TsecretQ"),
        ("?Zk3TsecretQ", "the query Zk3TsecretQ"),
        ("?Zk3TsecretQ=", "the query Zk3TsecretQ="),
        ("?Zk3TsecretQ=1", "the parameter Zk3TsecretQ"),
        ("?v=1&Zk3T%2FsecretQ", "the parameters v=1 and Zk3T/secretQ"),
        ("?v=1;key=Zk3TsecretQ", "the key Zk3TsecretQ"),
        ("/T1/Zk3T/cr3t", "/hook/T1/Zk3T/cr3t"),
    ],
)
async def test_a_guest_sees_no_path_and_no_query_that_an_endpoint_repeats(
    api: Api, app: FastAPI, subscriber: Subscriber, rest: str, repeated: str
) -> None:
    subscriber.statuses, subscriber.answer = [404], f"no handler for {repeated}".encode()
    delivery_id = await send_test(api, await subscribe(api, f"{subscriber.url}{rest}"))
    subscriber.wait_for(is_test)
    async with await open_guest(api, app) as guest:

        async def find_answer() -> str | None:
            attempts = read_result(await guest.get(f"{DELIVERIES}/{delivery_id}"))["attempts"]
            return attempts[0]["answer"] if attempts else None

        answer = await until_async(find_answer, "an attempt")
    assert answer.startswith("no handler for ")
    assert [part for part in ("Zk3T", "secretQ", "cr3t", "/hook?") if part in answer] == []


async def test_a_guest_sees_the_host_of_a_url_only(api: Api, app: FastAPI, subscriber: Subscriber) -> None:
    made = await subscribe(api, f"{subscriber.url}/path-secret?key=query-secret")
    async with await open_guest(api, app) as guest:
        for path in (f"{SUBSCRIPTIONS}/{made['id']}", f"{SUBSCRIPTIONS}/?q=(page_size:100)"):
            answer = await guest.get(path)
            assert answer.status_code == 200
            assert "secret" not in answer.text.replace("signing_secret", "")
        row = read_result(await guest.get(f"{SUBSCRIPTIONS}/{made['id']}"))
        assert row["url"].endswith("/***")
        assert row["headers"] == MASKED
    assert read_result(await api.client.get(f"{SUBSCRIPTIONS}/{made['id']}"))["url"] == made["result"]["url"]


@pytest.mark.parametrize(
    "headers",
    [{"Host": "x"}, {"webhook-id": "x"}, {"X": "a\r\nY: b"}, {"X": "\u20ac"}, {"X": ""}, {"X": 1}, ["X"]],
)
async def test_headers_that_cannot_be_set_are_refused(api: Api, subscriber: Subscriber, headers: Any) -> None:
    body = {"name": "test", "url": subscriber.url, "events": ["report.run"], "headers": headers}
    answer = await api.client.post(f"{SUBSCRIPTIONS}/", json=body)
    assert (answer.status_code, "headers" in answer.json()["message"]) == (422, True)
