"""Ten thousand deferred waits on one connection, beside a thousand HttpSensorTriggers; how fast ours wake."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psutil
import structlog
from airflow.providers.http.triggers.http import HttpSensorTrigger
from airflow.triggers.base import TriggerEvent
from rich.console import Console

from airflow_provider_pushmetrics.triggers.hub.wait_hub import list_hubs
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsSensorTrigger
from benchmarks.servers import TOKEN, serve_receiver, serve_results
from benchmarks.service import Target

WAITS = 10_000
PEER_WAITS = 1_000
QUIET_SECONDS = 20.0
WAKES = 200
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Quiet:
    """
    What waiting costs while nothing happens.

    :param cores: The share of a core.
    :param requests: How many connections there are, which is how many requests at a time.
    :param memory_mib: How much more memory than before.
    """

    cores: float
    requests: int
    memory_mib: float


def measure_waits(console: Console) -> list[Target]:
    """Measure ours and the peer's, one after the other in this process."""
    # HttpSensorTrigger logs each look that finds nothing; here that would hide the rest.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with (
        tempfile.TemporaryDirectory(prefix="pushmetrics-bench-") as folder,
        serve_receiver(f"sqlite:///{folder}/inbox.db") as webhook_url,
        serve_results() as peer_url,
    ):
        base_url = webhook_url.rpartition("/webhooks/")[0]
        extra = {"receiver_url": base_url, "receiver_token": TOKEN[::-1]}
        connection = {"conn_type": "pushmetrics", "host": "https://pushmetrics.example", "extra": extra}
        os.environ["AIRFLOW_CONN_PUSHMETRICS_DEFAULT"] = json.dumps(connection)
        os.environ["AIRFLOW_CONN_HTTP_DEFAULT"] = json.dumps({"conn_type": "http", "host": peer_url})
        ours, delays = asyncio.run(measure_ours(console, webhook_url))
        peer, per_second = asyncio.run(measure_peer(console, peer_url))
    p50, p99 = (delays[int(len(delays) * share)] * 1000 for share in (0.5, 0.99))
    return [
        Target(
            f"{WAITS:,} deferred waits on one connection",
            f"{ours.cores:.4f} core, {ours.requests} request(s) at a time, {ours.memory_mib:.0f} MiB;"
            f" {PEER_WAITS:,} HttpSensorTriggers {peer.cores:.3f} core, {per_second:.0f} requests/s",
            "<= 0.03 core, 1 request",
            ours.cores <= 0.03 and ours.requests == 1,
        ),
        Target(
            "webhook's commit to trigger's event",
            f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, of {len(delays)}",
            "p99 <= 250 ms",
            p99 <= 250,
        ),
    ]


async def measure_ours(console: Console, webhook_url: str) -> tuple[Quiet, list[float]]:
    """Begin the waits, leave them alone, and wake some of them one after the other."""
    before = read_memory_mib()
    triggers = [PushMetricsSensorTrigger(event="report.run", run_id=number) for number in range(WAITS)]
    waiting = [asyncio.create_task(claim_event(trigger.run())) for trigger in triggers]
    while sum(shared.count_waits() for shared in list_hubs()) < WAITS:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.2)
    console.print(f"{WAITS:,} waits have begun; {QUIET_SECONDS:g} s of quiet")
    quiet = await watch_quiet(before, urlsplit(webhook_url).port)
    console.print(f"waking {WAKES} of them, one after the other")
    async with aiohttp.ClientSession() as session:
        delays = [await wake(session, webhook_url, number, waiting[number]) for number in range(WAKES)]
    await cancel(waiting)
    return quiet, sorted(delays)


async def measure_peer(console: Console, url: str) -> tuple[Quiet, float]:
    """Let the HTTP provider's triggers look for what is not there; count their requests per second too."""
    before = read_memory_mib()
    triggers = [HttpSensorTrigger(endpoint="missing", poke_interval=5.0) for _ in range(PEER_WAITS)]
    waiting = [asyncio.create_task(claim_event(trigger.run())) for trigger in triggers]
    console.print(f"{PEER_WAITS:,} HttpSensorTriggers have begun; {QUIET_SECONDS:g} s of quiet")
    await asyncio.sleep(5)
    async with aiohttp.ClientSession() as session:
        first = await read_count(session, url)
        quiet = await watch_quiet(before, urlsplit(url).port)
        per_second = (await read_count(session, url) - first) / (QUIET_SECONDS + 2)
    await cancel(waiting)
    return quiet, per_second


async def watch_quiet(memory_before: float, port: int | None) -> Quiet:
    """Measure this process while nothing happens."""
    await asyncio.sleep(2)  # until all have been told what the inbox has
    cpu, clock = time.process_time(), time.perf_counter()
    await asyncio.sleep(QUIET_SECONDS)
    cores = (time.process_time() - cpu) / (time.perf_counter() - clock)
    connections = psutil.Process().net_connections("tcp")
    requests = sum(1 for found in connections if found.raddr and found.raddr.port == port)
    return Quiet(cores, requests, read_memory_mib() - memory_before)


async def claim_event(events: AsyncIterator[TriggerEvent]) -> TriggerEvent:
    """Wait for a trigger's event."""
    async for event in events:
        return event
    raise RuntimeError("the trigger ended without an event")


async def wake(session: aiohttp.ClientSession, url: str, run_id: int, waiting: asyncio.Task[object]) -> float:
    """Send a webhook; say how long after its commit the wait had ended."""
    async with session.post(f"{url}?token={TOKEN}", data=build_event(run_id), headers=JSON) as answer:
        answer.raise_for_status()
    committed_at = time.perf_counter()
    await waiting
    return max(0.0, time.perf_counter() - committed_at)


async def cancel(waiting: Sequence[asyncio.Task[object]]) -> None:
    """End what still waits."""
    for wait in waiting:
        wait.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def read_count(session: aiohttp.ClientSession, url: str) -> int:
    """Ask how many requests the peer has made."""
    async with session.get(f"{url}/count") as answer:
        return int(await answer.text())


def build_event(run_id: int) -> bytes:
    """Build the event of a run, as a webhook carries it."""
    url = f"https://pushmetrics.example/api/reports/1/run/{run_id}"
    event = {"event": "report.run", "report_id": 1, "report_notebook_outputs": url, "queries": []}
    return json.dumps(event).encode()


def read_memory_mib() -> float:
    """Read how much memory this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20
