"""Storage that fails: what was acknowledged is there afterwards, or the start names the damage."""

from __future__ import annotations

import random
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import httpx
import pytest

from tests.fakes.failing_storage import FailingStorage, make_failing_storage
from tests.fakes.receiver_server import ReceiverServer, start_receiver
from tests.fakes.service_process import ServiceProcess
from tests.fakes.waiting import LIMIT_SECONDS, wait_until

pytestmark = pytest.mark.slow
ROUNDS = 6
SENDERS = 4


@pytest.fixture
def storage(tmp_path: Path) -> FailingStorage:
    return make_failing_storage(tmp_path)


class Senders:
    """
    Threads that send numbered requests, and remember which were acknowledged.

    :param url: Where they post to.
    :param first: The first number.
    """

    def __init__(self, url: str, first: int) -> None:
        self._url = url
        self._next = iter(range(first, first + 1_000_000))
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        self.acknowledged: dict[int, int] = {}
        self.refused: list[int] = []

    def __enter__(self) -> Senders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        with httpx.Client(timeout=LIMIT_SECONDS, trust_env=False) as client:
            while not self._ended.is_set():
                with self._lock:
                    number = next(self._next)
                try:
                    answer = client.post(self._url, json={"event": "x", "number": number})
                except httpx.TransportError:
                    time.sleep(0.01)
                    continue
                if answer.is_success:
                    self.acknowledged[number] = answer.json().get("id") or answer.json()["run_id"]
                else:
                    self.refused.append(answer.status_code)
                    time.sleep(0.01)


@contextmanager
def open_receiver(storage: FailingStorage) -> Iterator[ReceiverServer]:
    url = f"sqlite:///{storage.folder}/inbox.db"
    with start_receiver(url, "--no-access-log", environment=storage.environment) as receiver:
        yield receiver


def read_events(receiver: ReceiverServer) -> dict[int, int]:
    """Read all events: their numbers, and their ids."""
    found: dict[int, int] = {}
    with receiver.open_reader() as reader:
        after = 0
        while events := reader.get("/events", params={"after": after, "limit": 100}).json()["events"]:
            for event in events:
                assert event["body"]["number"] not in found, "an event is there twice"
                found[event["body"]["number"]] = event["id"]
            after = events[-1]["id"]
    return found


def break_storage(storage: FailingStorage, seed: int) -> None:
    """Let the storage fail for a while, one way or the other, or not at all."""
    choose = random.Random(seed)
    time.sleep(choose.uniform(0.2, 0.8))
    storage.fail(choose.choice(("eio", "short", "")))
    time.sleep(choose.uniform(0.1, 0.4))
    if choose.random() < 0.7:
        storage.fail("")
        time.sleep(choose.uniform(0.1, 0.4))


def test_receiver_keeps_what_it_acknowledged_through_faults_and_power_losses(storage: FailingStorage) -> None:
    acknowledged: dict[int, int] = {}
    refused: list[int] = []
    for seed in range(ROUNDS):
        storage.fail("")
        with open_receiver(storage) as receiver:
            found = read_events(receiver)
            assert {number: found.get(number) for number in acknowledged} == acknowledged, f"before {seed}"
            with Senders(receiver.delivery_url, seed * 1_000_000) as senders:
                break_storage(storage, seed)
                receiver.process.send_signal(signal.SIGKILL)
                receiver.process.wait(LIMIT_SECONDS)
            acknowledged |= senders.acknowledged
            refused += senders.refused
        storage.lose_power(seed)
    storage.fail("")
    with open_receiver(storage) as receiver:
        found = read_events(receiver)
        ids = sorted(found.values())
        again = httpx.post(receiver.delivery_url, json={"event": "x", "number": -1}, timeout=LIMIT_SECONDS)
        assert again.json()["id"] > ids[-1], "no id is given twice"
    assert {number: found.get(number) for number in acknowledged} == acknowledged
    assert len(acknowledged) > 10 * ROUNDS
    assert set(refused) == {503}, "while the storage fails, senders are told to come again"


def post(client: httpx.Client, receiver: ReceiverServer) -> int:
    return client.post(receiver.delivery_url, json={"event": "x", "number": -1}).status_code


def test_receiver_works_again_when_its_storage_does(storage: FailingStorage) -> None:
    with open_receiver(storage) as receiver, httpx.Client(timeout=LIMIT_SECONDS) as client:
        for fault in ("eio", "short"):
            storage.fail(fault)
            for number in range(3):
                answer = client.post(receiver.delivery_url, json={"event": "x", "number": number, "f": fault})
                assert answer.status_code == 503
            storage.fail("")
            wait_until(lambda: post(client, receiver) in (200, 202))


def damage(path: Path) -> None:
    """Overwrite the middle of a file, as failing hardware does."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 8192 * 4096
    content[middle : middle + 8192] = b"\xa5" * len(content[middle : middle + 8192])
    path.write_bytes(bytes(content))


def checkpoint(path: Path) -> None:
    """Move what is in the write-ahead log to the file, and leave a log behind as a crash does."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    Path(f"{path}-wal").write_bytes(b"log")


def test_receiver_says_at_each_start_that_the_file_is_damaged(storage: FailingStorage) -> None:
    inbox = storage.folder / "inbox.db"
    with open_receiver(storage) as receiver:
        with Senders(receiver.delivery_url, 0) as senders:
            wait_until(lambda: len(senders.acknowledged) > 300)
        receiver.process.send_signal(signal.SIGKILL)
        receiver.process.wait(LIMIT_SECONDS)
    checkpoint(inbox)
    damage(inbox)
    for _ in range(2):  # the first one closes the file properly
        with (
            pytest.raises(RuntimeError, match=r"inbox\.db' is damaged \(.*\): restore a backup"),
            open_receiver(storage),
        ):
            pass


def test_service_says_at_each_start_that_the_file_is_damaged(storage: FailingStorage) -> None:
    file = storage.folder / "service.db"
    with ExitStack() as stack:
        log = stack.enter_context(open(storage.folder.with_suffix(".log"), "ab"))
        service = start_service(storage, log, stack)
        service.stop(signal.SIGKILL)
        checkpoint(file)
        damage(file)
        for start in (1, 2):
            again = ServiceProcess(storage.folder, log, environment=storage.environment)
            stack.callback(again.client.close)
            stack.callback(again.stop, signal.SIGKILL)
            assert again.process.wait(LIMIT_SECONDS) != 0
            written = storage.folder.with_suffix(".log").read_text("utf-8")
            assert len(re.findall(r"service\.db' is damaged \(", written)) == start


def test_service_keeps_what_it_accepted_through_faults_and_power_losses(storage: FailingStorage) -> None:
    accepted: dict[int, int] = {}
    with ExitStack() as stack:
        log = stack.enter_context(open(storage.folder.with_suffix(".log"), "ab"))
        for seed in range(ROUNDS + 1):
            storage.fail("")
            service = start_service(storage, log, stack)
            if not accepted:
                body = {"name": "r", "blocks": [{"type": "text", "name": "n", "content": {"text": "x"}}]}
                report = service.client.post("/api/v1/report/", json=body).raise_for_status().json()["id"]
                made = service.client.post("/api/v1/webhook/", json={"report_id": report}).raise_for_status()
                token = made.json()["result"]["token"]
            rows = service.client.get("/api/v1/noteflow_run/?q=(page_size:5000)").json()["ids"]
            assert set(accepted.values()) <= set(rows), f"before {seed}"
            if seed == ROUNDS:
                wait_until(partial(has_ended, service))
                break
            url = f"{service.client.base_url}/api/v1/report/{report}/webhook?token={token}"
            with Senders(url, seed * 1_000_000) as senders:
                break_storage(storage, seed)
                service.stop(signal.SIGKILL)
            accepted |= senders.acknowledged
            storage.lose_power(seed)
    assert len(accepted) > 5 * ROUNDS
    assert len(set(accepted.values())) == len(accepted), "no run is given twice"


def start_service(storage: FailingStorage, log: IO[bytes], stack: ExitStack) -> ServiceProcess:
    service = ServiceProcess(storage.folder, log, environment=storage.environment)
    stack.callback(service.client.close)
    stack.callback(service.stop, signal.SIGKILL)
    service.wait_until_ready()
    return service


def has_ended(service: ServiceProcess) -> bool:
    """Return whether no run is unfinished."""
    filters = "(filters:!((col:status,opr:eq,value:{})))"
    answers = (
        service.client.get("/api/v1/noteflow_run/", params={"q": filters.format(status)})
        for status in ("pending", "running")
    )
    return not any(answer.json()["ids"] for answer in answers)
