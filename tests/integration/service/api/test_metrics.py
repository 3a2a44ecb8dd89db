"""What operators monitor: through HTTP, on both databases."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select, update

from airflow_provider_pushmetrics.service.models import Delivery, Worker
from airflow_provider_pushmetrics.service.storage.clock import get_now
from tests.fakes.service_reports import ENDLESS, sql
from tests.fakes.service_subscriber import Subscriber
from tests.fakes.waiting import until, until_async
from tests.integration.service.conftest import Api, read_accepted

PREFIX = "pushmetrics_service_"


async def scrape(api: Api) -> dict[tuple[str, ...], float]:
    answer = await api.client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(answer.text))
    assert len({family.name for family in families}) == len(families)
    return {
        (sample.name.removeprefix(PREFIX), *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def has_attempt(api: Api) -> bool:
    with api.parts.database.reading() as session:
        delivery = session.scalar(select(Delivery))
        return delivery is not None and delivery.attempt_count > 0 and delivery.worker_id is None


async def has_grown(api: Api, name: tuple[str, ...], before: float) -> bool:
    return (await scrape(api))[name] > before


async def test_an_idle_service_has_a_worker_and_no_waiting_work(api: Api) -> None:
    figures = await scrape(api)
    assert figures["workers",] == 1
    for kind in ("run", "query_run", "delivery", "message"):
        assert figures["work_waiting", kind] == figures["work_claimed", kind] == 0
        assert figures["work_lag_seconds", kind] == 0
    assert 0 < figures["database_seconds",] < 60


async def test_deliveries_of_an_inactive_subscription_wait_and_are_not_late(api: Api) -> None:
    subscription = await api.subscribe("http://127.0.0.1:9/nobody", "report.run")
    report = api.make_report(rows=("sql", {"sql": "SELECT 1 AS n"}))
    await api.run(report.id)
    await until(lambda: has_attempt(api))
    assert (await scrape(api))["deliveries_waiting", "retried"] == 1
    # Its deliveries wait, whenever they are due.
    await api.client.post(f"/api/v1/webhook_subscription/{subscription['id']}/disable")
    for seconds in (-100, 1000):
        with api.parts.database.writing() as session:
            session.execute(update(Delivery).values(next_attempt_on=get_now() - timedelta(seconds=seconds)))
        figures = await scrape(api)
        assert figures["work_waiting", "delivery"] == figures["deliveries_waiting", "paused"] == 1
        assert figures["work_lag_seconds", "delivery"] == 0, "no worker is late"


async def test_what_a_worker_does_is_measured(api: Api, subscriber: Subscriber) -> None:
    before = await scrape(api)
    await api.subscribe(subscriber.url, "report.run")
    report = api.make_report(rows=("sql", {"sql": "SELECT 1 AS n"}), bad=("sql", {"sql": "SELECT nothing"}))
    run = await api.run(report.id)
    subscriber.wait_for_run("report.run", run["run_id"])
    for name in (
        ("run_seconds_count", "run", "failed"),
        ("block_seconds_count", "success", "sql"),
        ("block_seconds_count", "failed", "sql"),
        ("delivery_attempt_seconds_count", "delivered"),
    ):
        await until_async(partial(has_grown, api, name, before[name]))
    assert (await scrape(api))["run_seconds_count", "query_run", "success"] == 0
    assert (await scrape(api))["database_statement_seconds_count",] > 100


async def test_the_block_of_a_cancelled_run_has_not_failed(api: Api) -> None:
    before = await scrape(api)
    report = api.make_report(endless=sql(ENDLESS))
    uid = report.blocks["endless"]
    run_id = await api.run_block(uid)
    await until(lambda: any(one.name.startswith("query-watch") for one in threading.enumerate()))
    read_accepted(await api.client.post(f"/api/v1/block/{uid}/run/{run_id}/cancel"))
    cancelled = ("block_seconds_count", "cancelled", "sql")
    await until_async(partial(has_grown, api, cancelled, before[cancelled]))
    failed = ("block_seconds_count", "failed", "sql")
    assert (await scrape(api))[failed] == before[failed]


async def test_a_worker_without_a_heartbeat_within_the_lease_does_not_count(api: Api) -> None:
    with api.parts.database.writing() as session:
        session.add(Worker(worker_id="old", host="h", pid=1, beat_on=get_now() - timedelta(hours=1)))
    assert (await scrape(api))["workers",] == 1
    assert (await api.client.get("/health/ready")).json()["workers"] == 1


@pytest.mark.parametrize("headers", [{"Authorization": ""}, {"Authorization": "Bearer wrong"}])
async def test_figures_need_the_token_of_an_admin(app: FastAPI, api: Api, headers: dict[str, str]) -> None:
    answer: httpx.Response = await api.client.get("/metrics", headers=headers)
    assert answer.status_code == 401
