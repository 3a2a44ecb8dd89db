"""Minutes of load, on one process and on two with one inbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing

import psutil
import pytest

from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from benchmarks.receiver_load import Load, measure
from tests.fakes.receiver_server import SENDER_TOKEN, SOURCE, ReceiverServer, start_receiver
from tests.soak.conftest import Show, Size


def load(server: ReceiverServer, seconds: float, connections: int) -> Load:
    url = f"{server.url}/webhooks/{SOURCE}"
    return measure(url, token=SENDER_TOKEN, connections=connections, seconds=seconds)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_receiver_under_load_does_not_grow_and_is_fast(
    inbox_url: str, size: Size, show: Show, processes: int
) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(processes) as pool:
        servers = [
            stack.enter_context(start_receiver(inbox_url, "--no-access-log")) for _ in range(processes)
        ]
        measured = [psutil.Process(server.process.pid) for server in servers]
        before = sum(map(count_cpu_seconds, measured))
        loading = [pool.submit(load, server, size.load_seconds, 64 // processes) for server in servers]
        megabytes = watch_memory(measured, loading)
        loads = [future.result() for future in loading]
        used = sum(map(count_cpu_seconds, measured)) - before
    rate = sum(found.per_second for found in loads)
    p50 = max(found.p50_milliseconds for found in loads)
    p99 = max(found.p99_milliseconds for found in loads)
    show(
        f"{size.load_seconds:g} s: {rate:,.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms,"
        f" {used / size.load_seconds:.2f} cores, RSS {megabytes[0]:.0f} to {max(megabytes):.0f} MiB"
    )
    assert max(megabytes) < megabytes[0] + 100
    if processes == 1 and inbox_url.startswith("sqlite"):
        assert rate >= 4000
        assert p99 <= 50


def count_cpu_seconds(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


def watch_memory(processes: Sequence[psutil.Process], loading: Sequence[Future[Load]]) -> list[float]:
    """Read the memory of all of them now and then, from 2 s after the begin to the end."""
    megabytes, beginning = list[float](), time.monotonic()
    while wait(loading, timeout=2 if time.monotonic() - beginning < 20 else 20).not_done:
        megabytes.append(sum(process.memory_info().rss for process in processes) / 2**20)
    return megabytes


def test_a_reader_of_two_receivers_gets_every_id_once_and_in_order(
    inbox_url: str, size: Size, show: Show
) -> None:
    seen, cursor, stop = list[int](), 0, threading.Event()
    with (
        start_receiver(inbox_url, "--no-access-log") as one,
        start_receiver(inbox_url, "--no-access-log") as two,
        closing(Inbox(inbox_url)) as reader,
    ):

        def follow() -> None:
            nonlocal cursor
            while not stop.is_set() or cursor < reader.fetch_last_id():
                page = reader.fetch_page(EventFilter(), after=cursor, limit=500)
                seen.extend(event.id for event in page.events)
                cursor = page.cursor

        following = threading.Thread(target=follow)
        following.start()
        seconds = min(size.load_seconds, 20)
        with ThreadPoolExecutor(2) as pool:
            rate = sum(pool.map(lambda server: load(server, seconds, 32).per_second, (one, two)))
        stop.set()
        following.join()
        last_id = reader.fetch_last_id()
    show(f"{rate:,.0f}/s in all; {len(seen):,} ids seen")
    assert seen == list(range(1, last_id + 1))
