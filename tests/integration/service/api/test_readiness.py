"""``GET /health/ready`` tells whether the service can record what it accepts."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.service.app import build_app
from tests.fakes.full_disk import fill_disk
from tests.fakes.postgres import make_read_only
from tests.fakes.service_process import ServiceProcess, run_ready_service, run_worker
from tests.fakes.waiting import until_async, wait_until
from tests.integration.service.conftest import open_client, run_parts


def read_fault(service: ServiceProcess) -> str:
    answer = service.client.get("/health/ready")
    return "" if answer.status_code == 200 else str(answer.json()["message"])


@pytest.mark.slow
def test_worker_that_can_record_nothing_is_not_ready(tmp_path: Path) -> None:
    with run_ready_service(tmp_path / "data", "--worker-lease-seconds", "2") as service:
        _, worker, *_ = service.list_pids()
        with fill_disk(worker):
            wait_until(lambda: "heartbeat" in read_fault(service))
        wait_until(lambda: not read_fault(service))


@pytest.mark.slow
@pytest.mark.postgres
def test_service_whose_worker_is_frozen_is_not_ready_although_others_work(
    tmp_path: Path, postgres_url: str
) -> None:
    url = ("--database-url", postgres_url, "--worker-lease-seconds", "2")
    with run_ready_service(tmp_path / "data", *url) as service, run_worker(tmp_path / "data", *url):
        wait_until(lambda: service.client.get("/health/ready").json().get("workers") == 2)
        _, worker, *_ = service.list_pids()
        os.kill(worker, signal.SIGSTOP)
        wait_until(lambda: "heartbeat" in read_fault(service))
        os.kill(worker, signal.SIGCONT)
        wait_until(lambda: not read_fault(service))


@pytest.mark.slow
def test_database_file_that_was_taken_away_is_not_ready(tmp_path: Path) -> None:
    with run_ready_service(tmp_path / "data") as service:
        (file,) = (tmp_path / "data").glob("*.db")
        file.unlink()
        assert read_fault(service)


@pytest.mark.postgres
async def test_service_without_a_worker_is_not_ready_while_the_database_accepts_no_writes(
    tmp_path: Path, postgres_url: str
) -> None:
    with run_parts(tmp_path, database_url=postgres_url, executes=False) as parts:
        async with open_client(build_app(parts)) as client:
            assert (await client.get("/health/ready")).status_code == 200

            async def says_why() -> bool:
                answer = await client.get("/health/ready")
                return answer.status_code == 503 and "accepts no writes" in answer.text

            async def is_ready() -> bool:
                return (await client.get("/health/ready")).status_code == 200

            with make_read_only(postgres_url):
                await until_async(says_why)
            await until_async(is_ready)  # nobody else has replaced its sessions
