"""
Puts bodies into an inbox past the receiver's checks: ``python -m tests.fakes.inbox_filler URL``.

An older receiver took what this one refuses, and its inbox is still read.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.fakes.interpreter import SERVER_PYTHON

ROOT = Path(__file__).parents[2]


def fill_inbox(inbox_url: str, *bodies: bytes) -> None:
    """Record bodies as they are, from a process that can run the receiver."""
    command = [SERVER_PYTHON, "-m", "tests.fakes.inbox_filler", inbox_url]
    subprocess.run(command, cwd=ROOT, input=b"\n".join(bodies), check=True, timeout=240)


def record(inbox_url: str, bodies: list[bytes]) -> None:
    from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook
    from airflow_provider_pushmetrics.receiver.inbox.store import Inbox

    inbox = Inbox(inbox_url)
    for body in bodies:
        content = json.loads(body)
        inbox.record(
            [IncomingWebhook("demo", str(hash(body)), body, content["event"], report_id=content["report_id"])]
        )
    inbox.close()


if __name__ == "__main__":
    record(sys.argv[1], sys.stdin.buffer.read().splitlines())
