"""Send webhooks as fast as the other side answers, over a number of connections."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp


@dataclass(frozen=True)
class Load:
    """
    What one measurement found.

    :param per_second: Requests answered in a second.
    :param p50_milliseconds: Half of the requests took at most this long.
    :param p99_milliseconds: 99 of 100 did.
    """

    per_second: float
    p50_milliseconds: float
    p99_milliseconds: float


def build_bodies() -> Iterator[bytes]:
    """Build ``report.run`` events without end, no two alike."""
    for number in itertools.count(time.time_ns()):
        event = {
            "event": "report.run",
            "report_id": 1,
            "report_name": "Departure delays",
            "workspace_id": 1,
            "workspace_name": "Main Workspace",
            "report_notebook_outputs": f"http://127.0.0.1:8090/api/reports/1/run/{number % 10**15}",
            "queries": [],
            "timestamp": "2013-02-01T00:00:00+00:00",
        }
        yield json.dumps(event).encode()


async def measure(url: str, *, token: str, connections: int, seconds: float) -> Load:
    """
    Send events over a number of connections for a time.

    :raises RuntimeError: if one is not accepted.
    """
    bodies, took = build_bodies(), list[float]()
    end = time.perf_counter() + seconds
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def send_until_the_end() -> None:
            while (began := time.perf_counter()) < end:
                async with session.post(url, data=next(bodies)) as answer:
                    await answer.read()
                    if answer.status != 202:
                        raise RuntimeError(f"{url} answered {answer.status}, not 202")
                took.append(time.perf_counter() - began)

        await asyncio.gather(*(send_until_the_end() for _ in range(connections)))
    cuts = statistics.quantiles(took, n=100)
    return Load(len(took) / seconds, cuts[49] * 1000, cuts[98] * 1000)
