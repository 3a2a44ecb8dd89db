"""The receiver's HTTP, on both databases, without lifespan events: as it is when it is mounted in Airflow."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.routing import Mount

from airflow_provider_pushmetrics.receiver.app import create_app
from airflow_provider_pushmetrics.receiver.endpoints.parsing import parse_webhook
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.inbox.tables import events
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings, SourceSettings
from tests.fakes.receiver_requests import DELIVERY_URL, REPORT_RUN, build_signed_headers
from tests.fakes.receiver_server import READER_TOKEN, SENDER_TOKEN


async def wait_for_waiters(reader: httpx.AsyncClient, count: int) -> None:
    for _ in range(12_000):
        if f"waiting_readers {count}.0\n" in (await reader.get("/metrics")).text:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError(f"there are not {count} waiting readers")


async def test_delivery_is_accepted_once_and_a_repeat_is_a_duplicate(sender: httpx.AsyncClient) -> None:
    first, second = [await sender.post(DELIVERY_URL, json=REPORT_RUN) for _ in range(2)]
    assert (first.status_code, first.json()) == (202, {"id": 1, "outcome": "accepted"})
    assert (second.status_code, second.json()) == (200, {"id": 1, "outcome": "duplicate"})


async def test_32_concurrent_copies_give_one_event(
    sender: httpx.AsyncClient, reader: httpx.AsyncClient
) -> None:
    answers = await asyncio.gather(*(sender.post(DELIVERY_URL, json=REPORT_RUN) for _ in range(32)))
    assert sorted(answer.status_code for answer in answers) == [200] * 31 + [202]
    assert {answer.json()["id"] for answer in answers} == {1}
    assert len((await reader.get("/events")).json()["events"]) == 1


async def test_signed_delivery_is_known_by_its_id(sender: httpx.AsyncClient) -> None:
    bodies = (b'{"event": "a"}', b'{"event": "a", "attempt": 2}')
    answers = [
        await sender.post("/webhooks/signed", content=body, headers=build_signed_headers("msg_1", body))
        for body in bodies
    ]
    assert [answer.status_code for answer in answers] == [202, 200]
    other = await sender.post(
        "/webhooks/signed", content=bodies[0], headers=build_signed_headers("msg_2", bodies[0])
    )
    assert (other.status_code, other.json()["id"]) == (202, 2)


async def test_event_that_arrives_before_anyone_waits_is_found(
    sender: httpx.AsyncClient, reader: httpx.AsyncClient
) -> None:
    body = json.dumps(REPORT_RUN, indent=1)
    await sender.post(DELIVERY_URL, content=body, headers={"content-type": "application/json"})
    answer = await reader.get(
        "/events", params={"wait": 30, "event": "report.run", "report_id": 1, "run_id": 7}
    )
    (event,) = answer.json()["events"]
    assert event.pop("received_at").endswith("+00:00")
    assert event == {"id": 1, "source": "demo", "body": REPORT_RUN}
    assert answer.json()["cursor"] == 1
    assert body in answer.text


async def test_waiting_reader_is_woken_by_the_commit(
    sender: httpx.AsyncClient, reader: httpx.AsyncClient
) -> None:
    waiting = asyncio.create_task(reader.get("/events", params={"wait": 30, "report_id": 1}))
    await wait_for_waiters(reader, 1)
    await sender.post(DELIVERY_URL, json={"event": "report.run", "report_id": 2})
    await sender.post(DELIVERY_URL, json=REPORT_RUN)
    answer = (await waiting).json()
    assert ([event["id"] for event in answer["events"]], answer["cursor"]) == ([2], 2)
    await wait_for_waiters(reader, 0)


async def test_wait_without_a_match_ends_in_time_with_the_cursor_moved_on(
    sender: httpx.AsyncClient, reader: httpx.AsyncClient
) -> None:
    waiting = asyncio.create_task(reader.get("/events", params={"wait": 0.4, "report_id": 9}))
    await wait_for_waiters(reader, 1)
    await sender.post(DELIVERY_URL, json=REPORT_RUN)
    started = time.monotonic()
    assert (await waiting).json()["events"] == []
    assert time.monotonic() - started < 25
    assert (await reader.get("/events", params={"report_id": 9})).json()["cursor"] == 1


async def test_reader_that_follows_the_cursor_sees_every_event_once(
    sender: httpx.AsyncClient, reader: httpx.AsyncClient
) -> None:
    for number in range(7):
        await sender.post(DELIVERY_URL, json={"event": "x", "report_id": number % 2, "number": number})
    seen, after = [], 0
    for _ in range(3):
        page = (await reader.get("/events", params={"after": after, "limit": 2, "report_id": 0})).json()
        seen += [event["body"]["number"] for event in page["events"]]
        after = page["cursor"]
    assert (seen, after) == ([0, 2, 4, 6], 7)


async def test_cursor_is_the_newest_id(sender: httpx.AsyncClient, reader: httpx.AsyncClient) -> None:
    assert (await reader.get("/cursor")).json() == {"cursor": 0}
    await sender.post(DELIVERY_URL, json=REPORT_RUN)
    assert (await reader.get("/cursor")).json() == {"cursor": 1}


async def test_consumer_stores_its_position(sender: httpx.AsyncClient, reader: httpx.AsyncClient) -> None:
    await sender.post(DELIVERY_URL, json=REPORT_RUN)
    assert (await reader.get("/consumers/airflow")).json()["position"] == 0
    stored = await reader.put("/consumers/airflow", json={"position": 1})
    assert (stored.status_code, stored.json()["position"]) == (200, 1)
    assert (await reader.get("/consumers/airflow")).json() == stored.json()
    taken = await reader.put("/consumers/airflow", json={"position": 1, "taken_by": "a_dag/a_run"})
    assert (stored.json()["taken_by"], taken.json()["taken_by"]) == (None, "a_dag/a_run")
    beyond = await reader.put("/consumers/airflow", json={"position": 2})
    assert (beyond.status_code, beyond.json()) == (
        400,
        {"message": "The position 2 is beyond the newest event."},
    )


async def test_consumer_moves_backwards_only_for_who_does_not_exclude_it(
    sender: httpx.AsyncClient, reader: httpx.AsyncClient
) -> None:
    for number in range(3):
        await sender.post(DELIVERY_URL, json={**REPORT_RUN, "number": number})

    async def move(position: int, **fields: Any) -> tuple[int, Any]:
        answer = await reader.put("/consumers/airflow", json={"position": position, **fields})
        return answer.status_code, answer.json().get("position", answer.json().get("message"))

    forwards = {"only_forwards": True}
    refused = (409, "The position is 2 already, and moves forwards only.")
    assert await move(2, taken_by="a_run", **forwards) == (200, 2)
    assert await move(2, taken_by="a_run", **forwards) == (200, 2), "a repeated request"
    assert await move(2, taken_by="another_run", **forwards) == refused
    assert await move(1, **forwards) == refused
    assert await move(1, taken_by="a_run", **forwards) == refused
    assert (await reader.get("/consumers/airflow")).json()["taken_by"] == "a_run"
    assert await move(3, **forwards) == (200, 3)
    assert await move(1) == (200, 1)
    assert await move(1, only_forwards=False) == (200, 1)
    assert (await move(1, only_forwards="yes"))[0] == 400


async def test_replay_appends_the_event_again_and_wakes_who_waits(
    sender: httpx.AsyncClient, reader: httpx.AsyncClient
) -> None:
    await sender.post(DELIVERY_URL, json=REPORT_RUN)
    waiting = asyncio.create_task(reader.get("/events", params={"after": 1, "wait": 30, "run_id": 7}))
    await wait_for_waiters(reader, 1)
    replayed = await reader.post("/events/1/replay")
    assert (replayed.status_code, replayed.json()) == (
        201,
        {"id": 2, "outcome": "accepted", "replay_of": 1},
    )
    (event,) = (await waiting).json()["events"]
    assert (event["id"], event["replay_of"], event["body"]) == (2, 1, REPORT_RUN)
    assert (await reader.post("/events/1/replay")).json()["id"] == 3


def refuse_event(inbox: Inbox, event_id: int) -> None:
    """Let the database fail when it stores an event."""
    with inbox._engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"ALTER TABLE {events.name} ADD CHECK (id <> {event_id})"))
            return
        fails = f"WHEN NEW.id = {event_id} BEGIN SELECT RAISE(ABORT, 'no'); END"
        connection.execute(text(f"CREATE TRIGGER fails BEFORE INSERT ON {events.name} {fails}"))


async def test_replay_that_fails_half_way_has_stored_nothing(inbox: Inbox, reader: httpx.AsyncClient) -> None:
    """Whoever is told to try again later would else store events twice."""
    inbox.record([parse_webhook("demo", None, b'{"event": "x", "number": %d}' % n) for n in range(300)])
    refuse_event(inbox, 300 + 290)
    answer = await reader.post("/events/replay", params={"after": 0, "through": 300, "limit": 300})
    assert answer.status_code == 503
    assert inbox.fetch_last_id() == 300


async def test_documented_loop_over_a_range_never_replays_what_it_has_replayed(
    inbox: Inbox, reader: httpx.AsyncClient
) -> None:
    inbox.record([parse_webhook("demo", None, b'{"event": "x", "number": %d}' % n) for n in range(3)])
    for through, newest in ((20, 3), (4, 3), (3, 6)):
        cursor = 0
        while cursor < through:
            answer = await reader.post(
                "/events/replay", params={"after": cursor, "through": through, "limit": 2}
            )
            if answer.status_code != 201:
                break
            cursor = answer.json()["cursor"]
        assert inbox.fetch_last_id() == newest
    assert (answer.status_code, answer.json()) == (201, {"ids": [6], "cursor": 3})
    answer = await reader.post("/events/replay", params={"after": 0, "through": 7})
    assert (answer.status_code, answer.json()) == (
        400,
        {"message": "'through' is 7, beyond the newest event, 6."},
    )


async def test_replay_of_nothing_is_not_found(reader: httpx.AsyncClient) -> None:
    answer = await reader.post("/events/5/replay")
    assert (answer.status_code, answer.json()) == (404, {"message": "There is no event 5 in the inbox."})


async def test_metrics_count_what_became_of_deliveries(
    sender: httpx.AsyncClient, reader: httpx.AsyncClient
) -> None:
    for _ in range(2):
        await sender.post(DELIVERY_URL, json=REPORT_RUN)
    await sender.post("/webhooks/demo", json=REPORT_RUN)
    await sender.post(DELIVERY_URL, json=[])
    answer = await reader.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in (
        '{outcome="accepted"} 1',
        '{outcome="duplicate"} 1',
        '{outcome="unauthorized"} 1',
        "invalid",
    ):
        assert line in answer.text
    assert "pushmetrics_receiver_inbox_events 1.0\n" in answer.text


async def test_receiver_works_mounted_under_a_prefix(sqlite_url: str) -> None:
    settings = ReceiverSettings(sqlite_url, (SourceSettings("demo", token=SENDER_TOKEN),), READER_TOKEN)
    app = create_app(settings)
    outer = Starlette(routes=[Mount("/pushmetrics", app)])
    transport = httpx.ASGITransport(outer)
    async with httpx.AsyncClient(transport=transport, base_url="http://airflow/pushmetrics") as client:
        assert (await client.post(DELIVERY_URL, json=REPORT_RUN)).status_code == 202
        answer = await client.get("/events", headers={"authorization": f"Bearer {READER_TOKEN}"})
        assert answer.json()["cursor"] == 1
    app.state.runtime.close()


async def test_many_first_requests_open_one_inbox(app: Starlette, sender: httpx.AsyncClient) -> None:
    bodies = [{"event": "x", "number": number} for number in range(40)]
    answers = await asyncio.gather(*(sender.post(DELIVERY_URL, json=body) for body in bodies))
    assert sorted(answer.json()["id"] for answer in answers) == list(range(1, 41))
