"""
Every event in the inbox starts its Dag, once, under a scheduler that stops and continues.

A real Airflow on each database, 200 webhooks in ten minutes, and a scheduler that is stopped (SIGSTOP) and
continued at random. The webhooks come in bursts with a rest between, because the next event would hide that
the one before was overlooked. The last three come 5 seconds apart while the scheduler is stopped. One asset
is updated by the triggerer and one by the API server, so both ways get the same events.

A part of Airflow that ends is started again, as a service manager does: on SQLite the triggerer ends with
"database is locked" where the scheduler is stopped while it writes. How often is printed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.airflow_processes import AirflowProcesses
from tests.soak.conftest import Show, Size

TOKEN = "soak-sender-token-0123456789"
READER_TOKEN = "soak-reader-token-0123456789"
DAGS = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset

for way in ("triggerer", "api_server"):
    asset = build_run_asset(f"by_{way}", report_id=1, updated_by=way)
    with DAG(f"by_{way}", schedule=[asset], catchup=False, max_active_runs=100) as dag:
        EmptyOperator(task_id="nothing")
    globals()[way] = dag
"""
WAYS = ("triggerer", "api_server")
LONGEST_STOP_SECONDS = 15.0
LONGEST_WAY_SECONDS = 8.0
"""How long the scheduler is stopped, and may continue between, at most."""

SEED = 1
BURST = 10
"""How many events come together, in the first third of their share of the time."""

LAST_EVENTS = 3
REST_SECONDS = 120.0
"""How long all runs may take to be there after the last event."""


@dataclass(frozen=True)
class Found:
    """
    What became of the events of one asset.

    :param way: What updates the asset.
    :param stored: How many asset events there are.
    :param without: How many of them have no run.
    :param doubled: How many of them have several.
    :param runs: How many runs there are.
    :param empty: How many of them have no event.
    :param longest_wait: How many seconds an event waited for its run at most.
    """

    way: str
    stored: int
    without: int
    doubled: int
    runs: int
    empty: int
    longest_wait: float

    def holds(self, events: int) -> bool:
        """Return whether each event has started its Dag once."""
        return self.stored == events and self.without == self.doubled == self.empty == 0


@pytest.fixture(name="airflow", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def start_airflow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AirflowProcesses]:
    database_url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "soak.py").write_text(DAGS)
    settings = {"AIRFLOW__PUSHMETRICS__TOKEN": TOKEN, "AIRFLOW__PUSHMETRICS__READER_TOKEN": READER_TOKEN}
    airflow = AirflowProcesses(tmp_path, tmp_path / "dags", settings, database_url=database_url)
    connection = {
        "conn_type": "pushmetrics",
        "host": "http://127.0.0.1:9",
        "extra": {
            "receiver_url": f"http://127.0.0.1:{airflow.port}/pushmetrics",
            "receiver_token": READER_TOKEN,
        },
    }
    airflow.environment["AIRFLOW_CONN_PUSHMETRICS_DEFAULT"] = json.dumps(connection)
    try:
        airflow.start()
        airflow.wait_until(lambda: all(airflow.is_known(f"by_{way}") for way in WAYS), "the Dags to be known")
        send(airflow, 0)
        airflow.wait_until(lambda: all(airflow.count_runs(f"by_{way}") for way in WAYS), "the first runs")
        yield airflow
    finally:
        airflow.stop()


def test_every_event_starts_its_dag_once(airflow: AirflowProcesses, size: Size, show: Show) -> None:
    with keep_alive(airflow) as restarted:
        stopped = disturb(airflow, size)
        send_while_stopped(airflow, size.events)
        found = settle(airflow, size.events + 1)
    again = (airflow.home / "api-server.log").read_text("utf-8", "replace").count("is queued again")
    for row in found:
        show(
            f"updated by {row.way}: {row.stored - 1} events in {size.event_seconds:.0f} s, scheduler stopped"
            f" {stopped} times; {row.runs} runs; without a run {row.without}, doubled {row.doubled}, runs"
            f" without an event {row.empty}; longest wait {row.longest_wait:.1f} s; Dags queued again"
            f" {again}; restarted: {', '.join(restarted) or 'nothing'}"
        )
    assert [row for row in found if not row.holds(size.events + 1)] == []


@contextmanager
def keep_alive(airflow: AirflowProcesses) -> Iterator[list[str]]:
    """Start each part again that ends; gives the list of those that were started again."""
    is_over, restarted = threading.Event(), list[str]()
    thread = threading.Thread(target=_restart, args=(airflow, is_over, restarted))
    thread.start()
    try:
        yield restarted
    finally:
        is_over.set()
        thread.join()


def _restart(airflow: AirflowProcesses, is_over: threading.Event, restarted: list[str]) -> None:
    while not is_over.wait(2):
        for part in [name for name, process in airflow.parts.items() if process.poll() is not None]:
            airflow.kill_part(part)  # and what it has left behind
            airflow.start_part(part)
            restarted.append(part)


def signal_scheduler(airflow: AirflowProcesses, number: signal.Signals) -> None:
    """Send a signal to the scheduler and all its processes, unless it has just ended."""
    with suppress(KeyError, ProcessLookupError):
        os.killpg(airflow.parts["scheduler"].pid, number)


def send(airflow: AirflowProcesses, number: int) -> None:
    """Send one webhook."""
    body = {"event": "report.run", "report_id": 1, "number": number}
    url = f"http://127.0.0.1:{airflow.port}/pushmetrics/webhooks/pushmetrics?token={TOKEN}"
    httpx.post(url, json=body, timeout=60).raise_for_status()


def disturb(airflow: AirflowProcesses, size: Size) -> int:
    """Send the webhooks at random moments, and stop and continue the scheduler; count how often."""
    chance = random.Random(SEED)
    moments = choose_moments(size, chance)
    is_over = threading.Event()
    stops: list[float] = []
    thread = threading.Thread(target=_stop_and_continue, args=(airflow, random.Random(SEED), is_over, stops))
    thread.start()
    began = time.monotonic()
    try:
        for number, moment in enumerate(moments, start=1):
            time.sleep(max(0.0, began + moment - time.monotonic()))
            send(airflow, number)
    finally:
        is_over.set()
        thread.join()
    return len(stops)


def choose_moments(size: Size, chance: random.Random) -> list[float]:
    """Choose when to send all events but the last, in bursts."""
    count = size.events - LAST_EVENTS
    period = size.event_seconds / -(-count // BURST)
    return sorted(number // BURST * period + chance.uniform(0, period / 3) for number in range(count))


def send_while_stopped(airflow: AirflowProcesses, events: int) -> None:
    """Send the last events while the scheduler is stopped, and nothing after them."""
    time.sleep(20)
    signal_scheduler(airflow, signal.SIGSTOP)
    try:
        for number in range(events - LAST_EVENTS + 1, events + 1):
            send(airflow, number)
            time.sleep(5)
        time.sleep(5)
    finally:
        signal_scheduler(airflow, signal.SIGCONT)


def _stop_and_continue(
    airflow: AirflowProcesses, chance: random.Random, is_over: threading.Event, stops: list[float]
) -> None:
    while not is_over.is_set():
        signal_scheduler(airflow, signal.SIGSTOP)
        try:
            stops.append(chance.uniform(0, LONGEST_STOP_SECONDS))
            is_over.wait(stops[-1])
        finally:
            signal_scheduler(airflow, signal.SIGCONT)
        is_over.wait(chance.uniform(0, LONGEST_WAY_SECONDS))


def settle(airflow: AirflowProcesses, events: int) -> list[Found]:
    """Wait until every event has its runs, or for so long that it never will, and count."""
    deadline = time.monotonic() + REST_SECONDS
    while True:
        found = [count(airflow, way) for way in WAYS]
        if all(row.holds(events) for row in found) or time.monotonic() > deadline:
            time.sleep(20)  # what comes twice would come now
            return [count(airflow, way) for way in WAYS]
        time.sleep(2)


def count(airflow: AirflowProcesses, way: str) -> Found:
    """Count what became of the events of one asset."""
    name = f"by_{way}"
    of_asset = "FROM asset_event e JOIN asset a ON a.id = e.asset_id WHERE a.name = ?"
    stored = dict(airflow.ask(f"SELECT e.id, e.timestamp {of_asset}", name))
    runs = dict(airflow.ask("SELECT id, queued_at FROM dag_run WHERE dag_id = ?", name))
    of_dag = "FROM dagrun_asset_event x JOIN dag_run r ON r.id = x.dag_run_id WHERE r.dag_id = ?"
    taken = airflow.ask(f"SELECT x.event_id, x.dag_run_id {of_dag}", name)
    times = Counter(event_id for event_id, _ in taken)
    waits = [read_moment(runs[run_id]) - read_moment(stored[event_id]) for event_id, run_id in taken]
    return Found(
        way,
        stored=len(stored),
        without=sum(not times[event_id] for event_id in stored),
        doubled=sum(number > 1 for number in times.values()),
        runs=len(runs),
        empty=len(runs.keys() - {run_id for _, run_id in taken}),
        longest_wait=max(waits, default=0.0),
    )


def read_moment(value: Any) -> float:
    """Read a time as a database gives it, as Unix seconds."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
