"""Several processes on one PostgreSQL: a service that only answers, and workers of which one is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select

from airflow_provider_pushmetrics.service.accounts.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.models import BlockResult, OutboxEvent, Run, Worker
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_keys
from tests.fakes.relay import Relay
from tests.fakes.service_process import API_TOKEN, COMMAND, run_service, run_worker
from tests.fakes.service_reports import SLOW, TRIGGER_TOKEN, make_report, sql, text
from tests.fakes.service_schedules import count_started, make_schedules
from tests.fakes.service_subscriber import Subscriber
from tests.fakes.waiting import wait_until

pytestmark = pytest.mark.postgres

VERY_SLOW = SLOW.replace("12000", "15000")
"""Long enough that its worker is killed in the middle of it."""


@pytest.fixture
def shared(tmp_path: Path, postgres_url: str) -> Iterator[Database]:
    """Give the database of processes that also share the folder ``data``."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    database = Database(postgres_url)
    database.migrate()
    bootstrap(database, data_dir, API_TOKEN)
    yield database
    database.close()


def list_workers(database: Database) -> list[int]:
    with database.reading() as session:
        return list(session.scalars(select(Worker.pid).order_by(Worker.id)))


def list_recorded(database: Database, run_id: int) -> dict[str, int]:
    with database.reading() as session:
        rows = session.scalars(select(BlockResult).where(BlockResult.run_id == run_id))
        return {row.name: row.id for row in rows}


@pytest.mark.slow
def test_killed_worker_s_run_is_taken_over_by_another(
    tmp_path: Path, shared: Database, postgres_url: str, subscriber: Subscriber
) -> None:
    """Proof 14."""
    data_dir, database = tmp_path / "data", shared
    cipher = Cipher(*load_secret_keys(data_dir))
    made = make_report(
        database,
        cipher,
        data_dir,
        quick=sql("SELECT 1 AS n"),
        slow=sql(VERY_SLOW + " WHERE {{ quick.data[0].n }} = 1"),
    )
    options = ("--database-url", postgres_url, "--allow-private-endpoints", "--worker-lease-seconds", "4")
    with (
        run_service(data_dir, *options, "--no-worker") as service,
        run_worker(data_dir, *options) as first,
    ):
        service.wait_until_ready()
        wait_until(lambda: list_workers(database) == [first.pid])
        service.subscribe(subscriber.url)
        answer = service.client.post(f"/api/v1/report/{made.id}/webhook?token={TRIGGER_TOKEN}")
        run_id = answer.json()["run_id"]
        wait_until(lambda: "quick" in list_recorded(database, run_id))
        before = list_recorded(database, run_id)
        first.kill()
        with run_worker(data_dir, *options) as second:
            received = subscriber.wait_for_run("report.run", run_id, timeout_seconds=120)
            assert received.event["report_id"] == made.id
            outputs = service.client.get(f"/api/reports/{made.id}/run/{run_id}").json()
            assert outputs["status"] == "success"
            wait_until(lambda: list_workers(database) == [second.pid])
            second.terminate()
            assert second.wait(timeout=120) == 0
        assert list_workers(database) == []
        assert service.stop() == 0
    after = list_recorded(database, run_id)
    assert after["quick"] == before["quick"], "what was done before is not done again"
    with database.reading() as session:
        assert len(session.scalars(select(OutboxEvent)).all()) == 1
        assert session.get_one(Run, run_id).status == "success"
    assert len(subscriber.received) == 1


@pytest.mark.slow
def test_schedules_are_run_exactly_once_by_two_workers_of_which_one_is_killed(
    tmp_path: Path, shared: Database, postgres_url: str
) -> None:
    data_dir, database = tmp_path / "data", shared
    made = make_report(database, Cipher(*load_secret_keys(data_dir)), data_dir, note=text("hello"))
    options = ("--database-url", postgres_url, "--worker-lease-seconds", "4")
    with (
        run_service(data_dir, *options, "--no-worker") as service,
        run_worker(data_dir, *options) as first,
        run_worker(data_dir, *options),
    ):
        service.wait_until_ready()
        wait_until(lambda: len(list_workers(database)) == 2)
        schedules = make_schedules(service.client, made.id, 12)
        wait_until(lambda: len(count_started(database)) >= 3)
        first.kill()
        assert len(count_started(database)) < len(schedules), "some are due only now"
        wait_until(lambda: len(count_started(database, "success")) == len(schedules))
        time.sleep(1.5)  # the clock is looked at once more
    assert count_started(database) == dict.fromkeys(schedules, 1)


@pytest.mark.slow
def test_outage_of_the_database_loses_no_run_and_repeats_no_event(
    tmp_path: Path, shared: Database, postgres_url: str, subscriber: Subscriber
) -> None:
    data_dir, database = tmp_path / "data", shared
    made = make_report(database, Cipher(*load_secret_keys(data_dir)), data_dir, q=sql("SELECT 1 AS n"))
    trigger = f"/api/v1/report/{made.id}/webhook?token={TRIGGER_TOKEN}"
    accepted, refused = [], []
    with ExitStack() as stack:
        relay = stack.enter_context(Relay.open(postgres_url))
        options = ("--database-url", relay.url, "--allow-private-endpoints", "--worker-lease-seconds", "4")
        service = stack.enter_context(run_service(data_dir, *options, "--no-worker"))
        for _ in range(2):
            stack.enter_context(run_worker(data_dir, *options))
        service.wait_until_ready()
        wait_until(lambda: len(list_workers(database)) == 2)
        service.subscribe(subscriber.url)

        def pull(times: int) -> None:
            for _ in range(times):
                answer = service.client.post(trigger)
                if answer.status_code == 200:
                    accepted.append(answer.json()["run_id"])
                else:
                    refused.append(answer.status_code)

        pull(40)  # some of them are at work when the database goes
        with relay.be_down():
            pull(3)
            time.sleep(6)  # longer than the lease: nobody may be taken for dead for it
        pull(5)
        wait_until(lambda: count_ended(database, accepted) == len(accepted))
        for run_id in accepted:
            subscriber.wait_for_run("report.run", run_id, timeout_seconds=120)
        time.sleep(1)  # nothing comes twice
    assert (len(accepted), refused) == (45, [503] * 3)
    assert len({one.headers["webhook-id"] for one in subscriber.received}) == len(accepted)
    with database.reading() as session:
        assert len(session.scalars(select(OutboxEvent)).all()) == len(accepted)


@pytest.mark.slow
def test_frozen_worker_stops_no_run_and_no_delivery_of_others(
    tmp_path: Path, shared: Database, postgres_url: str, subscriber: Subscriber
) -> None:
    data_dir, database = tmp_path / "data", shared
    cipher = Cipher(*load_secret_keys(data_dir))
    slow = make_report(database, cipher, data_dir, slow=sql(VERY_SLOW)).id
    quick = make_report(database, cipher, data_dir, note=text("hello")).id
    options = ("--database-url", postgres_url, "--allow-private-endpoints", "--worker-lease-seconds", "4")

    def trigger(report_id: int) -> int:
        answer = service.client.post(f"/api/v1/report/{report_id}/webhook?token={TRIGGER_TOKEN}")
        run_id: int = answer.json()["run_id"]
        return run_id

    with (
        run_service(data_dir, *options, "--no-worker") as service,
        run_worker(data_dir, *options) as frozen,
    ):
        service.wait_until_ready()
        service.subscribe(subscriber.url)
        run_ids = [trigger(slow)]
        wait_until(lambda: read_status(database, run_ids[0]) == "running")
        with run_worker(data_dir, *options) as working:
            wait_until(lambda: list_workers(database) == [frozen.pid, working.pid])
            frozen.send_signal(signal.SIGSTOP)
            try:
                run_ids += [trigger(quick) for _ in range(5)]
                for run_id in run_ids[1:]:
                    subscriber.wait_for_run("report.run", run_id)
                wait_until(lambda: list_workers(database) == [working.pid])
                subscriber.wait_for_run("report.run", run_ids[0])
            finally:
                frozen.send_signal(signal.SIGCONT)
            wait_until(lambda: len(list_workers(database)) == 2)
            time.sleep(1)  # nothing comes twice
    assert count_ended(database, run_ids) == len(run_ids)
    assert len(subscriber.received) == len({one.headers["webhook-id"] for one in subscriber.received})
    assert len(subscriber.received) == len(run_ids)


def read_status(database: Database, run_id: int) -> str:
    with database.reading() as session:
        return session.get_one(Run, run_id).status


def count_ended(database: Database, run_ids: list[int]) -> int:
    with database.reading() as session:
        return len(session.scalars(select(Run).where(Run.id.in_(run_ids), Run.status == "success")).all())


@pytest.mark.parametrize("arguments", [("worker",), ("service", "--no-worker")])
def test_processes_that_share_need_postgresql(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments, "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 1
    assert "needs PostgreSQL" in done.stderr
