"""The page's HTTP with Airflow's own check of who asks; the browser is in tests/acceptance."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.backup import back_up, restore
from airflow_provider_pushmetrics.receiver.endpoints.parsing import parse_webhook
from airflow_provider_pushmetrics.receiver.runtime import ReceiverRuntime, RuntimeOpener

with warnings.catch_warnings():
    # Airflow's app brings Starlette's test client, which says that httpx will be httpx2 one day.
    warnings.simplefilter("ignore")
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.security import get_user

    from airflow_provider_pushmetrics.plugins.events_page import FILES, build_page

AIRFLOW = {"name": "airflow", "taken_by": "dag a, task b"}
SCRIPT = {"x-pushmetrics-page": "1"}


@pytest.fixture
def opener(sqlite_url: str) -> Iterator[RuntimeOpener]:
    opener = RuntimeOpener(sqlite_url)
    inbox = opener.open().inbox
    for number in range(3):
        inbox.record([parse_webhook("demo", None, b'{"event": "report.run", "report_id": %d}' % number)])
    inbox.store_consumer("airflow", 2, "dag a, task b")
    yield opener
    opener.close()


@pytest.fixture
def page(opener: RuntimeOpener) -> FastAPI:
    create_auth_manager()
    return build_page(opener.get)


def open_client(page: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(page), base_url="http://airflow")


def sign_in(page: FastAPI, role: str) -> None:
    page.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="someone", role=role)


@pytest.fixture
async def visitor(page: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    sign_in(page, "ADMIN")
    async with open_client(page) as client:
        yield client


async def test_no_route_of_the_page_is_open(page: FastAPI) -> None:
    routes = [route for route in page.routes if isinstance(route, Route)]
    assert len(routes) == len(page.routes) == len(FILES) + 4
    async with open_client(page) as client:
        for route in routes:
            for method in route.methods or ():
                path = route.path.replace("{event_id}", "1")
                for headers in ({}, {"authorization": "Bearer x"}, {"cookie": "_token=x"}):
                    answer = await client.request(method, path, headers=headers | SCRIPT)
                    assert answer.status_code in (401, 403), (method, path)
                    assert "demo" not in answer.text


async def test_page_and_what_it_needs_are_served_under_a_strict_policy(visitor: httpx.AsyncClient) -> None:
    for path, (_, media_type) in FILES.items():
        answer = await visitor.get(f"/{path}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(media_type)
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert '="/' not in (await visitor.get("/")).text  # works under any prefix


async def test_events_are_listed_newest_first_by_pages_and_filters(visitor: httpx.AsyncClient) -> None:
    listed = (await visitor.get("/events?event=&source=demo")).json()
    assert ([row["id"] for row in listed["events"]], listed["total"]) == ([3, 2, 1], 3)
    assert [row["id"] for row in (await visitor.get("/events?before=3")).json()["events"]] == [2, 1]
    assert [row["id"] for row in (await visitor.get("/events?report_id=1")).json()["events"]] == [2]
    assert (await visitor.get("/events?report_id=x")).status_code == 400


async def test_total_of_a_restored_inbox_is_the_number_of_its_events(
    opener: RuntimeOpener, sqlite_url: str, tmp_path: Path
) -> None:
    restored_url = f"sqlite:///{tmp_path}/restored.db"
    back_up(sqlite_url, tmp_path / "a.tar")
    restore(restored_url, tmp_path / "a.tar")
    restored = RuntimeOpener(restored_url)
    restored.open().inbox.record([parse_webhook("demo", None, b'{"event": "report.run"}')])
    create_auth_manager()
    page = build_page(restored.get)
    sign_in(page, "ADMIN")
    async with open_client(page) as client:
        assert (await client.get("/events")).json()["total"] == 4
    restored.close()


async def test_event_is_shown_with_its_payload_and_who_has_read_it(visitor: httpx.AsyncClient) -> None:
    read, unread = [(await visitor.get(f"/events/{number}")).json() for number in (2, 3)]
    assert (read["body"], read["read_by"]) == ({"event": "report.run", "report_id": 1}, [AIRFLOW])
    assert read["dag_runs"] is None  # there is no Airflow here that could say it
    assert unread["read_by"] == []
    assert (await visitor.get("/events/99")).status_code == 404


async def test_taker_is_named_at_the_event_that_it_took_alone(visitor: httpx.AsyncClient) -> None:
    first = (await visitor.get("/events/1")).json()
    assert first["read_by"] == [{"name": "airflow", "taken_by": None}]


async def test_event_is_replayed_by_the_page_alone(visitor: httpx.AsyncClient) -> None:
    assert (await visitor.post("/events/1/replay")).status_code == 403  # as a form of another site would
    answer = await visitor.post("/events/1/replay", headers=SCRIPT)
    assert (answer.status_code, answer.json()) == (201, {"id": 4, "replay_of": 1})
    assert (await visitor.post("/events/99/replay", headers=SCRIPT)).status_code == 404


async def test_viewer_may_look_but_not_replay(page: FastAPI) -> None:
    sign_in(page, "VIEWER")
    async with open_client(page) as client:
        assert (await client.post("/events/1/replay", headers=SCRIPT)).status_code == 403


async def test_receiver_without_settings_says_so_after_the_check_of_who_asks() -> None:
    async def refuse() -> ReceiverRuntime:
        raise PushMetricsConfigurationError("It is not configured.")

    create_auth_manager()
    page = build_page(refuse)
    async with open_client(page) as client:
        assert (await client.get("/events")).status_code == 401
        sign_in(page, "ADMIN")
        answer = await client.get("/events")
    assert (answer.status_code, answer.json()) == (503, {"message": "It is not configured."})
