"""The database is gone for a minute: every sender is told so, and nothing that was acknowledged is lost."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from tests.fakes.postgres import find_server_process
from tests.fakes.receiver_server import ReceiverServer, start_receiver
from tests.fakes.waiting import wait_until
from tests.integration.receiver.endpoints.test_robustness import stop_database
from tests.soak.conftest import Show, Size

LANES = 8
PAUSE_SECONDS = 0.05
QUIET_SECONDS = 3
MARGIN_SECONDS = 1.0
"""What was committed at the last moment may be answered so long after it."""


@dataclass(frozen=True)
class Answer:
    """One answer: when it was asked and when it came, and what it says."""

    asked: float
    answered: float
    status: int
    has_retry_after: bool


@dataclass
class Senders:
    """Deliver without an end, each delivery once."""

    server: ReceiverServer
    stop: threading.Event = field(default_factory=threading.Event)
    answers: list[Answer] = field(default_factory=list)

    @contextmanager
    def deliver(self) -> Iterator[None]:
        """Deliver while the block lasts."""
        lanes = [threading.Thread(target=self._deliver, args=(lane,)) for lane in range(LANES)]
        for lane in lanes:
            lane.start()
        try:
            yield
        finally:
            self.stop.set()
            for lane in lanes:
                lane.join()

    def _deliver(self, number: int) -> None:
        with httpx.Client(timeout=60) as client:
            while not self.stop.is_set():
                asked = time.monotonic()
                answer = client.post(self.server.delivery_url, json={"event": "x", "number": number})
                has_retry_after = "retry-after" in answer.headers
                self.answers.append(Answer(asked, time.monotonic(), answer.status_code, has_retry_after))
                number += LANES
                self.stop.wait(PAUSE_SECONDS)

    def count_taken_since(self, moment: float) -> int:
        return sum(answer.status == 202 and answer.asked > moment for answer in list(self.answers))


@contextmanager
def hold_sqlite_lock(url: str) -> Iterator[None]:
    """Hold SQLite's write lock, as a backup that hangs would."""
    with closing(sqlite3.connect(make_url(url).database or "", isolation_level=None, timeout=30)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        yield
        blocker.execute("ROLLBACK")


@contextmanager
def freeze_server(url: str) -> Iterator[None]:
    """Stop a server's processes in their tracks, as a machine that hangs would."""
    server = find_server_process(url)
    stopped = [server, *server.children(recursive=True)]
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            if process.is_running():
                process.send_signal(signal.SIGCONT)


def interrupt(way: str, url: str) -> AbstractContextManager[None]:
    return {"lock": hold_sqlite_lock, "stop": stop_database, "freeze": freeze_server}[way](url)


@pytest.mark.parametrize(
    "way",
    [
        "lock",
        pytest.param("stop", marks=pytest.mark.postgres),
        pytest.param("freeze", marks=pytest.mark.postgres),
    ],
)
def test_an_outage_is_told_to_every_sender_and_loses_nothing(
    request: pytest.FixtureRequest, size: Size, show: Show, way: str
) -> None:
    url = request.getfixturevalue("sqlite_url" if way == "lock" else "postgres_url")
    with start_receiver(url, "--no-access-log") as server:
        senders = Senders(server)
        with senders.deliver():
            time.sleep(QUIET_SECONDS)
            with interrupt(way, url):
                began = time.monotonic()
                time.sleep(size.outage_seconds)
                ended = time.monotonic()
            wait_until(lambda: senders.count_taken_since(ended) >= 50)
        lines = sum("could not be" in line for line in server.read_all_lines().splitlines())
    during = [answer for answer in senders.answers if began + MARGIN_SECONDS < answer.answered < ended]
    refused = [answer for answer in during if answer.status == 503 and answer.has_retry_after]
    acknowledged = sum(answer.status == 202 for answer in senders.answers)
    with closing(Inbox(url)) as inbox:
        kept = inbox.count_events()
    show(
        f"{ended - began:.0f} s: {len(refused)} of {len(during)} answers 503 with Retry-After,"
        f" {acknowledged} acknowledged, {kept} kept, {lines} log lines"
    )
    assert 0 < len(refused) == len(during)
    assert {answer.status for answer in senders.answers} == {202, 503}
    assert kept >= acknowledged  # each delivery is sent once
    assert lines <= 1 + 2 * max(1, round(size.outage_seconds / 60))  # the first, and two a minute
