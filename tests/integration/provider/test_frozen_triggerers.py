"""A triggerer that is frozen while another one takes over its triggers: real processes, a real receiver."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from airflow_provider_pushmetrics.triggers.event_stream import FRESH_SECONDS, build_position_name
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsEventTrigger
from tests.fakes.receiver_server import READER_TOKEN, ReceiverServer, start_receiver
from tests.fakes.waiting import wait_until
from tests.integration.provider.conftest import Connect

WATCH = """
import asyncio
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsEventTrigger

async def watch():
    async for event in PushMetricsEventTrigger(asset_name="an_asset").run():
        print("fired", event.payload["id"], flush=True)

asyncio.run(watch())
"""


@dataclass
class Watcher:
    """A process with the trigger of an asset watcher."""

    process: subprocess.Popen[str]
    fired: list[int] = field(default_factory=list)

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:  # with the log, in new versions of Airflow
            if line.startswith("fired "):
                self.fired.append(int(line.split()[1]))


@contextmanager
def start_watcher() -> Iterator[Watcher]:
    with subprocess.Popen([sys.executable, "-c", WATCH], stdout=subprocess.PIPE, text=True) as process:
        watcher = Watcher(process)
        listener = threading.Thread(target=watcher.listen)
        listener.start()
        try:
            yield watcher
        finally:
            process.kill()
            process.wait()
            listener.join()


@dataclass
class Inbox:
    """The receiver, as a sender and a reader see it."""

    server: ReceiverServer
    reader: httpx.Client

    def deliver(self, number: int) -> None:
        body = {"event": "report.run", "report_id": number}
        httpx.post(self.server.delivery_url, json=body, timeout=120).raise_for_status()

    def read_position(self) -> int:
        name = build_position_name(PushMetricsEventTrigger(asset_name="an_asset").serialize()[1])
        position: int = self.reader.get(f"/consumers/{name}").json()["position"]
        return position

    def count_waiting(self) -> int:
        found = re.search(r"waiting_readers ([0-9]+)", self.reader.get("/metrics").text)
        return int(found[1]) if found else 0


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def inbox(request: pytest.FixtureRequest, connect: Connect, tmp_path: Path) -> Iterator[Inbox]:
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/inbox.db" if is_sqlite else request.getfixturevalue("postgres_url")
    with start_receiver(url) as server:
        connect(receiver_url=server.url, receiver_token=READER_TOKEN)
        with server.open_reader() as reader:
            yield Inbox(server, reader)


@pytest.mark.slow
def test_a_triggerer_that_was_stopped_fires_no_event_that_another_one_handled_and_loses_none(
    inbox: Inbox,
) -> None:
    with start_watcher() as late:
        inbox.deliver(1)
        wait_until(lambda: inbox.read_position() == 1)
        wait_until(lambda: inbox.count_waiting() == 1)
        os.kill(late.process.pid, signal.SIGSTOP)
        stopped_at = time.time()
        inbox.deliver(2)
        inbox.deliver(3)
        with start_watcher() as other:
            wait_until(lambda: inbox.read_position() == 3)
        assert other.fired == [2, 3]
        wait_until(lambda: time.time() - stopped_at > FRESH_SECONDS)
        os.kill(late.process.pid, signal.SIGCONT)
        inbox.deliver(4)
        while (position := inbox.read_position()) != 4:
            assert position == 3
            time.sleep(0.01)
        inbox.deliver(5)
        wait_until(lambda: inbox.read_position() == 5)
    assert late.fired == [1, 4, 5]
