"""Queries in saved reports that ask for more than the machine has: each fails alone, with a sentence."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from airflow_provider_pushmetrics.service.models import DataSource
from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_keys
from tests.fakes.service_process import ServiceProcess, run_ready_service
from tests.fakes.service_reports import TRIGGER_TOKEN, make_report
from tests.fakes.waiting import wait_until
from tests.integration.service.processes.test_whole_service import open_data
from tests.integration.service.worker.test_fairness import LATE_SECONDS, START_SECONDS, trigger_and_measure

TIMEOUT_SECONDS = 3
STOP_SECONDS = 60.0  # on any machine; two on one that has nothing else to do
MAX_GROWTH_BYTES = 64 * 2**20

MEMORY = "bytes of memory, the limit"
TIME = f"took longer than {TIMEOUT_SECONDS} s"
VALUE = "has more than 16,777,216 bytes"

QUERIES = {
    "list_resize": ("SELECT list_resize([1], 2000000000) AS v", MEMORY),
    "format": ("SELECT format('{:>2000000000}', 'x') AS v", MEMORY),
    "printf": ("SELECT printf('%2000000000s', 'x') AS v", MEMORY),
    "repeat": ("SELECT repeat('x', 2000000000) AS v", MEMORY),
    "own_repeat": ("SELECT system.main.repeat('x', 2000000000) AS v", MEMORY),
    "one_value": ("SELECT repeat(repeat('x', 20000), 1000) AS v", VALUE),
    # DuckDB does not interrupt it.
    "replace": ("SELECT replace(repeat('x', 100000), 'x', repeat('y', 20000)) AS v", f"{TIME}|{MEMORY}"),
    "endless": ("SELECT max(a.range + b.range) AS v FROM range(1000000000) a, range(1000000000) b", TIME),
    "randomblob": ("SELECT randomblob(1000000000) AS v", "16,777,216 bytes"),
    "sqlite": (
        "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a) SELECT count(*) AS v FROM a",
        TIME,
    ),
}
SQLITE = {"randomblob", "sqlite"}
ENDLESS = {"replace", "endless", "sqlite"}
OTHERS = {"quick": ("SELECT 1 AS v", ""), "cancelled": QUERIES["replace"]}


@dataclass(frozen=True)
class Hostile:
    """A running service with a report for each query, and another workspace."""

    service: ServiceProcess
    other: httpx.Client
    reports: dict[str, int]

    def trigger(self, name: str) -> int:
        url = f"/api/v1/report/{self.reports[name]}/webhook?token={TRIGGER_TOKEN}"
        run_id: int = self.service.client.post(url).raise_for_status().json()["run_id"]
        return run_id

    def wait_for_end(self, name: str, run_id: int) -> dict[str, Any]:
        deadline = time.monotonic() + 120
        url = f"/api/reports/{self.reports[name]}/run/{run_id}"
        while (answer := self.service.client.get(url)).status_code == 202:
            assert time.monotonic() < deadline, name
            time.sleep(0.02)
        outputs: dict[str, Any] = answer.json()
        return outputs


def read_error(outputs: dict[str, Any]) -> str:
    return str((outputs["queries"] or [outputs])[0]["error"])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    data_dir: Path = tmp_path_factory.mktemp("hostile") / "data"
    database = open_data(data_dir)
    cipher = Cipher(*load_secret_keys(data_dir))
    (data_dir / "sources").mkdir()
    sqlite3.connect(data_dir / "sources" / "empty.sqlite").close()
    (data_dir / "sources" / "empty.sqlite").touch()
    with database.writing() as session:
        source = DataSource(
            workspace_id=1,
            name="sqlite",
            kind="sqlite",
            location_encrypted=cipher.encrypt("sqlite:///empty.sqlite"),
        )
        session.add(source)
        session.flush()
        sqlite_id = source.id
    reports = {}
    for name, (query, _) in {**QUERIES, **OTHERS}.items():
        content: dict[str, Any] = {"sql": query}
        if name in SQLITE:
            content["database_id"] = sqlite_id
        if name in ENDLESS:
            content["timeout_seconds"] = TIMEOUT_SECONDS
        reports[name] = make_report(database, cipher, data_dir, q=("sql", content)).id
    database.close()
    with run_ready_service(data_dir) as service:
        token = service.client.post("/api/v1/workspace/", json={"name": "other"}).json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(
            base_url=service.client.base_url, headers=headers, timeout=240, trust_env=False
        ) as other:
            hostile = Hostile(service, other, reports)
            assert hostile.wait_for_end("quick", hostile.trigger("quick"))["status"] == "success"
            yield hostile


@pytest.mark.slow
def test_hostile_queries_fail_with_a_sentence_and_hurt_nobody_else(hostile: Hostile) -> None:
    worker = psutil.Process(hostile.service.list_pids()[1])
    before = worker.memory_info().rss
    runs = {name: hostile.trigger(name) for name in QUERIES}
    starts = [trigger_and_measure(hostile.other) for _ in range(10)]
    for name, run_id in runs.items():
        outputs = hostile.wait_for_end(name, run_id)
        assert outputs["status"] == "failed"
        assert any(words in read_error(outputs) for words in QUERIES[name][1].split("|")), outputs
    assert min(starts) < START_SECONDS, starts
    assert max(starts) < LATE_SECONDS, starts
    assert hostile.wait_for_end("quick", hostile.trigger("quick"))["status"] == "success"
    assert hostile.service.list_pids()[1] == worker.pid
    assert _read_peak_memory(worker.pid) - before < MAX_GROWTH_BYTES


def test_query_that_duckdb_does_not_interrupt_is_cancelled_in_time(hostile: Hostile) -> None:
    run_id = hostile.trigger("cancelled")
    run = f"/api/v1/noteflow_run/{run_id}"
    wait_until(lambda: hostile.service.client.get(run).json()["result"]["status"] == "running")
    uid = hostile.service.client.get(run).json()["result"]["uid"]
    began = time.monotonic()
    hostile.service.client.post(f"/api/v1/noteflow_run/{uid}/cancel").raise_for_status()
    while _list_busy_children(hostile.service):
        assert time.monotonic() - began < STOP_SECONDS
        time.sleep(0.02)
    assert hostile.wait_for_end("cancelled", run_id)["status"] == "cancelled"


@pytest.mark.slow
def test_children_end_with_a_worker_that_is_killed_in_the_middle_of_a_query(hostile: Hostile) -> None:
    run_id = hostile.trigger("endless")
    worker = psutil.Process(hostile.service.list_pids()[1])
    children = wait_until(worker.children)
    worker.kill()
    _, alive = psutil.wait_procs(children, timeout=STOP_SECONDS)
    assert alive == []
    assert TIME in read_error(hostile.wait_for_end("endless", run_id))


def _list_busy_children(service: ServiceProcess) -> list[int]:
    """List the children of the worker that use the processor."""
    found = []
    for child in psutil.Process(service.list_pids()[1]).children():
        try:
            if child.cpu_percent(0.2) > 5:
                found.append(child.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def _read_peak_memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
