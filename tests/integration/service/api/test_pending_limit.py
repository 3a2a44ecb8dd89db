"""How many runs of a workspace may wait for a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from airflow_provider_pushmetrics.service.app import build_app
from tests.fakes.service_reports import TRIGGER_TOKEN, MadeReport, sql, text
from tests.integration.service.conftest import Api, open_client, read_accepted, run_parts

LIMIT = 3
TOO_MANY = (
    "3 runs of this workspace wait for a worker, and at most 3 may: try again later, or start more workers"
)


@pytest.fixture
async def api(tmp_path: Path, database_url: str | None) -> AsyncIterator[Api]:
    """Give a service without a worker: its runs wait."""
    with run_parts(tmp_path, database_url=database_url, executes=False, max_pending_runs=LIMIT) as parts:
        async with open_client(build_app(parts)) as client:
            yield Api(client, parts)


@pytest.fixture
def made(api: Api) -> MadeReport:
    return api.make_report(note=text("hello"))


def build_trigger_url(made: MadeReport) -> str:
    return f"/api/v1/report/{made.id}/webhook?token={TRIGGER_TOKEN}"


def check_refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()) == (429, {"message": TOO_MANY})
    assert answer.headers["retry-after"] == "10"


async def test_every_way_to_start_one_more_run_is_refused_until_there_is_room(
    api: Api, made: MadeReport
) -> None:
    earlier = await api.trigger(made.id)
    read_accepted(await api.client.post(f"/api/v1/noteflow_run/{earlier}/cancel"))
    waiting = [await api.trigger(made.id), await api.trigger(made.id)]
    await api.run_block(made.blocks["note"])  # counts too
    ways = (
        build_trigger_url(made),
        f"/api/v1/report/{made.id}/run/noteflow",
        f"/api/v1/noteflow_run/{earlier}/re_run",
        f"/api/v1/block/{made.blocks['note']}/run",
    )
    for way in ways:
        check_refused(await api.client.post(way))
    listed = (await api.client.get("/api/v1/noteflow_run/")).json()
    assert listed["ids"] == [waiting[1], waiting[0], earlier], "what is refused leaves nothing behind"

    for way in ways[:3]:
        read_accepted(await api.client.post(f"/api/v1/noteflow_run/{waiting.pop(0)}/cancel"))
        read_accepted(await api.client.post(way))
        waiting.append((await api.client.get("/api/v1/noteflow_run/")).json()["ids"][0])
        check_refused(await api.client.post(way))
    read_accepted(await api.client.post(f"/api/v1/noteflow_run/{waiting.pop(0)}/cancel"))
    await api.run_block(made.blocks["note"])
    check_refused(await api.client.post(ways[3]))


async def test_calls_at_the_same_time_are_counted_too(api: Api, made: MadeReport) -> None:
    url = build_trigger_url(made)
    answers = await asyncio.gather(*(api.client.post(url) for _ in range(40)))
    assert sorted(answer.status_code for answer in answers)[LIMIT:].count(429) >= 40 - 2 * LIMIT
    assert [answer.status_code for answer in answers].count(200) >= LIMIT
    check_refused(await api.client.post(url))


async def test_a_repeated_key_gives_its_run_at_the_limit_too(api: Api, made: MadeReport) -> None:
    url, headers = build_trigger_url(made), {"Idempotency-Key": "one"}
    first = await api.client.post(url, headers=headers)
    await api.trigger(made.id)
    await api.trigger(made.id)
    again = await api.client.post(url, headers=headers)
    assert read_accepted(again) == read_accepted(first)
    assert again.headers["idempotency-replayed"] == "true"
    check_refused(await api.client.post(url, headers={"Idempotency-Key": "two"}))


async def test_the_limit_of_one_workspace_is_not_that_of_another(api: Api, made: MadeReport) -> None:
    for _ in range(LIMIT):
        await api.trigger(made.id)
    token = read_accepted(await api.client.post("/api/v1/workspace/", json={"name": "other"}))["token"]
    headers = {"Authorization": f"Bearer {token}"}
    body = {"name": "theirs", "blocks": [{"type": "text", "name": "note", "content": {"text": "hello"}}]}
    report = (await api.client.post("/api/v1/report/", json=body, headers=headers)).json()["result"]
    answer = await api.client.post(f"/api/v1/report/{report['id']}/run/noteflow", headers=headers)
    assert answer.status_code == 200
    check_refused(await api.client.post(build_trigger_url(made)))


async def test_run_of_a_schedule_that_a_caller_starts_is_counted_and_refused_like_all_others(
    api: Api,
) -> None:
    made = api.make_report(query=sql("SELECT 1 AS n"))
    body = {"report_id": made.id, "first_start": "2099-01-01T00:00:00Z", "recurrence": "daily"}
    ways = []
    for wanted in (body, {**body, "query_id": made.queries["query"]}):
        schedule = read_accepted(await api.client.post("/api/v1/schedule/", json=wanted))["result"]
        ways.append(f"/api/v1/schedule/{schedule['id']}/run")
    for way in [*ways, ways[0]]:
        read_accepted(await api.client.post(way))
    for way in ways:
        check_refused(await api.client.post(way))
    assert len((await api.client.get("/api/v1/noteflow_run/")).json()["ids"]) == 2
