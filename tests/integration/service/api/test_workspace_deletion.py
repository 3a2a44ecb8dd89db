"""Requests that arrive while their workspace is being deleted."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
from sqlalchemy import select

from airflow_provider_pushmetrics.service.models import OutboxEvent, Report, Subscription, Workspace
from tests.integration.service.conftest import Api, open_client

ROUNDS = 4
REQUESTS_OF_EACH_KIND = 4

REPORT: dict[str, Any] = {
    "name": "r",
    "blocks": [{"type": "text", "name": "t", "content": {"text": "hello"}}],
}
SUBSCRIPTION = {
    "name": "s",
    "url": "https://hooks.example.com/x",
    "events": ["report.created", "report.updated", "query.updated"],
}
EXPECTED = {200, 201, 401, 403, 404, 409}


async def open_workspace(api: Api, client: httpx.AsyncClient) -> tuple[int, int]:
    """Make a workspace with a report, make it the client's, and give both ids."""
    made = (await api.client.post("/api/v1/workspace/", json={"name": "w"})).json()
    client.headers["Authorization"] = f"Bearer {made['token']}"
    report = await client.post("/api/v1/report/", json=REPORT)
    assert report.status_code == 201, report.text
    await client.post("/api/v1/webhook_subscription/", json=SUBSCRIPTION)
    return made["id"], report.json()["id"]


def list_requests(report_id: int) -> list[tuple[str, str, dict[str, Any]]]:
    """List one request of each kind."""
    schedule = {"report_id": report_id, "first_start": "2099-01-01T00:00:00Z", "recurrence": "daily"}
    return [
        ("POST", "/api/v1/report/", REPORT),
        ("PUT", f"/api/v1/report/{report_id}", {"name": "other"}),
        ("POST", "/api/v1/webhook_subscription/", SUBSCRIPTION),
        ("POST", "/api/v1/webhook/", {"report_id": report_id}),
        ("POST", "/api/v1/schedule/", schedule),
        ("POST", "/api/v1/access_token/", {"name": "t"}),
        ("POST", f"/api/v1/report/{report_id}/run/noteflow", {}),
        ("GET", "/api/v1/workspace/current", {}),
    ]


async def test_request_during_the_deletion_is_done_or_refused_and_nothing_is_left(api: Api, app: Any) -> None:
    statuses: Counter[tuple[str, str, int]] = Counter()
    async with open_client(app, None, raises=False) as client:
        for number in range(ROUNDS):
            workspace_id, report_id = await open_workspace(api, client)

            async def send(method: str, path: str, body: dict[str, Any]) -> None:
                answer = await client.request(method, path, json=body or None)
                statuses[method, path.rstrip("0123456789"), answer.status_code] += 1

            async def delete(delay: float, workspace_id: int = workspace_id) -> None:
                await asyncio.sleep(delay)
                await send("DELETE", f"/api/v1/workspace/{workspace_id}", {})

            requests = list_requests(report_id) * REQUESTS_OF_EACH_KIND
            deletion = delete(0.03 * number)
            await asyncio.gather(deletion, *(send(*request) for request in requests))
            # A run that ends at the same time can win, and the deletion is answered 409.
            while await asyncio.to_thread(has_workspace, api, workspace_id):
                await send("DELETE", f"/api/v1/workspace/{workspace_id}", {})
            assert_nothing_is_left(api, workspace_id)
    unexpected = {key: count for key, count in statuses.items() if key[2] not in EXPECTED}
    assert unexpected == {}


def has_workspace(api: Api, workspace_id: int) -> bool:
    with api.parts.database.reading() as session:
        return session.get(Workspace, workspace_id) is not None


def assert_nothing_is_left(api: Api, workspace_id: int) -> None:
    with api.parts.database.reading() as session:
        for kind in (Report, Subscription, OutboxEvent):
            assert session.scalars(select(kind.id).where(kind.workspace_id == workspace_id)).all() == []
