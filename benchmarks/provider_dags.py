"""From a webhook to the first line of the Dag's task: ours beside the peer's, in one and the same Airflow."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console

from benchmarks.receiver_airflow import PEER, READER_TOKEN, build_environ, make_environment
from benchmarks.servers import TOKEN
from benchmarks.service import Target
from tests.fakes.service_process import find_free_port

ROUNDS = 10
START_TIMEOUT_SECONDS = 300
DELIVERY_TIMEOUT_SECONDS = 60
REST_SECONDS = 5.0
"""Between deliveries: each of them is to be a single one."""

NOISE = 1.05
PATHS = {"ours": "/pushmetrics/webhooks/bench", "peer": "/webhooks/bench"}
DAGS = """
import time
from airflow.sdk import DAG, Asset, task
from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset

ASSETS = {"ours": build_run_asset("ours", updated_by="api_server"), "peer": Asset("bench/report.run")}

@task
def note(side):
    now = time.time()
    with open(f"FOLDER/{side}", "a") as file:
        file.write(f"{now}\\n")

for side, asset in ASSETS.items():
    with DAG(side, schedule=[asset], catchup=False, max_active_runs=16):
        note(side)
"""


def measure_dags(console: Console) -> list[Target]:
    """Deliver to both in turns."""
    with (
        tempfile.TemporaryDirectory(prefix="pushmetrics-bench-") as name,
        run_airflow(Path(name)) as base_url,
    ):
        for side in PATHS:
            warm_up(base_url, Path(name), side)
            console.print(f"Airflow has started a Dag for the first delivery to {side}")
        took: dict[str, list[float]] = {side: [] for side in PATHS}
        for number in range(ROUNDS):
            for side, delays in took.items():
                time.sleep(REST_SECONDS)
                delays.append(deliver_and_wait(base_url, Path(name), side, 1000 + number))
                console.print(f"delivery {number + 1} to {side}: {delays[-1]:.2f} s")
    ours, peer = statistics.median(took["ours"]), statistics.median(took["peer"])
    found = (
        f"median {ours:.2f} s (worst {max(took['ours']):.2f}); {PEER} {peer:.2f} s ({max(took['peer']):.2f})"
    )
    return [Target("webhook to the first line of the task", found, f"ratio <= {NOISE}", ours <= peer * NOISE)]


def warm_up(base_url: str, folder: Path, side: str) -> None:
    """Deliver until a task has run: the peer forgets what comes before its Dag is known."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    number = 0
    while not read_lines(folder / side):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no Dag was started for a delivery to {side}; see {folder / 'airflow.log'}")
        with suppress(OSError):
            number += 1
            deliver(base_url, side, number)
        time.sleep(REST_SECONDS)
    time.sleep(2 * REST_SECONDS)  # until the Dag runs of all of them have ended


def deliver_and_wait(base_url: str, folder: Path, side: str, number: int) -> float:
    """Deliver one webhook; give the seconds until its task's first line."""
    known = len(read_lines(folder / side))
    began = time.time()  # what the task notes is of another process
    deliver(base_url, side, number)
    while len(lines := read_lines(folder / side)) <= known:
        if time.time() - began > DELIVERY_TIMEOUT_SECONDS:
            raise TimeoutError(f"no Dag was started for delivery {number} to {side}")
        time.sleep(0.05)
    return float(lines[known]) - began


def deliver(base_url: str, side: str, number: int) -> None:
    """Send one event, each with a body of its own."""
    url = f"https://pushmetrics.example/api/reports/1/run/{number}"
    event = {"event": "report.run", "report_id": 1, "report_notebook_outputs": url, "queries": []}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    request = urllib.request.Request(base_url + PATHS[side], json.dumps(event).encode(), headers)
    with urllib.request.urlopen(request, timeout=10):
        pass


def read_lines(path: Path) -> list[str]:
    """Read what the tasks have noted."""
    return path.read_text().splitlines() if path.exists() else []


@contextmanager
def run_airflow(folder: Path) -> Iterator[str]:
    """Run all of Airflow on a database of its own; give its address."""
    programs, port = make_environment(), find_free_port()
    (folder / "dags").mkdir()
    (folder / "dags" / "bench.py").write_text(DAGS.replace("FOLDER", str(folder)))
    with (folder / "airflow.log").open("wb") as log:
        process = subprocess.Popen(
            [str(programs / "airflow"), "standalone"],
            env=build_standalone_environ(folder, port, programs),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            stop(process)


def build_standalone_environ(folder: Path, port: int, programs: Path) -> dict[str, str]:
    """Build the environment of ``airflow standalone`` with both providers."""
    base_url = f"http://127.0.0.1:{port}"
    extra = {"receiver_url": f"{base_url}/pushmetrics", "receiver_token": READER_TOKEN}
    connection = {"conn_type": "pushmetrics", "host": "https://pushmetrics.example", "extra": extra}
    settings = {
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTION_API_SERVER_URL": f"{base_url}/execution/",
        "API__PORT": str(port),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(find_free_port()),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(find_free_port()),
    }
    return {
        **build_environ(folder, port, programs, **settings),
        "AIRFLOW_CONN_PUSHMETRICS_DEFAULT": json.dumps(connection),
    }


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: ``airflow standalone`` leaves children behind."""
    for way in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, way)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
