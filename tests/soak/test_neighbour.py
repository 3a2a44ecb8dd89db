"""What deliveries cost those who use the API of the same Airflow meanwhile."""

from __future__ import annotations

import secrets
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.receiver_airflow import serve_in_airflow
from benchmarks.servers import TOKEN
from tests.fakes.receiver_server import start_receiver
from tests.soak.conftest import Show, Size

MOUNTED_PER_SECOND = 20
STANDALONE_PER_SECOND = 200
ROUND_SECONDS = 10.0
ALLOWED = 1.10


def test_deliveries_hardly_slow_down_the_api_of_the_same_airflow(
    sqlite_url: str, tmp_path: Path, size: Size, show: Show
) -> None:
    """Compare the API alone, beside a receiver of its own, and beside deliveries to the mounted one."""
    environ = {"PUSHMETRICS_RECEIVER_TOKEN": TOKEN}
    with (
        serve_in_airflow(tmp_path) as base,
        start_receiver(sqlite_url, "--no-access-log", "--source", "bench", environment=environ) as server,
        httpx.Client(base_url=base, timeout=60) as client,
    ):
        places = {
            "alone": (f"{base}/none", 0),
            "standalone": (f"{server.url}/webhooks/bench", STANDALONE_PER_SECOND),
            "mounted": (f"{base}/pushmetrics/webhooks/bench", MOUNTED_PER_SECOND),
        }
        took: dict[str, list[float]] = {name: [] for name in places}
        ask(client, 2.0)  # the first requests of a process are no measure
        for _ in range(size.rounds):
            for name, (url, per_second) in places.items():
                with deliver_steadily(url, per_second):
                    took[name] += ask(client, ROUND_SECONDS)
    p95 = {name: statistics.quantiles(times, n=20)[18] * 1000 for name, times in took.items()}
    show(
        f"p95 of /api/v2/monitor/health: alone {p95['alone']:.1f} ms, beside {STANDALONE_PER_SECOND}/s to a"
        f" standalone receiver {p95['standalone']:.1f} ms, beside {MOUNTED_PER_SECOND}/s to the mounted one"
        f" {p95['mounted']:.1f} ms"
    )
    assert max(p95["standalone"], p95["mounted"]) <= ALLOWED * p95["alone"]


def ask(client: httpx.Client, seconds: float) -> list[float]:
    took, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        client.get("/api/v2/monitor/health").raise_for_status()
        took.append(time.perf_counter() - began)
        time.sleep(0.02)
    return took


@contextmanager
def deliver_steadily(url: str, per_second: int) -> Iterator[None]:
    stop = threading.Event()

    def deliver() -> None:
        with httpx.Client(timeout=60, headers={"authorization": f"Bearer {TOKEN}"}) as client:
            due = time.monotonic()
            while not stop.is_set():
                client.post(url, json={"event": "x", "key": secrets.token_hex()}).raise_for_status()
                due = max(due + 1 / per_second, time.monotonic() - 1)
                stop.wait(due - time.monotonic())

    sender = threading.Thread(target=deliver)
    if per_second:
        sender.start()
    try:
        yield
    finally:
        stop.set()
        if per_second:
            sender.join()
