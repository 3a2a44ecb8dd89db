"""9: the database is gone for a minute: every delivery is told so, and none that was acknowledged is lost."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field

import httpx
import psutil
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from benchmarks.receiver_proof import Found, MakeUrl, Prove, Size, say_progress
from tests.fakes.receiver_server import ReceiverServer, start_receiver

LANES = 8
PAUSE_SECONDS = 0.05
QUIET_SECONDS = 3
MARGIN_SECONDS = 1.0
"""What was committed at the last moment may be answered so long after it."""


Interrupt = Callable[[str], AbstractContextManager[None]]
"""Takes the database of an inbox away for as long as the block lasts."""


@dataclass(frozen=True)
class Answer:
    """One answer: of which delivery, when it was asked and when it came, and what it says."""

    number: int
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
                self.answers.append(
                    Answer(number, asked, time.monotonic(), answer.status_code, has_retry_after)
                )
                number += LANES
                self.stop.wait(PAUSE_SECONDS)


def build_outage(interrupt: Interrupt) -> Prove:
    """Build the proof of one way to lose the database."""

    def prove(size: Size, make_inbox: MakeUrl) -> Found:
        url = make_inbox()
        with start_receiver(url, "--no-access-log") as server:
            senders = Senders(server)
            with senders.deliver():
                time.sleep(QUIET_SECONDS)
                with interrupt(url):
                    began = time.monotonic()
                    _wait(size.outage_seconds, senders)
                    ended = time.monotonic()
                _wait_until_taken(senders, ended)
            lines = [line for line in server.read_all_lines().splitlines() if "could not be" in line]
        return judge(senders.answers, began, ended, _count_lost(url, senders.answers), len(lines))

    return prove


def _wait(seconds: float, senders: Senders) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        say_progress(f"the database is gone for {left:.0f} s more; {len(senders.answers):,} answers so far")
        time.sleep(min(10, left))


def _wait_until_taken(senders: Senders, ended: float) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if sum(answer.status == 202 and answer.asked > ended for answer in list(senders.answers)) >= 50:
            return
        time.sleep(0.1)


def _count_lost(url: str, answers: list[Answer]) -> int:
    acknowledged = sum(answer.status == 202 for answer in answers)
    with closing(Inbox(url)) as inbox:
        return max(0, acknowledged - inbox.count_events())  # each delivery is sent once


def judge(answers: list[Answer], began: float, ended: float, lost: int, lines: int) -> Found:
    """Judge what senders were answered while the database was gone, and what the log said of it."""
    during = [answer for answer in answers if began + MARGIN_SECONDS < answer.answered < ended]
    refused = sum(answer.status == 503 and answer.has_retry_after for answer in during)
    others = sorted({answer.status for answer in answers} - {202, 503})
    after = sum(answer.status == 202 and answer.asked > ended for answer in answers)
    allowed = 1 + 2 * max(1, round((ended - began) / 60))
    figures = (
        f"{ended - began:.0f} s: {refused} of {len(during)} answers 503 with Retry-After, others {others},"
        f" lost {lost}, {lines} log lines, {after} taken after"
    )
    holds = 0 < refused == len(during) and not others and lost == 0 and lines <= allowed and after > 0
    wanted = f"all 503 + Retry-After, lost 0, ≤ {allowed} log lines: the first and 2 a minute"
    return Found(wanted, figures, holds)


@contextmanager
def hold_sqlite_lock(url: str) -> Iterator[None]:
    """Hold SQLite's write lock, as a backup that hangs would."""
    with closing(sqlite3.connect(make_url(url).database or "", isolation_level=None, timeout=30)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        yield
        blocker.execute("ROLLBACK")


@contextmanager
def freeze_processes(process_id: int) -> Iterator[None]:
    """Stop a server's processes in their tracks, as a machine that hangs would."""
    server = psutil.Process(process_id)
    stopped = [server, *server.children(recursive=True)]
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            if process.is_running():
                process.send_signal(signal.SIGCONT)
