"""The two sides of a benchmark, each a process of its own on a free port."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.fakes.receiver_server import start_receiver
from tests.fakes.service_process import find_free_port

START_TIMEOUT_SECONDS = 30
TOKEN = "benchmark-token-0123456789abcdefghij"


@contextmanager
def serve_receiver(inbox_url: str) -> Iterator[str]:
    """Run the receiver on an inbox; give the address of its webhooks."""
    environment = {"PUSHMETRICS_RECEIVER_TOKEN": TOKEN, "PUSHMETRICS_RECEIVER_READER_TOKEN": TOKEN[::-1]}
    with start_receiver(inbox_url, "--source", "bench", "--no-access-log", environment=environment) as server:
        yield f"{server.url}/webhooks/bench"


@contextmanager
def serve_echo() -> Iterator[str]:
    """Run the route that stores nothing."""
    port = find_free_port()
    with _run([sys.executable, "-m", "benchmarks.echo", str(port)], port):
        yield f"http://127.0.0.1:{port}/webhooks/bench"


@contextmanager
def serve_results() -> Iterator[str]:
    """Run the server of large results; give its address."""
    port = find_free_port()
    with _run([sys.executable, "-m", "benchmarks.result_server", str(port)], port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _run(command: Sequence[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_for_listener(process, port)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _wait_for_listener(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} does not listen on port {port}")
