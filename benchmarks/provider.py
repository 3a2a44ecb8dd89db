"""``python -m benchmarks.provider``: ten thousand deferred waits on one connection, on the real receiver."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import resource
import tempfile
import time
from pathlib import Path

import aiohttp
from rich.console import Console

from airflow_provider_pushmetrics.client.feed import EventFilter
from airflow_provider_pushmetrics.client.waits import Patience
from airflow_provider_pushmetrics.triggers.shared_waits import list_shared, wait_for_event
from benchmarks.servers import TOKEN, serve_receiver

WAITS = 10_000
QUIET_SECONDS = 20.0
WAKES = 200


def read_rss_mib() -> float:
    """Read how much memory this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def build_event(run_id: int) -> bytes:
    """Build the event of a run, as a webhook carries it."""
    url = f"https://pushmetrics.example/api/reports/1/run/{run_id}"
    event = {"event": "report.run", "report_id": 1, "report_notebook_outputs": url, "queries": []}
    return json.dumps(event).encode()


def count_waiting() -> int:
    """Count who waits on the shared feeds of this event loop."""
    return sum(shared.count_waiters() for shared in list_shared())


async def wake(session: aiohttp.ClientSession, url: str, run_id: int, waiting: asyncio.Task[object]) -> float:
    """Send a webhook; say how long after its commit the wait had ended."""
    async with session.post(f"{url}?token={TOKEN}", data=build_event(run_id), headers=JSON) as answer:
        answer.raise_for_status()
    committed_at = time.perf_counter()
    await waiting
    return max(0.0, time.perf_counter() - committed_at)


JSON = {"Content-Type": "application/json"}


async def measure(console: Console, webhook_url: str) -> None:
    """Begin the waits, leave them alone, and wake some of them one after the other."""
    before = read_rss_mib()
    began = time.perf_counter()
    waiting = [
        asyncio.create_task(
            wait_for_event(
                "pushmetrics_default", EventFilter("report.run", run_id=number), after=0, patience=Patience()
            )
        )
        for number in range(WAITS)
    ]
    while count_waiting() < WAITS:  # noqa: ASYNC110 - nothing tells when all have begun
        await asyncio.sleep(0.2)
    console.print(f"{WAITS:,} waits begun in {time.perf_counter() - began:.1f} s")
    await asyncio.sleep(2)  # until all have been told what the inbox has
    cpu, clock = time.process_time(), time.perf_counter()
    await asyncio.sleep(QUIET_SECONDS)
    cores = (time.process_time() - cpu) / (time.perf_counter() - clock)
    console.print(f"waiting: {cores:.4f} core, {read_rss_mib() - before:.0f} MiB more memory")
    async with aiohttp.ClientSession() as session:
        delays = sorted(
            [await wake(session, webhook_url, number, waiting[number]) for number in range(WAKES)]
        )
    console.print(
        f"webhook committed to wait ended: p50 {delays[WAKES // 2] * 1000:.1f} ms,"
        f" p99 {delays[int(WAKES * 0.99)] * 1000:.1f} ms"
    )
    for wait in waiting:
        wait.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def main() -> None:
    """Print the figures."""
    console = Console()
    console.print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with (
        tempfile.TemporaryDirectory(prefix="pushmetrics-bench-") as folder,
        serve_receiver(Path(folder)) as webhook_url,
    ):
        base_url = webhook_url.rpartition("/webhooks/")[0]
        extra = {"receiver_url": base_url, "receiver_token": TOKEN[::-1]}
        connection = {"conn_type": "pushmetrics", "host": "https://pushmetrics.example", "extra": extra}
        os.environ["AIRFLOW_CONN_PUSHMETRICS_DEFAULT"] = json.dumps(connection)
        asyncio.run(measure(console, webhook_url))


if __name__ == "__main__":
    main()
