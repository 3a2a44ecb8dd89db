"""The two sides of a benchmark, each a process of its own on a free port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT_SECONDS = 30
TOKEN = "benchmark-token-0123456789abcdefghij"


def find_free_port() -> int:
    """Ask the system for a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def serve_receiver(folder: Path) -> Iterator[str]:
    """Run the receiver on an inbox in this folder; give the address of its webhooks."""
    port = find_free_port()
    command = [str(Path(sys.executable).with_name("pushmetrics")), "receiver", "--port", str(port)]
    command += ["--source", "bench", "--inbox", f"sqlite:///{folder / 'inbox.db'}", "--no-access-log"]
    environ = {"PUSHMETRICS_RECEIVER_TOKEN": TOKEN, "PUSHMETRICS_RECEIVER_READER_TOKEN": TOKEN[::-1]}
    with _run(command, port, environ):
        yield f"http://127.0.0.1:{port}/webhooks/bench"


@contextmanager
def serve_echo() -> Iterator[str]:
    """Run the route that stores nothing."""
    port = find_free_port()
    with _run([sys.executable, "-m", "benchmarks.echo", str(port)], port, {}):
        yield f"http://127.0.0.1:{port}/webhooks/bench"


@contextmanager
def serve_results() -> Iterator[str]:
    """Run the server of large results; give its address."""
    port = find_free_port()
    with _run([sys.executable, "-m", "benchmarks.result_server", str(port)], port, {}):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _run(command: Sequence[str], port: int, environ: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL)
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
