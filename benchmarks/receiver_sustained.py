"""10: minutes of load, on one process and on two with one inbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack

import psutil

from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from benchmarks.receiver_load import Load, measure
from benchmarks.receiver_proof import Found, MakeUrl, Size, say_progress
from tests.fakes.receiver_server import SENDER_TOKEN, SOURCE, ReceiverServer, start_receiver


def prove_load(size: Size, make_url: MakeUrl) -> Found:
    """10: sustained load on one process."""
    return _sustain_load(size, make_url, processes=1)


def prove_load_of_two(size: Size, make_url: MakeUrl) -> Found:
    """10: sustained load on two processes with one inbox."""
    return _sustain_load(size, make_url, processes=2)


def _sustain_load(size: Size, make_url: MakeUrl, *, processes: int) -> Found:
    url = make_url()
    with ExitStack() as stack, ThreadPoolExecutor(processes) as pool:
        servers = [stack.enter_context(start_receiver(url, "--no-access-log")) for _ in range(processes)]
        measured = [psutil.Process(server.process.pid) for server in servers]
        began = [_count_cpu_seconds(process) for process in measured]
        loading = [pool.submit(_load, server, size.load_seconds, 64 // processes) for server in servers]
        megabytes = _watch_memory(measured, loading)
        loads = [future.result() for future in loading]
        used = sum(_count_cpu_seconds(process) for process in measured) - sum(began)
    rate = sum(load.per_second for load in loads)
    p50, p99 = (
        max(getattr(load, name) for load in loads) for name in ("p50_milliseconds", "p99_milliseconds")
    )
    figures = (
        f"{size.load_seconds:g} s: {rate:,.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms,"
        f" {used / size.load_seconds:.2f} cores, RSS {megabytes[0]:.0f} to {max(megabytes):.0f} MiB"
    )
    is_measured = processes == 1 and url.startswith("sqlite")
    wanted = "≥ 4,000/s, p99 ≤ 50 ms, " if is_measured else ""
    is_fast = not is_measured or (rate >= 4000 and p99 <= 50)
    return Found(f"{wanted}RSS grows < 100 MiB", figures, is_fast and max(megabytes) < megabytes[0] + 100)


def _count_cpu_seconds(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


def _watch_memory(processes: Sequence[psutil.Process], loading: Sequence[Future[Load]]) -> list[float]:
    """Look at the memory of all of them now and then, from 2 s after the begin to the end."""
    megabytes, beginning = list[float](), time.monotonic()
    while wait(loading, timeout=2 if time.monotonic() - beginning < 20 else 20).not_done:
        megabytes.append(sum(process.memory_info().rss for process in processes) / 2**20)
        say_progress(f"{time.monotonic() - beginning:.0f} s: RSS {megabytes[-1]:.0f} MiB")
    return megabytes


def prove_two_processes(size: Size, make_url: MakeUrl) -> Found:
    """Two receivers on one inbox: a reader that follows the cursor misses nothing."""
    url, seconds = make_url(), min(size.load_seconds, 20)
    with start_receiver(url, "--no-access-log") as one, start_receiver(url, "--no-access-log") as two:
        reader, seen, cursor, stop = Inbox(url), list[int](), 0, threading.Event()

        def follow() -> None:
            nonlocal cursor
            while not stop.is_set() or cursor < reader.fetch_last_id():
                page = reader.fetch_page(EventFilter(), after=cursor, limit=500)
                seen.extend(event.id for event in page.events)
                cursor = page.cursor

        following = threading.Thread(target=follow)
        following.start()
        with ThreadPoolExecutor(2) as pool:
            loads = list(pool.map(lambda server: _load(server, seconds, 32).per_second, (one, two)))
        stop.set()
        following.join()
        is_whole = seen == list(range(1, reader.fetch_last_id() + 1))
        reader.close()
    how = "each once and in order" if is_whole else "some missed, twice or out of order"
    figures = f"{sum(loads):,.0f}/s in all; {len(seen):,} ids seen, {how}"
    return Found("every id once and in order", figures, is_whole)


def _load(server: ReceiverServer, seconds: float, connections: int) -> Load:
    url = f"{server.url}/webhooks/{SOURCE}"
    return measure(url, token=SENDER_TOKEN, connections=connections, seconds=seconds)
