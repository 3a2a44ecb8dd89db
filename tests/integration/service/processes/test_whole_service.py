"""The service as a process: starting, stopping, and being killed in the middle of its work."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select

from airflow_provider_pushmetrics.service.accounts.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.models import BlockResult, Delivery, OutboxEvent, Run
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_keys
from tests.fakes.service_process import API_TOKEN, run_ready_service
from tests.fakes.service_reports import ENDLESS, SLOW, TRIGGER_TOKEN, MadeReport, make_report, sql, text
from tests.fakes.service_schedules import count_started, make_schedules
from tests.fakes.service_subscriber import Subscriber
from tests.fakes.waiting import wait_until


def open_data(data_dir: Path, database_url: str | None = None) -> Database:
    """Prepare a data folder, and the database, before a service runs on them."""
    data_dir.mkdir(exist_ok=True)
    database = Database(database_url or f"sqlite:///{data_dir}/service.db")
    database.migrate()
    bootstrap(database, data_dir, API_TOKEN)
    return database


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def database(data_dir: Path) -> Iterator[Database]:
    database = open_data(data_dir)
    yield database
    database.close()


def save_report(database: Database, data_dir: Path, **blocks: tuple[str, dict[str, Any]]) -> MadeReport:
    return make_report(database, Cipher(*load_secret_keys(data_dir)), data_dir, **blocks)


def read_results(database: Database, run_id: int) -> dict[str, BlockResult]:
    with database.reading() as session:
        rows = session.scalars(select(BlockResult).where(BlockResult.run_id == run_id))
        return {row.name: row for row in rows}


def read_status(database: Database, run_id: int) -> str:
    with database.reading() as session:
        return session.get_one(Run, run_id).status


@pytest.mark.slow
def test_killed_in_the_middle_of_a_run_it_goes_on_at_the_next_start(
    database: Database, data_dir: Path, subscriber: Subscriber
) -> None:
    made = save_report(
        database,
        data_dir,
        quick=sql("SELECT 1 AS n"),
        slow=sql(SLOW + " WHERE {{ quick.data[0].n }} = 1"),
    )
    trigger = f"/api/v1/report/{made.id}/webhook?token={TRIGGER_TOKEN}"
    with run_ready_service(data_dir, "--allow-private-endpoints") as service:
        service.subscribe(subscriber.url)
        run_id = service.client.post(trigger).json()["run_id"]
        wait_until(lambda: "quick" in read_results(database, run_id))
        accepted_last = service.client.post(trigger).json()["run_id"]
        service.stop(signal.SIGKILL)
    before = read_results(database, run_id)
    assert (set(before), read_status(database, run_id)) == ({"quick"}, "running")

    with run_ready_service(data_dir, "--allow-private-endpoints") as service:
        for one in (run_id, accepted_last):
            received = subscriber.wait_for_run("report.run", one)
            assert received.event["report_id"] == made.id
            outputs = service.client.get(f"/api/reports/{made.id}/run/{one}").json()
            assert outputs["status"] == "success"
            assert [block["status"] for block in outputs["blocks"]] == ["success", "success"]
        assert service.stop() == 0

    after = read_results(database, run_id)
    assert after["quick"].id == before["quick"].id, "what was done before the crash is not done again"
    with database.reading() as session:
        events = session.scalars(select(OutboxEvent)).all()
    assert len(events) == 2, "one event for each run"


@pytest.mark.slow
def test_killed_while_schedules_come_due_each_is_run_exactly_once(database: Database, data_dir: Path) -> None:
    made = save_report(database, data_dir, note=text("hello"))
    with run_ready_service(data_dir) as service:
        schedules = make_schedules(service.client, made.id, 12)
        wait_until(lambda: len(count_started(database)) >= 3)
        service.stop(signal.SIGKILL)
    assert 3 <= len(count_started(database)) < len(schedules), "some are due only now"

    with run_ready_service(data_dir) as service:
        wait_until(lambda: len(count_started(database, "success")) == len(schedules))
        time.sleep(1.5)  # the clock is looked at once more
        assert service.stop() == 0
    assert count_started(database) == dict.fromkeys(schedules, 1)


@pytest.mark.slow
def test_stopped_in_the_middle_of_a_run_it_ends_in_time_and_goes_on_later(
    database: Database, data_dir: Path
) -> None:
    made = save_report(database, data_dir, endless=sql(ENDLESS))
    with run_ready_service(data_dir) as service:
        trigger = f"/api/v1/report/{made.id}/webhook?token={TRIGGER_TOKEN}"
        run_id = service.client.post(trigger).json()["run_id"]
        wait_until(lambda: read_status(database, run_id) == "running")
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 60
    assert read_status(database, run_id) == "running"
    assert "continues at the next start" in data_dir.with_suffix(".log").read_text()


@pytest.mark.slow
def test_demo_starts_from_nothing_and_shows_no_token(data_dir: Path) -> None:
    with run_ready_service(data_dir, "--demo") as service:
        token = service.client.get("/api/v1/webhook/1").json()["result"]["token"]
        answer = service.client.get(f"/api/v1/report/1/webhook?token={token}&origin=JFK&month=2")
        run_id = answer.json()["run_id"]
        url = f"/api/reports/1/run/{run_id}"
        wait_until(lambda: service.client.get(url).status_code == 200)
        assert service.client.get(url).json()["queries"][0]["row_count"] == 10
        wrong = service.client.get("/api/v1/report/1/webhook?token=wrong-but-secret")
        assert wrong.status_code == 401
        assert service.stop() == 0
    log = data_dir.with_suffix(".log").read_text()
    assert "GET /api/v1/report/1/webhook 200" in log
    assert log.rstrip().endswith("stopped"), "libraries print what they leak"
    for secret in (token, API_TOKEN, "wrong-but-secret"):
        assert secret not in log


@pytest.mark.slow
def test_killed_between_the_answer_and_its_record_it_sends_the_event_again_under_its_id(
    database: Database, data_dir: Path, subscriber: Subscriber
) -> None:
    """Proof 13: at least once, and receivers can tell the repeat."""
    held = sqlite3.connect(data_dir / "service.db", isolation_level=None, check_same_thread=False)
    subscriber.before_answer = lambda: held.execute("BEGIN IMMEDIATE")
    with run_ready_service(data_dir, "--allow-private-endpoints") as service:
        created = service.subscribe(subscriber.url)
        service.client.post(f"/api/v1/webhook_subscription/{created['id']}/test").raise_for_status()
        first = subscriber.wait_for(lambda one: True)
        time.sleep(0.5)  # the answer is there, and nobody but us can write
        service.stop(signal.SIGKILL)
    held.execute("ROLLBACK")
    held.close()
    with database.reading() as session:
        delivery = session.scalars(select(Delivery)).one()
        assert (delivery.status, delivery.attempt_count) == ("pending", 0)

    subscriber.before_answer = lambda: None
    with run_ready_service(data_dir, "--allow-private-endpoints") as service:
        wait_until(lambda: len(subscriber.received) == 2)
        url = f"/api/v1/webhook_delivery/{delivery.id}"
        wait_until(lambda: service.client.get(url).json()["result"]["status"] == "delivered")
        assert service.stop() == 0
    second = subscriber.received[1]
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    assert second.body == first.body
    assert len(subscriber.received) == 2


@pytest.mark.slow
def test_metrics_of_the_service_include_what_its_worker_has_done(database: Database, data_dir: Path) -> None:
    made = save_report(database, data_dir, q=sql("SELECT 1 AS n"))
    with run_ready_service(data_dir) as service:
        service.client.post(f"/api/v1/report/{made.id}/webhook?token={TRIGGER_TOKEN}").raise_for_status()
        done = 'pushmetrics_service_run_seconds_count{kind="run",status="success"} 1.0'
        wait_until(lambda: done in service.client.get("/metrics").raise_for_status().text)
        families = list(text_string_to_metric_families(service.client.get("/metrics").text))
        assert len({family.name for family in families}) == len(families) > 10
        assert service.stop() == 0
