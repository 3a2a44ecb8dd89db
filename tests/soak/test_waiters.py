"""Ten thousand readers that wait: what they cost while nothing happens, and how fast they are woken."""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from urllib.parse import urlsplit

import psutil

from benchmarks.receiver_load import Requests
from benchmarks.servers import TOKEN
from tests.fakes.receiver_server import start_receiver
from tests.soak.conftest import Show, Size

READER_TOKEN = TOKEN[::-1]
CONNECT_AT_ONCE = 200
SPARE_FILES = 2000


class Poll(asyncio.Protocol):
    """
    One long poll.

    :param request: What it asks.
    """

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.answered_at: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Note when the answer came."""
        if not self.answered_at.done():
            self.answered_at.set_result(time.perf_counter())


def raise_file_limit(count: int) -> int:
    """Allow as many open files as are needed, if that may be; give how many readers there can be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, count + SPARE_FILES)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return min(count, allowed - SPARE_FILES)


async def test_thousands_of_long_polls_cost_little_and_are_woken_at_once(
    inbox_url: str, size: Size, show: Show
) -> None:
    """Let readers wait, each for its own run; measure the quiet, then wake a hundred one by one."""
    readers = raise_file_limit(size.waiters)
    environ = {"PUSHMETRICS_RECEIVER_TOKEN": TOKEN, "PUSHMETRICS_RECEIVER_READER_TOKEN": READER_TOKEN}
    with start_receiver(inbox_url, "--no-access-log", "--source", "bench", environment=environ) as server:
        address, process = urlsplit(server.url), psutil.Process(server.process.pid)
        host, port = address.hostname or "", address.port or 80
        polls: list[Poll] = []
        for start in range(0, readers, CONNECT_AT_ONCE):
            numbers = range(start, min(readers, start + CONNECT_AT_ONCE))
            polls += await asyncio.gather(*(_open_poll(host, port, number) for number in numbers))
        before = await _wait_until_quiet(process)
        await asyncio.sleep(size.idle_seconds)
        cores = (sum(process.cpu_times()[:2]) - before) / size.idle_seconds
        woken = range(0, readers, max(1, readers // 100))
        took = [await _wake(polls[number], host, port, number) for number in woken]
        megabytes = process.memory_info().rss / 2**20
    wake_p99 = statistics.quantiles(took, n=100)[98] * 1000
    show(f"{readers:,} wait: {cores:.3f} cores, wake p99 {wake_p99:.0f} ms, {megabytes:.0f} MiB")
    assert cores <= 0.03
    assert wake_p99 <= 250


async def _wait_until_quiet(process: psutil.Process) -> float:
    """Wait until all have looked into the inbox; give the processor time used until then."""
    used = sum(process.cpu_times()[:2])
    for _ in range(30):
        await asyncio.sleep(1)
        before, used = used, sum(process.cpu_times()[:2])
        if used - before < 0.1:
            break
    return used


async def _open_poll(host: str, port: int, number: int) -> Poll:
    request = (
        f"GET /events?wait=60&event=report.run&run_id={number} HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {READER_TOKEN}\r\n\r\n"
    ).encode()
    _, poll = await asyncio.get_running_loop().create_connection(lambda: Poll(request), host, port)
    return poll


async def _wake(poll: Poll, host: str, port: int, number: int) -> float:
    request = Requests(f"http://{host}:{port}/webhooks/bench", TOKEN).build_for(number)
    _, sender = await asyncio.get_running_loop().create_connection(lambda: Poll(request), host, port)
    committed_at = await sender.answered_at
    return max(0.0, await asyncio.wait_for(poll.answered_at, 30) - committed_at)
