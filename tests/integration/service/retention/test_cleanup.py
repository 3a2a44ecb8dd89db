"""What is old is deleted, and nothing that is unfinished, or that something unfinished refers to."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, text, update

from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.datasources.locations import SourcePlaces
from airflow_provider_pushmetrics.service.datasources.registry import SourceRegistry
from airflow_provider_pushmetrics.service.models import (
    Base,
    BlockResult,
    Delivery,
    DeliveryAttempt,
    OutboxEvent,
    OutgoingMessage,
    Report,
    Run,
    RunLogEntry,
)
from airflow_provider_pushmetrics.service.results.encoders.formats import FORMATS
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.retention.cleanup import CLEANUP_BATCH, Cleanup
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_keys
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from airflow_provider_pushmetrics.service.worker.engine import Engine
from tests.fakes.service_reports import ENDLESS, sql
from tests.fakes.service_reports import text as text_block
from tests.fakes.service_subscriber import Subscriber, add_subscription
from tests.fakes.waiting import LIMIT_SECONDS, wait_until
from tests.integration.service.conftest import Api, open_client, read_accepted, run_parts

OF_RUNS = (Run, BlockResult, RunLogEntry, OutboxEvent, Delivery, DeliveryAttempt, OutgoingMessage)


def clean(parts: ServiceParts, days: float, **settings: Any) -> None:
    """Clean as a worker does after so many days."""
    after = timedelta(days=days)
    wanted = ServiceSettings(parts.settings.data_dir, **settings)
    Cleanup(parts.database, parts.results, wanted, clock=lambda _: datetime.now(UTC) + after).run_once()


def count_rows(database: Database, *kinds: type[Base]) -> list[int]:
    with database.reading() as session:
        return [session.scalar(select(func.count()).select_from(kind)) or 0 for kind in kinds]


def age(database: Database, days: int) -> None:
    """Move all moments of runs, events and messages into the past."""
    with database.writing() as session:
        for kind in OF_RUNS:
            for column in kind.__table__.columns:
                if column.name.endswith("_on"):
                    for row_id, moment in session.execute(select(kind.id, column)).all():
                        if moment is not None:
                            past = {column.name: moment - timedelta(days=days)}
                            session.execute(update(kind).where(kind.id == row_id).values(past))


async def run_and_deliver(api: Api, subscriber: Subscriber) -> int:
    """Run a report with a query and a mail, wait until its event was answered, and give the run."""
    mail = {"to_": "ann@example.com", "subject": "s", "value": "{{ q.table }}"}
    made = api.make_report(q=sql("SELECT 1 AS n"), mail=("email", mail))
    add_subscription(api.parts.database, api.parts.cipher, subscriber.url, "report.run")
    outputs = await api.run(made.id)
    subscriber.wait_for_run("report.run", outputs["run_id"])
    return int(outputs["run_id"])


def wait_for_attempts(parts: ServiceParts) -> None:
    """Wait until every delivery had an attempt, and every message was looked at."""
    idle = select(func.count()).select_from(Delivery).where(Delivery.worker_id.is_not(None))
    tried = select(func.count()).select_from(Delivery).where(Delivery.attempt_count == 0)
    mails = select(func.count()).select_from(OutgoingMessage).where(OutgoingMessage.status == "pending")

    def is_at_rest() -> bool:
        with parts.database.reading() as session:
            return not any(session.scalar(one) for one in (idle, tried, mails))

    wait_until(is_at_rest)


@pytest.fixture
def own_parts(tmp_path: Path, database_url: str | None) -> Iterator[ServiceParts]:
    """Give a service of a test's own."""
    with run_parts(tmp_path / "data", database_url=database_url, allow_private_endpoints=True) as parts:
        yield parts


@pytest.fixture
async def own(own_parts: ServiceParts) -> AsyncIterator[Api]:
    async with open_client(build_app(own_parts)) as client:
        yield Api(client, own_parts)


@pytest.mark.slow
async def test_service_deletes_what_ended_more_than_90_days_ago(
    tmp_path: Path, database_url: str | None, subscriber: Subscriber
) -> None:
    settings = {"database_url": database_url, "allow_private_endpoints": True}
    with run_parts(tmp_path / "data", **settings) as parts:
        async with open_client(build_app(parts)) as client:
            run_id = await run_and_deliver(Api(client, parts), subscriber)
        wait_for_attempts(parts)
        assert min(count_rows(parts.database, *OF_RUNS)) > 0
    with closing(Database(parts.settings.store_url)) as database:
        age(database, 91)
    with run_parts(tmp_path / "data", **settings) as parts:
        wait_until(lambda: count_rows(parts.database, Run) == [0])
        assert count_rows(parts.database, *OF_RUNS) == [0] * len(OF_RUNS)
        wait_until(lambda: not list(parts.settings.results_dir.glob("run-*")))
        async with open_client(build_app(parts)) as client:
            for path in (f"noteflow_run/{run_id}", f"noteflow_run/{run_id}/get_task_results"):
                gone = await client.get(f"/api/v1/{path}")
                unknown = await client.get(f"/api/v1/{path.replace(str(run_id), '424242')}")
                assert (gone.status_code, gone.json()) == (404, unknown.json())
            for path in ("noteflow_run", "noteflow_run_log", "webhook_delivery", "message"):
                listed = read_accepted(await client.get(f"/api/v1/{path}/"))
                assert (listed["count"], listed["result"]) == (0, [])
            again = await Api(client, parts).run_by_api(1)
            assert (again["status"], again["run_id"] > run_id) == ("success", True), "ids are not used again"


async def test_what_is_younger_is_kept(
    own: Api, subscriber: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = await run_and_deliver(own, subscriber)
    wait_for_attempts(own.parts)
    before = count_rows(own.parts.database, *OF_RUNS)
    with caplog.at_level("INFO"):
        clean(own.parts, 89)
        clean(own.parts, 100_000, keep_days=0)
    assert count_rows(own.parts.database, *OF_RUNS) == before
    assert "beyond the retention" not in caplog.text
    with caplog.at_level("INFO"):
        clean(own.parts, 2, keep_message_days=1)
        assert "deleted 1 messages beyond the retention limits" in caplog.text
        clean(own.parts, 2, keep_delivery_days=1)
        assert "deleted 1 deliveries, 1 events beyond" in caplog.text
    assert (await own.client.get(f"/api/v1/noteflow_run/{run_id}")).status_code == 200
    with caplog.at_level("INFO"):
        clean(own.parts, 91)
    assert "deleted 1 runs beyond" in caplog.text


async def test_run_is_kept_while_its_event_has_attempts_left(own: Api, subscriber: Subscriber) -> None:
    subscriber.statuses = [500]
    run_id = await run_and_deliver(own, subscriber)
    wait_for_attempts(own.parts)
    clean(own.parts, 400)
    assert count_rows(own.parts.database, Run, Delivery, OutboxEvent) == [1, 1, 1]
    assert (await own.client.get(f"/api/reports/1/run/{run_id}")).json()["status"] == "success"
    subscriber.statuses = [202]
    read_accepted(await own.client.post("/api/v1/webhook_delivery/1/resend"))
    wait_until(lambda: _find_statuses(own.parts, Delivery) == ["delivered"])
    clean(own.parts, 400)
    assert count_rows(own.parts.database, Run, Delivery, OutboxEvent) == [0, 0, 0]


def _find_statuses(parts: ServiceParts, kind: type[Delivery | OutgoingMessage]) -> list[str]:
    with parts.database.reading() as session:
        return list(session.scalars(select(kind.status)))


async def test_run_is_kept_while_a_message_of_its_blocks_waits(own: Api, subscriber: Subscriber) -> None:
    await run_and_deliver(own, subscriber)
    wait_for_attempts(own.parts)
    later = datetime.now(UTC) + timedelta(days=1)
    with own.parts.database.writing() as session:
        session.execute(update(OutgoingMessage).values(status="pending", next_attempt_on=later))
    clean(own.parts, 400)
    assert count_rows(own.parts.database, Run, BlockResult, OutgoingMessage) == [1, 2, 1]
    assert len(list(own.parts.settings.results_dir.glob("run-*/*.parquet"))) == 1
    with own.parts.database.writing() as session:
        session.execute(update(OutgoingMessage).values(status="kept"))
    clean(own.parts, 400)
    assert count_rows(own.parts.database, Run, BlockResult, OutgoingMessage) == [0, 0, 0]


def put_runs(database: Database, count: int, **values: Any) -> None:
    with database.writing() as session:
        report = Report(workspace_id=1, name="r")
        session.add(report)
        session.flush()
        common = {"workspace_id": 1, "report_id": report.id, "origin": "api"}
        for _ in range(count):
            session.add(Run(**common, given_parameters={}, parameters={}, **values))


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def test_unfinished_run_is_kept_however_old_it_is(database: Database, tmp_path: Path) -> None:
    for status, worker_id in (("pending", None), ("running", "w")):
        put_runs(database, 1, status=status, worker_id=worker_id, created_on=LONG_AGO)
    Cleanup(database, ResultStore(tmp_path / "results"), ServiceSettings(tmp_path)).run_once()
    assert count_rows(database, Run) == [2]


async def test_run_with_a_key_is_kept_as_long_as_its_call_may_be_repeated(own: Api) -> None:
    made = own.make_report(q=sql("SELECT 1 AS n"))
    token = await own.get_trigger_token(made.id)

    async def call(key: str | None) -> Any:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await own.client.post(f"/api/v1/report/{made.id}/webhook?token={token}", headers=headers)

    first, without = [read_accepted(await call(key))["run_id"] for key in ("k", None)]
    for run_id in (first, without):
        await own.wait_for(f"/api/reports/{made.id}/run/{run_id}")
    clean(own.parts, 6, keep_days=1)
    assert (await own.client.get(f"/api/v1/noteflow_run/{without}")).status_code == 404
    repeated = await call("k")
    assert (repeated.json()["run_id"], repeated.headers["idempotency-replayed"]) == (first, "true")
    clean(own.parts, 8, keep_days=1)
    assert read_accepted(await call("k"))["run_id"] > without


async def test_newest_result_that_gives_choices_is_kept(own: Api) -> None:
    region = {"type": "text", "choices": {"query": "regions"}}
    made = own.make_report(
        region=("parameter", region), regions=sql("SELECT 'EMEA' AS region"), note=text_block("{{ region }}")
    )
    runs = [(await own.run(made.id))["run_id"] for _ in range(3)]
    clean(own.parts, 400)
    listed = (await own.client.get("/api/v1/noteflow_run/")).json()
    assert (listed["count"], listed["ids"]) == (1, [runs[-1]])
    assert (await own.run(made.id, region="EMEA"))["status"] == "success"


def test_two_workers_that_clean_at_once_delete_each_row_once(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    count = 3 * CLEANUP_BATCH + 7
    put_runs(database, count, status="success", created_on=LONG_AGO, finished_on=LONG_AGO)
    put_runs(database, 2, status="success", finished_on=datetime.now(UTC))
    cleanups = [
        Cleanup(database, ResultStore(tmp_path / "results"), ServiceSettings(tmp_path)) for _ in range(2)
    ]
    threads = [threading.Thread(target=one.run_once) for one in cleanups]
    with caplog.at_level("INFO"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(map(int, re.findall(r"deleted (\d+) runs", caplog.text))) == count
    assert count_rows(database, Run) == [2]


def test_delivery_that_is_sent_again_meanwhile_is_kept(database: Database, tmp_path: Path) -> None:
    add_subscription(database, Cipher(*load_secret_keys(tmp_path)), "https://a.example", "e")
    with database.writing() as session:
        put_in_outbox(session, 1, {"event": "e"})
        session.execute(update(OutboxEvent).values(created_on=LONG_AGO))
        session.execute(update(Delivery).values(created_on=LONG_AGO, finished_on=LONG_AGO, status="failed"))
    other = Database(database.url)

    @event.listens_for(database.engine, "after_cursor_execute")
    def send_again(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM delivery" in statement and "LIMIT" in statement:
            with other.writing() as session:
                session.execute(update(Delivery).values(finished_on=None, status="pending"))

    Cleanup(database, ResultStore(tmp_path / "results"), ServiceSettings(tmp_path)).run_once()
    assert count_rows(database, Delivery, OutboxEvent) == [1, 1]
    other.close()


@pytest.mark.postgres
def test_row_that_another_transaction_holds_is_not_waited_for(postgres_url: str, tmp_path: Path) -> None:
    database = Database(postgres_url)
    database.migrate()
    with database.writing() as session:
        session.execute(text("INSERT INTO workspace (uid, created_on, name) VALUES ('u', now(), 'w')"))
    put_runs(database, 2, status="success", created_on=LONG_AGO, finished_on=LONG_AGO)
    with database.writing() as session:
        session.scalars(select(Run).where(Run.id == 1).with_for_update()).one()
        Cleanup(database, ResultStore(tmp_path / "results"), ServiceSettings(tmp_path)).run_once()
        assert count_rows(database, Run) == [1]
    database.close()


async def test_result_that_was_deleted_is_not_found(own: Api) -> None:
    made = own.make_report(numbers=sql("SELECT range AS n FROM range(10)"))
    url = (await own.run(made.id))["queries"][0]["query_result"]
    clean(own.parts, 8, result_retention_days=7)
    for media_type in FORMATS:
        answer = await own.client.get(url, headers={"Accept": media_type})
        assert (answer.status_code, answer.json()) == (404, {"message": "The result is no longer kept"})


def list_result_folders(parts: ServiceParts) -> list[str]:
    return sorted(path.parent.name for path in parts.settings.results_dir.glob("*/*.parquet"))


async def test_result_that_gives_choices_outlasts_other_results(own: Api) -> None:
    region = {"type": "text", "choices": {"query": "regions"}}
    made = own.make_report(
        region=("parameter", region), regions=sql("SELECT 'EMEA' AS region"), note=text_block("{{ region }}")
    )
    runs = [(await own.run(made.id))["run_id"] for _ in range(2)]
    clean(own.parts, 8, result_retention_days=7)
    assert list_result_folders(own.parts) == [f"run-{runs[-1]}"]
    assert (await own.run(made.id, region="EMEA"))["status"] == "success"


@pytest.mark.parametrize("unfinished", [Run, OutgoingMessage, Delivery])
async def test_results_are_kept_while_something_of_their_run_has_not_ended(
    own: Api, subscriber: Subscriber, unfinished: type[Run | OutgoingMessage | Delivery]
) -> None:
    run_id = await run_and_deliver(own, subscriber)
    wait_for_attempts(own.parts)
    later = datetime.now(UTC) + timedelta(days=1)
    states: dict[type[Base], dict[str, Any]] = {
        Run: {"finished_on": None, "status": "running", "worker_id": "another"},
        OutgoingMessage: {"status": "pending", "next_attempt_on": later},
        Delivery: {"finished_on": None, "status": "pending", "next_attempt_on": later},
    }
    with own.parts.database.writing() as session:
        session.execute(update(unfinished).values(states[unfinished]))
    clean(own.parts, 8, result_retention_days=7)
    assert list_result_folders(own.parts) == [f"run-{run_id}"]
    with own.parts.database.writing() as session:
        session.execute(update(unfinished).values(finished_on=datetime.now(UTC), status="failed"))
    clean(own.parts, 8, result_retention_days=7)
    assert list_result_folders(own.parts) == []


class SlowStore(ResultStore):
    """Results on storage that does not answer until a test says so."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.is_asked, self.answers = threading.Event(), threading.Event()

    def clean_unfinished(self, before: datetime) -> int:
        self.is_asked.set()
        self.answers.wait(LIMIT_SECONDS)
        return super().clean_unfinished(before)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)  # it waits for 5 s
def test_worker_that_is_still_deleting_has_ended_its_work(database: Database, tmp_path: Path) -> None:
    settings, cipher, results = ServiceSettings(tmp_path), Cipher("k" * 32), SlowStore(tmp_path / "results")
    places = SourcePlaces(tmp_path, ())
    with closing(SourceRegistry(database, cipher, places, settings.egress_rules)) as sources:
        engine = Engine(settings, "me", database, cipher, results, sources)
        engine.start()
        assert results.is_asked.wait(LIMIT_SECONDS)
        try:
            assert engine.stop()
        finally:
            results.answers.set()
            wait_until(lambda: "cleanup" not in {thread.name for thread in threading.enumerate()})


def test_only_old_results_are_deleted(database: Database, tmp_path: Path) -> None:
    results = ResultStore(tmp_path / "results")
    for name, days in (("run-1/old.parquet", 8), ("run-1/new.parquet", 6), ("unfinished/old.partial", 8)):
        path = tmp_path / "results" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        moment = (datetime.now(UTC) - timedelta(days=days)).timestamp()
        os.utime(path, (moment, moment))
    Cleanup(database, results, ServiceSettings(tmp_path)).run_once()
    assert list((tmp_path / "results" / "unfinished").iterdir()) == [], "nobody is writing it any more"
    assert len(list((tmp_path / "results" / "run-1").iterdir())) == 2
    Cleanup(database, results, ServiceSettings(tmp_path, result_retention_days=7)).run_once()
    found = sorted(path.name for path in (tmp_path / "results").rglob("*"))
    assert found == ["new.parquet", "run-1", "unfinished"]


async def test_results_that_no_row_names_are_deleted_a_day_after_they_were_written(own: Api) -> None:
    made = own.make_report(q=sql("SELECT 1 AS n"))
    run_id = (await own.run(made.id))["run_id"]
    block_run_id = await own.run_block(made.blocks["q"])
    await own.wait_for(f"/api/reports/{made.id}/queries/{made.queries['q']}/run/{block_run_id}")
    unfinished_id = await own.trigger(own.make_report(endless=sql(ENDLESS)).id)
    folder, uid = own.parts.settings.data_dir / "results", made.blocks["q"]
    recorded = sorted(folder.glob("*/*.parquet"))
    kept = [
        folder / name
        for name in (
            f"run-{unfinished_id}/{uid}-left.parquet",
            f"run-{run_id}/another-block.parquet",
            f"run-{run_id}/{uid}-young.parquet",
            f"run-999999/{uid}-of_another_service.parquet",
            f"run-0{run_id}/{uid}-left.parquet",
            f"another-{run_id}/{uid}-left.parquet",
        )
    ]
    names = (f"run-{run_id}", f"query-run-{block_run_id}")
    left = [folder / f"{name}/{uid}-left.{ending}" for name in names for ending in ("parquet", "zip")]
    for path in (*kept, *left):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(recorded[0].read_bytes())
    in_two_days = (datetime.now(UTC) + timedelta(days=2)).timestamp()
    os.utime(kept[2], (in_two_days, in_two_days))
    clean(own.parts, 2, keep_days=0)
    assert sorted(folder.glob("*-*/*")) == sorted([*recorded, *kept])
    assert len(recorded) == 2
    read_accepted(await own.client.post(f"/api/v1/noteflow_run/{unfinished_id}/cancel"))
