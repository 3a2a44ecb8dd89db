"""``make bench``: the receiver's ingest and the service's work, each beside what limits it."""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import service
from benchmarks.load import Load, measure
from benchmarks.servers import TOKEN, serve_echo, serve_receiver

CONNECTIONS = (16, 64)
SECONDS = 3.0
ROUNDS = 3


def compare(connections: int) -> tuple[Load, Load, float]:
    """Measure both sides in turns; return the median rounds and the ratio of their medians."""
    receiver, echo = list[Load](), list[Load]()
    with (
        tempfile.TemporaryDirectory(prefix="pushmetrics-bench-") as folder,
        serve_receiver(Path(folder)) as receiver_url,
        serve_echo() as echo_url,
    ):
        for _ in range(ROUNDS):
            for url, loads in ((receiver_url, receiver), (echo_url, echo)):
                found = measure(url, token=TOKEN, connections=connections, seconds=SECONDS)
                loads.append(asyncio.run(found))
    middle, limit = (find_median(loads) for loads in (receiver, echo))
    return middle, limit, middle.per_second / limit.per_second


def find_median(loads: list[Load]) -> Load:
    """Find the round in the middle, by requests per second."""
    middle = statistics.median_low(load.per_second for load in loads)
    return next(load for load in loads if load.per_second == middle)


def main() -> None:
    """Print a table: both sides, and their ratio."""
    console = Console()
    console.print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()};")
    console.print(
        f"client and server share them; medians of {ROUNDS} rounds of {SECONDS:g} s each, in turns."
    )
    table = Table("connections", "side", "events/s", "p50 ms", "p99 ms", "ratio")
    for connections in CONNECTIONS:
        receiver, echo, ratio = compare(connections)
        for side, load, shown in (
            ("receiver, durable", receiver, f"{ratio:.2f}"),
            ("bare Starlette", echo, "1"),
        ):
            figures = (
                f"{load.per_second:,.0f}",
                f"{load.p50_milliseconds:.1f}",
                f"{load.p99_milliseconds:.1f}",
            )
            table.add_row(str(connections), side, *figures, shown)
    console.print(table)
    service.main(console)


if __name__ == "__main__":
    main()
