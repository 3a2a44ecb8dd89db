"""A receiver in a process of its own, as its command starts it."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.fakes.interpreter import SERVER_PYTHON
from tests.fakes.waiting import LIMIT_SECONDS

SENDER_TOKEN = "sender-token-0123456789"
READER_TOKEN = "reader-token-0123456789"
SOURCE = "demo"
START = "from airflow_provider_pushmetrics.receiver.cli import app; app()"


@dataclass
class ReceiverServer:
    """A running receiver."""

    process: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list)
    heard: threading.Event = field(default_factory=threading.Event)

    @property
    def delivery_url(self) -> str:
        return f"{self.url}/webhooks/{SOURCE}?token={SENDER_TOKEN}"

    @property
    def reader_headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {READER_TOKEN}"}

    def open_reader(self) -> httpx.Client:
        limits = httpx.Limits(keepalive_expiry=2)  # less than the server's 5 s, as a service's client
        return httpx.Client(
            base_url=self.url, headers=self.reader_headers, timeout=LIMIT_SECONDS, limits=limits
        )

    def read_all_lines(self) -> str:
        return "".join(self.lines)

    def listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            found = re.search(r"Listening on (http://\S+)", line)
            if found:
                self.url = found[1]
                self.heard.set()
        self.heard.set()

    def wait_until_ready(self) -> None:
        """Wait until it listens and answers."""
        if not self.heard.wait(LIMIT_SECONDS) or not self.url:
            raise RuntimeError(f"the receiver did not start: {self.read_all_lines()}")
        _wait_until_live(self.url)


@contextmanager
def start_receiver(
    inbox_url: str, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[ReceiverServer]:
    """Start a receiver on a free port; kill it at the end, unless it ended by itself."""
    with launch_receiver(inbox_url, *options, environment=environment) as server:
        server.wait_until_ready()
        yield server


@contextmanager
def launch_receiver(
    inbox_url: str, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[ReceiverServer]:
    """Start a receiver as :func:`start_receiver` does, without waiting for it."""
    command = [SERVER_PYTHON, "-c", START, "--port", "0", "--source", SOURCE, *options]
    environment = {
        **os.environ,
        "PUSHMETRICS_RECEIVER_INBOX": inbox_url,
        "PUSHMETRICS_RECEIVER_TOKEN": SENDER_TOKEN,
        "PUSHMETRICS_RECEIVER_READER_TOKEN": READER_TOKEN,
        **(environment or {}),
    }
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        server = ReceiverServer(process)
        listener = threading.Thread(target=server.listen)
        listener.start()
        try:
            yield server
        finally:
            process.kill()
            process.wait()
            listener.join()


def _wait_until_live(url: str) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            httpx.get(f"{url}/health/live", timeout=LIMIT_SECONDS).raise_for_status()
            return
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
