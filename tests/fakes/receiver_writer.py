"""
Another process that uses an inbox: ``python -m tests.fakes.receiver_writer URL NAME COUNT``.

It says when it has loaded, waits for a line, and then opens the inbox and records COUNT deliveries.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox

ROOT = Path(__file__).parents[2]


def start_writers(inbox_url: str, *, writers: int, count: int) -> list[subprocess.Popen[str]]:
    """Start several, and let them open the inbox at the same moment."""
    command = [sys.executable, "-m", "tests.fakes.receiver_writer", inbox_url]
    processes = [
        subprocess.Popen(
            [*command, f"writer {number}", str(count)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(writers)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes


def end_writers(processes: Sequence[subprocess.Popen[str]]) -> list[int]:
    """Wait for all of them and give their exit codes."""
    for process in processes:
        process.communicate(timeout=240)
    return [process.returncode for process in processes]


def record(inbox_url: str, name: str, count: int) -> None:
    """Record so many deliveries, in transactions of one to three."""
    inbox = Inbox(inbox_url)
    deliveries = [
        IncomingWebhook("demo", f"{name}:{number}", b'{"event": "x"}', "x") for number in range(count)
    ]
    while deliveries:
        size = len(deliveries) % 3 + 1
        inbox.record(deliveries[:size])
        del deliveries[:size]
    inbox.close()


if __name__ == "__main__":
    print("ready", flush=True)  # noqa: T201 - its parent waits for it
    sys.stdin.readline()
    record(sys.argv[1], sys.argv[2], int(sys.argv[3]))
