"""Events: to the letter of the documentation, signed, once for each change, until they are taken."""

from __future__ import annotations

import asyncio
import json

import pytest
from sqlalchemy import select

from airflow_provider_pushmetrics.events import QueryRun, ReportRun, parse_event
from airflow_provider_pushmetrics.service.models import Delivery, OutboxEvent, Subscription
from tests.fakes.service_reports import sql, text
from tests.fakes.service_subscriber import Subscriber
from tests.fakes.waiting import until
from tests.integration.service.conftest import BASE_URL, Api


def read_deliveries(api: Api, subscription_id: int) -> list[tuple[str, list[tuple[int | None, str | None]]]]:
    with api.parts.database.reading() as session:
        rows = session.scalars(select(Delivery).where(Delivery.subscription_id == subscription_id))
        return [
            (row.status, [(attempt.status_code, attempt.answer) for attempt in row.attempts]) for row in rows
        ]


async def wait_for_deliveries(api: Api, subscription_id: int, status: str) -> None:
    await until(lambda: all(row[0] == status for row in read_deliveries(api, subscription_id)))


async def test_report_run_is_delivered_with_the_documented_fields_in_their_order(
    api: Api, subscriber: Subscriber
) -> None:
    made = api.make_report(note=text("x"), one=sql("SELECT 1 AS n"), two=sql("SELECT 2 AS n"))
    subscription = await api.subscribe(subscriber.url, "report.run")
    run_id = await api.trigger(made.id)
    received = await asyncio.to_thread(subscriber.wait_for_run, "report.run", run_id)
    event = received.event
    assert list(event) == [
        "event", "report_id", "report_name", "workspace_id", "workspace_name", "report_notebook_outputs",
        "queries", "timestamp",
    ]  # fmt: skip
    reports = f"{BASE_URL}/api/reports/{made.id}"
    assert event["report_notebook_outputs"] == f"{reports}/run/{run_id}"
    assert event["workspace_name"] == "Main Workspace"
    assert event["queries"] == [
        {
            "query_id": made.queries[name],
            "query_name": name,
            "query_result": f"{reports}/queries/{made.queries[name]}/reportRun/{run_id}",
        }
        for name in ("one", "two")
    ]
    assert len(event["timestamp"]) == len("2025-06-09T17:11:23+00:00")
    assert event["timestamp"].endswith("+00:00")
    parsed = parse_event(received.body)
    assert isinstance(parsed, ReportRun)
    assert parsed.run_id == run_id
    assert received.headers["content-type"] == "application/json"
    assert received.verify(subscription["signing_secret"]).startswith("msg_")


async def test_results_can_be_read_when_the_event_comes(api: Api, subscriber: Subscriber) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    await api.subscribe(subscriber.url, "report.run")
    run_id = await api.trigger(made.id)
    event = (await asyncio.to_thread(subscriber.wait_for_run, "report.run", run_id)).event
    assert (await api.client.get(event["report_notebook_outputs"])).json()["status"] == "success"
    assert (await api.client.get(event["queries"][0]["query_result"])).json()["data"] == [{"n": 1}]


async def test_failed_run_is_told_too(api: Api, subscriber: Subscriber) -> None:
    made = api.make_report(q=sql("SELECT nope"))
    await api.subscribe(subscriber.url, "report.run")
    run_id = await api.trigger(made.id)
    event = (await asyncio.to_thread(subscriber.wait_for_run, "report.run", run_id)).event
    assert [query["query_name"] for query in event["queries"]] == ["q"]
    assert (await api.client.get(event["report_notebook_outputs"])).json()["status"] == "failed"


async def test_query_run_is_told_for_a_query_alone_and_never_for_one_in_a_report(
    api: Api, subscriber: Subscriber
) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    await api.subscribe(subscriber.url, "report.run", "query.run")
    run_id = await api.trigger(made.id)
    await asyncio.to_thread(subscriber.wait_for_run, "report.run", run_id)
    alone = (await api.client.post(f"/api/v1/block/{made.blocks['q']}/run", json={})).json()["run_id"]
    received = await asyncio.to_thread(subscriber.wait_for_run, "query.run", alone)
    assert list(received.event) == [
        "event", "query_id", "query_name", "report_id", "report_name", "workspace_id", "workspace_name",
        "query_result", "timestamp",
    ]  # fmt: skip
    parsed = parse_event(received.body)
    assert isinstance(parsed, QueryRun)
    assert parsed.run_id == alone
    assert (await api.client.get(received.event["query_result"])).json()["data"] == [{"n": 1}]
    assert [one.event["event"] for one in subscriber.received].count("query.run") == 1
    with api.parts.database.reading() as session:
        told = session.scalars(
            select(OutboxEvent.event).where(OutboxEvent.body.contains(f'"report_id":{made.id},'))
        )
        assert sorted(told) == ["query.run", "report.run"]


async def test_only_wanted_events_go_to_active_subscriptions(api: Api, subscriber: Subscriber) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    other = await api.subscribe(subscriber.url + "/other", "report.created")
    inactive = await api.subscribe(subscriber.url + "/inactive", "report.run")
    await api.client.put(f"/api/v1/webhook_subscription/{inactive['id']}", json={"active": False})
    await api.subscribe(subscriber.url + "/wanted", "report.run")
    run_id = await api.trigger(made.id)
    await asyncio.to_thread(subscriber.wait_for_run, "report.run", run_id)
    assert {one.path for one in subscriber.received} == {"/hook/wanted"}
    assert read_deliveries(api, other["id"]) == read_deliveries(api, inactive["id"]) == []


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)  # it waits for 5 s
async def test_refused_event_is_sent_again_with_the_same_id_and_body(
    api: Api, subscriber: Subscriber
) -> None:
    subscriber.statuses = [503, 202]
    made = api.make_report(q=sql("SELECT 1 AS n"))
    subscription = await api.subscribe(subscriber.url, "report.run")
    await api.run(made.id)
    await wait_for_deliveries(api, subscription["id"], "delivered")
    first, second = subscriber.received
    assert first.body == second.body
    assert first.verify(subscription["signing_secret"]) == second.verify(subscription["signing_secret"])
    waited = int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"])
    assert waited >= 4  # 5 s, less 20 % of jitter
    assert read_deliveries(api, subscription["id"]) == [("delivered", [(503, "ok"), (202, "ok")])]


@pytest.mark.parametrize("status", [301, 307, 404])
async def test_redirects_are_not_followed_and_only_2xx_counts(
    api: Api, subscriber: Subscriber, status: int
) -> None:
    subscriber.statuses, subscriber.headers = [status], {"Location": subscriber.url + "/elsewhere"}
    made = api.make_report(q=sql("SELECT 1 AS n"))
    subscription = await api.subscribe(subscriber.url, "report.run")
    run_id = await api.trigger(made.id)
    await asyncio.to_thread(subscriber.wait_for_run, "report.run", run_id)
    await until(lambda: read_deliveries(api, subscription["id"])[0][1])
    assert read_deliveries(api, subscription["id"]) == [("pending", [(status, "ok")])]
    assert [one.path for one in subscriber.received] == ["/hook"]
    await api.client.delete(f"/api/v1/webhook_subscription/{subscription['id']}")
    assert read_deliveries(api, subscription["id"]) == []


async def test_signing_secret_is_stored_encrypted(api: Api) -> None:
    subscription = await api.subscribe("http://127.0.0.1:1/hook", "report.run")
    with api.parts.database.reading() as session:
        stored = session.get_one(Subscription, subscription["id"]).secret_encrypted
    assert api.parts.cipher.decrypt(stored) == subscription["signing_secret"]
    assert subscription["signing_secret"] not in json.dumps(stored)
    await api.client.delete(f"/api/v1/webhook_subscription/{subscription['id']}")
