"""Signing in, what a session may do and for how long, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, event

from airflow_provider_pushmetrics.service.accounts.authentication import SESSION_SECONDS, Authenticator
from airflow_provider_pushmetrics.service.accounts.session_cookie import COOKIE
from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.models import EndedSession
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.serving.http.rate_limit import RateLimit
from tests.fakes.service_process import API_TOKEN
from tests.integration.service.conftest import Api, open_client

OWN = {"X-PushMetrics-App": "1"}
SESSION = "/app/session"


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(app, None) as browser:
        yield browser


async def sign_in(browser: httpx.AsyncClient, token: str = API_TOKEN) -> httpx.Response:
    return await browser.post(SESSION, json={"token": token}, headers=OWN)


async def is_signed_in(browser: httpx.AsyncClient) -> bool:
    return bool((await browser.get(SESSION)).json()["is_signed_in"])


async def test_token_buys_a_session_that_reads_and_changes_until_it_is_signed_out(
    browser: httpx.AsyncClient,
) -> None:
    assert not await is_signed_in(browser)
    assert (await browser.get("/api/v1/report/")).status_code == 401
    answer = await sign_in(browser)
    assert answer.status_code == 200
    assert API_TOKEN not in answer.text + str(answer.headers)
    assert await is_signed_in(browser)
    assert (await browser.get("/api/v1/user/current")).status_code == 200
    made = await browser.post("/api/v1/report/", json={"name": "By hand"}, headers=OWN)
    assert made.status_code == 201
    assert (await browser.delete(SESSION, headers=OWN)).status_code == 200
    assert COOKIE not in browser.cookies
    assert (await browser.get("/api/v1/user/current")).status_code == 401


async def test_page_of_another_user_or_workspace_is_refused_with_the_reason(
    browser: httpx.AsyncClient, api: Api
) -> None:
    await sign_in(browser)
    user = (await browser.get("/api/v1/user/current")).json()["id"]
    workspace = (await browser.get("/api/v1/workspace/current")).json()["id"]
    own = {**OWN, "X-PushMetrics-Owner": f"{user}.{workspace}"}
    assert (await browser.get("/api/v1/report/", headers=own)).status_code == 200
    for owner in (f"{user + 1}.{workspace}", f"{user}.{workspace + 1}", ""):
        other = {**OWN, "X-PushMetrics-Owner": owner}
        refused = await browser.post("/api/v1/report/", json={"name": "Of another user"}, headers=other)
        assert refused.status_code == 401
        assert "Another user has signed in" in refused.json()["message"]
        assert refused.headers["x-pushmetrics-reason"] == "other-user"
        assert (await browser.delete(SESSION, headers=other)).status_code == 401
        assert await is_signed_in(browser), "it is not the session of that page"
    assert "Of another user" not in (await browser.get("/api/v1/report/")).text
    assert (await api.client.get("/api/v1/report/", headers=other)).status_code == 200


@pytest.mark.parametrize("token", ["pmpat_" + "x" * 43, "", "a.b.c", "x" * 10_000, "pmpat_é"])
async def test_every_wrong_token_is_refused_alike(browser: httpx.AsyncClient, token: str) -> None:
    answer = await sign_in(browser, token)
    assert (answer.status_code, answer.json()) == (401, {"message": "Not authorized"})
    assert "set-cookie" not in answer.headers


async def test_what_is_said_of_a_malformed_sign_in_does_not_show_the_token(
    browser: httpx.AsyncClient,
) -> None:
    answer = await browser.post(SESSION, json={"token": [API_TOKEN]}, headers=OWN)
    assert answer.status_code == 422
    assert API_TOKEN not in answer.text


async def test_other_sites_can_neither_sign_in_nor_change_nor_sign_out(browser: httpx.AsyncClient) -> None:
    foreign = {**OWN, "Sec-Fetch-Site": "cross-site"}
    neighbor = {**OWN, "Sec-Fetch-Site": "same-site"}
    for headers in ({}, foreign, neighbor):
        refused = await browser.post(SESSION, json={"token": API_TOKEN}, headers=headers)
        assert refused.status_code == 403
    await sign_in(browser)
    for headers in ({}, foreign, neighbor):
        for method, path in [
            ("POST", "/api/v1/report/"),
            ("PUT", "/api/v1/report/1"),
            ("DELETE", "/api/v1/report/1"),
            ("POST", "/api/v1/access_token/"),
            ("POST", "/api/v1/report/1/run/noteflow"),
            ("PUT", SESSION),
            ("DELETE", SESSION),
        ]:
            answer = await browser.request(method, path, json={"name": "theirs"}, headers=headers)
            assert answer.status_code == 403, (method, path, answer.text)
    assert (await browser.get("/api/v1/report/1")).status_code == 200
    assert await is_signed_in(browser)


async def test_copy_of_a_cookie_ends_with_the_session_that_is_signed_out(
    app: FastAPI, browser: httpx.AsyncClient
) -> None:
    await sign_in(browser)
    async with open_client(app, None) as thief, open_client(app, None) as neighbor:
        thief.cookies.set(COOKIE, browser.cookies[COOKIE])
        assert (await thief.put(SESSION, headers=OWN)).status_code == 200
        await sign_in(neighbor)
        await browser.delete(SESSION, headers=OWN)
        assert not await is_signed_in(thief)
        assert (await thief.get("/api/v1/user/current")).status_code == 401
        assert (await thief.put(SESSION, headers=OWN)).status_code == 401
        assert await is_signed_in(neighbor), "another session of the same token continues"
        assert (await browser.delete(SESSION, headers=OWN)).status_code == 200, "twice does no harm"


async def test_header_of_a_program_counts_before_a_cookie(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    wrong = await browser.get("/api/v1/report/", headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 401
    right = {"Authorization": f"Bearer {API_TOKEN}"}
    assert (
        await browser.post("/api/v1/report/", json={"name": "By token"}, headers=right)
    ).status_code == 201


async def test_session_and_exchanged_token_do_not_stand_for_each_other(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    session = browser.cookies[COOKIE]
    bearer = {"Authorization": f"Bearer {session}"}
    assert (await browser.get("/api/v1/report/", headers=bearer)).status_code == 401
    exchanged = await browser.post(
        "/api/v1/security/exchange", headers={"Authorization": f"Bearer {API_TOKEN}"}
    )
    browser.cookies.clear()
    browser.cookies.set(COOKIE, exchanged.json()["access_token"], "service.test")
    assert not await is_signed_in(browser)
    assert (await browser.get("/api/v1/report/")).status_code == 401


async def test_session_is_renewed_and_ends_with_its_token(api: Api, browser: httpx.AsyncClient) -> None:
    made = (await api.client.post("/api/v1/access_token/", json={"name": "laptop"})).json()
    await sign_in(browser, made["token"])
    renewed = await browser.put(SESSION, headers=OWN)
    assert renewed.json()["is_signed_in"] is True
    assert COOKIE in renewed.headers["set-cookie"]
    await api.client.delete(f"/api/v1/access_token/{made['id']}")
    assert (await browser.get("/api/v1/report/")).status_code == 401
    assert (await browser.put(SESSION, headers=OWN)).status_code == 401


def test_session_lasts_while_it_is_renewed_but_not_for_ever(parts: ServiceParts) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    authenticator = Authenticator(parts.database, parts.cipher, 900, clock=lambda: now)
    principal = authenticator.find_token_owner(API_TOKEN)
    assert principal is not None
    session: str | None = authenticator.open_session(principal)
    began = now
    now += timedelta(seconds=901)
    assert authenticator.find_session(session) is None, "nobody renewed it"
    now = began
    while now < began + timedelta(seconds=SESSION_SECONDS - 800):
        session = authenticator.renew_session(session)
        assert authenticator.find_session(session) == principal
        now += timedelta(seconds=800)
    session = authenticator.renew_session(session)
    now = began + timedelta(seconds=SESSION_SECONDS)
    assert authenticator.find_session(session) is None
    assert authenticator.renew_session(session) is None


def test_signing_out_with_an_expired_cookie_ends_the_copies_that_were_renewed(parts: ServiceParts) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    authenticator = Authenticator(parts.database, parts.cipher, 900, clock=lambda: now)
    principal = authenticator.find_token_owner(API_TOKEN)
    assert principal is not None
    session = authenticator.open_session(principal)
    now += timedelta(seconds=600)
    copy = authenticator.renew_session(session)
    now += timedelta(seconds=600)
    assert authenticator.find_session(session) is None
    assert authenticator.find_session(copy) == principal
    authenticator.end_session(session)
    assert authenticator.find_session(copy) is None
    assert authenticator.renew_session(copy) is None


def test_two_requests_that_end_a_session_at_once_both_succeed(parts: ServiceParts) -> None:
    principal = parts.authenticator.find_token_owner(API_TOKEN)
    assert principal is not None
    session = parts.authenticator.open_session(principal)
    with parts.database.writing() as cleaning:
        cleaning.execute(delete(EndedSession))  # both would delete those of other tests
    engine = parts.database.engine

    def end_too(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("SELECT ended_session") and threading.current_thread() is here and not others:
            others.append(threading.Thread(target=parts.authenticator.end_session, args=[session]))
            others[0].start()
            others[0].join(0 if engine.dialect.name == "sqlite" else None)  # which has one writer at a time

    here, others = threading.current_thread(), list[threading.Thread]()
    event.listen(engine, "after_cursor_execute", end_too)
    parts.authenticator.end_session(session)
    others[0].join()
    assert parts.authenticator.find_session(session) is None


async def test_guessing_is_limited_as_at_the_exchange(parts: ServiceParts) -> None:
    app = build_app(replace(parts, exchange_limit=RateLimit(2)))
    async with open_client(app, None) as browser:
        answers = [await sign_in(browser, "guess") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert int(answers[2].headers["retry-after"]) > 0
