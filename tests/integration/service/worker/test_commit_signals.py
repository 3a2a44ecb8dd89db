"""What another process commits is begun at once, and not when somebody looks for it next."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from sqlalchemy import select

from airflow_provider_pushmetrics.service.models import Run
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_keys
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from tests.fakes.service_process import API_TOKEN, run_service, run_worker
from tests.fakes.service_reports import make_report, text
from tests.fakes.service_subscriber import Subscriber
from tests.fakes.waiting import wait_until
from tests.integration.service.processes.test_whole_service import open_data

BOUND_SECONDS = 3.0
"""Far more than it takes, and far less than the time after which a worker looks without being told."""

COUNT = 5


@contextmanager
def run_processes(data_dir: Path, database_url: str | None) -> Iterator[str]:
    """Run a service with its worker beside it; on PostgreSQL, a worker by itself. Give the service's URL."""
    options = ["--allow-private-endpoints"]
    if database_url is None:
        with run_service(data_dir, *options) as service:
            service.wait_until_ready()
            yield str(service.client.base_url)
        return
    options += ["--database-url", database_url]
    with run_service(data_dir, *options, "--no-worker") as service, run_worker(data_dir, *options):
        service.wait_until_ready()
        yield str(service.client.base_url)


def test_run_and_event_that_another_process_committed_begin_at_once(
    tmp_path: Path, database_url: str | None, subscriber: Subscriber
) -> None:
    data_dir = tmp_path / "data"
    database = open_data(data_dir, database_url)
    report_id = make_report(database, Cipher(*load_secret_keys(data_dir)), data_dir, note=text("hello")).id
    with run_processes(data_dir, database_url) as url:
        subscribe(url, subscriber.url)
        measure_run(database, report_id)  # the worker may still be starting
        measure_event(database, subscriber, 0)
        runs = [measure_run(database, report_id) for _ in range(COUNT)]
        events = [measure_event(database, subscriber, number) for number in range(1, COUNT + 1)]
    assert max(runs) < BOUND_SECONDS, runs
    assert max(events) < BOUND_SECONDS, events
    database.close()


def subscribe(service_url: str, url: str) -> None:
    body = {"name": "s", "url": url, "events": ["report.updated"]}
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    answer = httpx.post(
        f"{service_url}/api/v1/webhook_subscription/", json=body, headers=headers, timeout=240
    )
    answer.raise_for_status()


def measure_run(database: Database, report_id: int) -> float:
    with database.writing() as session:
        run = Run(workspace_id=1, report_id=report_id, origin="api", given_parameters={}, parameters={})
        session.add(run)
    committed = time.monotonic()
    started = select(Run.id).where(Run.id == run.id, Run.started_on.is_not(None))

    def has_begun() -> bool:
        with database.reading() as session:
            return session.scalar(started) is not None

    wait_until(has_begun)
    return time.monotonic() - committed


def measure_event(database: Database, subscriber: Subscriber, number: int) -> float:
    with database.writing() as session:
        put_in_outbox(session, 1, {"event": "report.updated", "report_id": number})
    committed = time.monotonic()
    subscriber.wait_for(lambda one: one.event["report_id"] == number)
    return time.monotonic() - committed
