"""Run places are shared: a report that fills the queue with long queries does not hold up others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_keys
from tests.fakes.service_process import ServiceProcess, run_service, run_worker
from tests.fakes.service_reports import ENDLESS, TRIGGER_TOKEN, make_report, sql
from tests.fakes.waiting import wait_until
from tests.integration.service.processes.test_whole_service import open_data

START_SECONDS = 2.0
"""Within so many seconds a run of another workspace starts, whatever waits, on an idle machine."""

LATE_SECONDS = 60.0
"""What waits for one of the endless queries takes longer, however much the machine does."""

HOGS = 2
LONG_RUNS = 30


@dataclass(frozen=True)
class Shared:
    """A running service with two workspaces, of which the first has filled the queue."""

    service: ServiceProcess
    other: httpx.Client

    def count(self, status: str) -> int:
        rows = self.service.client.get("/api/v1/noteflow_run/?q=(page_size:500)").json()["result"]
        return sum(row["status"] == status for row in rows)


def wait_until_running(shared: Shared, count: int) -> None:
    wait_until(lambda: shared.count("running") == count)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, shared_database_url: str | None) -> Iterator[Shared]:
    """Give a service with one worker of four places on SQLite, with two of them on PostgreSQL."""
    data_dir: Path = tmp_path_factory.mktemp("fairness") / "data"
    database = open_data(data_dir, shared_database_url)
    cipher = Cipher(*load_secret_keys(data_dir))
    hogs = [make_report(database, cipher, data_dir, endless=sql(ENDLESS)).id for _ in range(HOGS)]
    database.close()
    options = [] if shared_database_url is None else ["--database-url", shared_database_url]
    with ExitStack() as stack:
        no_worker = ["--no-worker"] if options else []
        service = stack.enter_context(run_service(data_dir, *options, *no_worker))
        if options:
            for _ in range(2):
                stack.enter_context(run_worker(data_dir, *options))
        service.wait_until_ready()
        token = service.client.post("/api/v1/workspace/", json={"name": "other"}).json()["token"]
        other = stack.enter_context(
            httpx.Client(
                base_url=service.client.base_url,
                headers={"Authorization": f"Bearer {token}"},
                timeout=240,
                trust_env=False,
            )
        )
        for _ in range(LONG_RUNS):
            service.client.post(f"/api/v1/report/{hogs[0]}/webhook?token={TRIGGER_TOKEN}").raise_for_status()
        shared = Shared(service, other)
        places = 8 if options else 4
        wait_until_running(shared, places // 2)
        for _ in range(LONG_RUNS):
            service.client.post(f"/api/v1/report/{hogs[1]}/webhook?token={TRIGGER_TOKEN}").raise_for_status()
        wait_until_running(shared, places - places // 4)
        yield shared


def trigger_and_measure(client: httpx.Client) -> float:
    """Run a report of a workspace by its trigger, and give the seconds until it started."""
    report = client.post(
        "/api/v1/report/",
        json={"name": "quick", "blocks": [{"type": "text", "name": "t", "content": {"text": "hello"}}]},
    ).json()["result"]
    webhook = client.post("/api/v1/webhook/", json={"report_id": report["id"]}).json()["result"]
    url = f"/api/v1/report/{report['id']}/webhook?token={webhook['token']}"
    run_id = client.post(url).json()["run_id"]
    wait_until(
        lambda: client.get(f"/api/reports/{report['id']}/run/{run_id}").status_code != 202,
        "the run does not end",
    )
    run = client.get(f"/api/v1/noteflow_run/{run_id}").json()["result"]
    started, created = (datetime.fromisoformat(run[name]) for name in ("start_time", "created_on"))
    return (started - created).total_seconds()


@pytest.mark.slow
def test_run_of_another_workspace_starts_in_time(shared: Shared) -> None:
    seconds = sorted(trigger_and_measure(shared.other) for _ in range(10))
    assert seconds[0] < START_SECONDS, seconds
    assert seconds[-1] < LATE_SECONDS, seconds


def test_block_of_another_workspace_runs_in_time(shared: Shared) -> None:
    report = shared.other.post("/api/v1/report/", json={"name": "blocks"}).json()["result"]
    block = shared.other.post(
        "/api/v1/block/",
        json={"report_id": report["id"], "type": "text", "name": "t", "content": {"text": "hello"}},
    ).json()["result"]
    began = time.monotonic()
    shared.other.post(f"/api/v1/block/{block['uid']}/run").raise_for_status()
    url = f"/api/v1/block/{block['uid']}/results/last_result"
    while shared.other.get(url).json()["result"]["status"] != "success":
        assert time.monotonic() < began + LATE_SECONDS
        time.sleep(0.01)
