"""
Send webhooks over raw connections, as cheaply as Python can: the load must not be what is measured.

``python -m benchmarks.receiver_load URL TOKEN CONNECTIONS SECONDS`` prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Load:
    """
    What one measurement found.

    :param per_second: Requests answered in a second.
    :param p50_milliseconds: Half of the requests took at most this long.
    :param p99_milliseconds: 99 of 100 did.
    :param refused: How many were answered with anything but 202.
    """

    per_second: float
    p50_milliseconds: float
    p99_milliseconds: float
    refused: int = 0


class Requests:
    """
    Builds requests that differ in one number.

    :param url: Where to.
    :param token: What the sender shows as Bearer.
    """

    def __init__(self, url: str, token: str) -> None:
        address = urlsplit(url)
        event = {
            "event": "report.run",
            "report_id": 1,
            "report_name": "Departure delays",
            "workspace_id": 1,
            "workspace_name": "Main Workspace",
            "report_notebook_outputs": "http://127.0.0.1:8090/api/reports/1/run/" + "0" * 15,
            "queries": [],
            "timestamp": "2013-02-01T00:00:00+00:00",
        }
        body = json.dumps(event)
        target = address.path + (f"?{address.query}" if address.query else "")
        head = f"POST {target} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {token}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._before, self._after = (head + body).encode().split(b"0" * 15)
        # By chance: two senders that start at once must not send the same events.
        self._numbers: Iterator[int] = itertools.count(secrets.randbelow(10**15))

    def build(self) -> bytes:
        """Build the next."""
        return self.build_for(next(self._numbers) % 10**15)

    def build_for(self, run_id: int) -> bytes:
        """Build the one of a run."""
        return b"%b%015d%b" % (self._before, run_id, self._after)


class Sender(asyncio.Protocol):
    """
    One connection: the next request goes out when the answer to the last is in.

    :param requests: Builds them.
    :param end: When to stop, on the monotonic clock.
    """

    def __init__(self, requests: Requests, end: float) -> None:
        self._requests = requests
        self._end = end
        self._received = b""
        self._began = 0.0
        self.took: list[float] = []
        self.refused = 0
        self.is_done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Note an answer when it is whole, and send the next."""
        self._received += data
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if not separator or len(rest) < _read_length(head):
            return
        self._received = b""
        now = time.perf_counter()
        self.took.append(now - self._began)
        self.refused += not head.startswith(b"HTTP/1.1 202")
        if now >= self._end:
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if not self.is_done.done():
            self.is_done.set_result(None)

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._requests.build())


def _read_length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def send(url: str, token: str, connections: int, seconds: float) -> Load:
    """Send for a time over a number of connections."""
    address, loop = urlsplit(url), asyncio.get_running_loop()
    requests, end = Requests(url, token), time.perf_counter() + seconds
    made = [
        await loop.create_connection(
            lambda: Sender(requests, end), address.hostname or "", address.port or 80
        )
        for _ in range(connections)
    ]
    senders = [protocol for _, protocol in made]
    await asyncio.gather(*(sender.is_done for sender in senders))
    took = [duration for sender in senders for duration in sender.took]
    cuts = statistics.quantiles(took, n=100)
    refused = sum(sender.refused for sender in senders)
    return Load(len(took) / seconds, cuts[49] * 1000, cuts[98] * 1000, refused)


def measure(url: str, *, token: str, connections: int, seconds: float) -> Load:
    """
    Send from a process of its own, so that its work does not delay the clock of anything else.

    :raises RuntimeError: if a request was not accepted.
    """
    command = [sys.executable, "-m", "benchmarks.receiver_load", url, token, str(connections), str(seconds)]
    printed = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    load = Load(**json.loads(printed.stdout))
    if load.refused:
        raise RuntimeError(f"{url} did not accept {load.refused} requests")
    return load


def main() -> None:
    """Measure and print one line of JSON."""
    import uvloop

    url, token, connections, seconds = sys.argv[1:]
    load = uvloop.run(send(url, token, int(connections), float(seconds)))
    print(json.dumps(asdict(load)))  # noqa: T201 - this is its answer


if __name__ == "__main__":
    main()
