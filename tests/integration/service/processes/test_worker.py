"""A service and its worker are two processes: what becomes of the one when the other ends."""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.service.processes.supervisor import COMMAND, Assignment
from airflow_provider_pushmetrics.service.runs.execution.plan import MAX_LOST_WORKERS
from airflow_provider_pushmetrics.service.runtime import WORKER_FILE
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_keys
from tests.fakes.service_process import API_TOKEN, ServiceProcess, run_ready_service, run_service
from tests.fakes.service_reports import ENDLESS, TRIGGER_TOKEN, make_report, sql
from tests.fakes.service_subscriber import Subscriber
from tests.fakes.waiting import wait_until
from tests.integration.service.processes.test_whole_service import open_data


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Give a data folder with two reports: one of a quick query, one of a query without an end."""
    data_dir = tmp_path / "data"
    database = open_data(data_dir)
    cipher = Cipher(*load_secret_keys(data_dir))
    make_report(database, cipher, data_dir, one=sql("SELECT 1 AS n"))
    make_report(database, cipher, data_dir, endless=sql(ENDLESS))
    database.close()
    return data_dir


QUICK, LONG = 1, 2


def trigger(service: ServiceProcess, report_id: int) -> int:
    answer = service.client.post(f"/api/v1/report/{report_id}/webhook?token={TRIGGER_TOKEN}")
    run_id: int = answer.json()["run_id"]
    return run_id


def read_status(service: ServiceProcess, run_id: int) -> str:
    rows = service.client.get("/api/v1/noteflow_run/?q=(page_size:100)").json()["result"]
    return next(str(row["status"]) for row in rows if row["id"] == run_id)


def read_worker(data_dir: Path, run_id: int) -> str | None:
    with closing(sqlite3.connect(data_dir / "service.db", timeout=120)) as database:
        found = database.execute("SELECT worker_id FROM run WHERE id = ?", (run_id,)).fetchone()
    worker_id: str | None = found[0]
    return worker_id


@pytest.mark.slow
def test_worker_whose_service_dies_during_its_start_stops(data_dir: Path) -> None:
    settings = ServiceSettings(data_dir=data_dir, bootstrap_token=API_TOKEN)
    worker = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert worker.stdin is not None
    assert worker.stdout is not None
    assert worker.stderr is not None
    worker.stdout.close()
    worker.stdin.write(pickle.dumps(Assignment(settings, "first")))
    worker.stdin.close()
    said = worker.stderr.read().decode()
    assert (worker.wait(120), "cannot go on" in said) == (0, False), said
    worker.stderr.close()


@pytest.mark.slow
def test_run_that_was_claimed_and_never_begun_is_released(data_dir: Path) -> None:
    """As if the database had gone away while it answered the claim."""
    with run_ready_service(data_dir, "--worker-lease-seconds", "1") as service:
        worker_id = (data_dir / WORKER_FILE).read_text("ascii").strip()
        with closing(sqlite3.connect(data_dir / "service.db", timeout=120)) as database, database:
            database.execute(
                "INSERT INTO run (workspace_id, report_id, status, origin, given_parameters, parameters,"
                " worker_id, lost_workers, re_run_count, uid, created_on)"
                " VALUES (1, ?, 'pending', 'api', '{}', '{}', ?, 0, 0, 'forgotten', '2026-01-01 00:00:00')",
                (QUICK, worker_id),
            )
        wait_until(lambda: read_status(service, 1) == "success")
    assert "claimed, and not active" in data_dir.with_suffix(".log").read_text()


@pytest.mark.slow
def test_run_that_has_killed_three_workers_fails_and_the_others_succeed(
    data_dir: Path, subscriber: Subscriber
) -> None:
    with run_ready_service(data_dir, "--allow-private-endpoints") as service:
        service.subscribe(subscriber.url)
        run_id, others = trigger(service, LONG), []
        for _ in range(MAX_LOST_WORKERS):
            wait_until(lambda: read_status(service, run_id) == "running")
            wait_until(lambda: read_worker(data_dir, run_id) is not None)
            os.kill(service.list_pids()[1], signal.SIGKILL)
            wait_until(lambda: service.client.get("/health/ready").status_code == 503)
            others.append(trigger(service, QUICK))
            service.wait_until_ready(60)
        wait_until(lambda: read_status(service, run_id) == "failed")
        wait_until(lambda: {read_status(service, other) for other in others} == {"success"})
        outputs = service.client.get(f"/api/reports/{LONG}/run/{run_id}").json()
        assert "3 workers died while they executed this run, the last one at endless" in outputs["error"]
        assert [block["status"] for block in outputs["blocks"]] == ["not_run"]
        assert subscriber.wait_for_run("report.run", run_id).event["report_id"] == LONG


@pytest.mark.slow
def test_killed_worker_is_replaced_and_its_run_goes_on(data_dir: Path) -> None:
    with run_ready_service(data_dir) as service:
        server, worker = service.list_pids()
        long = trigger(service, LONG)
        wait_until(lambda: read_status(service, long) == "running")
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: service.client.get("/health/ready").status_code == 503)
        accepted_meanwhile = trigger(service, QUICK)
        service.wait_until_ready(30)
        assert service.list_pids()[0] == server
        assert service.list_pids()[1] != worker
        wait_until(lambda: read_status(service, accepted_meanwhile) == "success")
        assert read_status(service, long) == "running"
        uid = service.client.get(f"/api/v1/noteflow_run/{long}").json()["result"]["uid"]
        service.client.post(f"/api/v1/noteflow_run/{uid}/cancel").raise_for_status()
        wait_until(lambda: read_status(service, long) == "cancelled")
        assert service.stop() == 0
        assert service.list_pids() == []
    assert "the worker ended with code -9" in data_dir.with_suffix(".log").read_text()


@pytest.mark.slow
def test_worker_of_a_killed_service_ends_by_itself_and_its_run_goes_on(data_dir: Path) -> None:
    with run_ready_service(data_dir) as service:
        run_id = trigger(service, LONG)
        wait_until(lambda: read_status(service, run_id) == "running")
        os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait(timeout=120)
        # At once, on the same folder: it is free, although the other's worker is still at its work.
        with run_ready_service(data_dir) as successor:
            wait_until(lambda: service.list_pids() == [])
            quick = trigger(successor, QUICK)
            wait_until(lambda: read_status(successor, quick) == "success")
            assert read_status(successor, run_id) == "running"
            assert successor.stop() == 0
            assert successor.list_pids() == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_all_processes_at_once_stops_them_in_order(data_dir: Path, number: int) -> None:
    """A terminal sends Ctrl-C to the whole group, and so does who stops the demo."""
    with run_ready_service(data_dir) as service:
        run_id = trigger(service, QUICK)
        os.killpg(service.process.pid, number)
        assert service.process.wait(timeout=120) == 0
        assert service.list_pids() == []
        assert run_id == 1
    log = data_dir.with_suffix(".log").read_text()
    assert "Traceback" not in log
    assert "the worker ended" not in log


@pytest.mark.slow
def test_service_that_is_stopped_while_it_starts_leaves_nothing(data_dir: Path) -> None:
    with run_service(data_dir) as service:
        wait_until(lambda: len(service.list_pids()) == 2)
        service.stop()
        wait_until(lambda: service.list_pids() == [])


HUNGRY = "SELECT count(*) AS n FROM (SELECT DISTINCT range * 7 AS a, range::text AS b FROM range(60000000))"


@pytest.mark.slow
def test_query_that_uses_up_the_memory_is_stopped_and_its_worker_goes_on(data_dir: Path) -> None:
    database = open_data(data_dir)
    hungry = make_report(database, Cipher(*load_secret_keys(data_dir)), data_dir, hungry=sql(HUNGRY)).id
    database.close()
    limits = ("--worker-memory-bytes", str(700 * 2**20), "--max-query-memory-bytes", str(4 * 2**30))
    with run_ready_service(data_dir, *limits) as service:
        worker = service.list_pids()[1]
        run_id = trigger(service, hungry)
        wait_until(lambda: read_status(service, run_id) == "failed", 60)
        outputs = service.client.get(f"/api/reports/{hungry}/run/{run_id}").json()
        assert "the worker's memory is used up" in outputs["error"]
        quick = trigger(service, QUICK)
        wait_until(lambda: read_status(service, quick) == "success")
        assert service.list_pids()[1] == worker
