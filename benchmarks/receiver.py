"""
The receiver's speed, side by side with what it is compared to, in the same minutes.

``python -m benchmarks.receiver`` measures the receiver by itself beside a bare Starlette route that stores
nothing; ``--airflow`` also both webhook receivers mounted in one and the same Airflow API server: ours, and
``airflow-provider-inbound-webhooks``, which writes to Airflow's own database; and an app that stores nothing.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.receiver_airflow import BARE_PATH, serve_in_airflow
from benchmarks.receiver_load import Load, measure
from benchmarks.servers import TOKEN, serve_echo, serve_receiver

CONNECTIONS = 64
SECONDS = 3.0
ROUNDS = 3


def measure_in_turns(
    urls: Mapping[str, str], *, connections: int, seconds: float = SECONDS
) -> dict[str, Load]:
    """Measure every address in turns, and give the middle round of each."""
    rounds: dict[str, list[Load]] = {name: [] for name in urls}
    for _ in range(ROUNDS):
        for name, url in urls.items():
            rounds[name].append(measure(url, token=TOKEN, connections=connections, seconds=seconds))
    return {name: find_median(loads) for name, loads in rounds.items()}


def find_median(loads: list[Load]) -> Load:
    """Find the round in the middle, by requests per second."""
    middle = statistics.median_low(load.per_second for load in loads)
    return next(load for load in loads if load.per_second == middle)


def compare_alone() -> dict[str, Load]:
    """Measure the standalone receiver and the echo."""
    with (
        tempfile.TemporaryDirectory(prefix="pushmetrics-bench-") as folder,
        serve_receiver(Path(folder)) as receiver,
        serve_echo() as echo,
    ):
        urls = {"bare Starlette, stores nothing": echo, "receiver, durable": receiver}
        return measure_in_turns(urls, connections=CONNECTIONS)


def compare_in_airflow() -> dict[str, Load]:
    """Measure both providers, mounted in the same API server."""
    with (
        tempfile.TemporaryDirectory(prefix="pushmetrics-bench-") as folder,
        serve_in_airflow(Path(folder)) as base,
    ):
        urls = {
            "airflow-provider-inbound-webhooks 0.2.0": f"{base}/webhooks/bench",
            "receiver, durable": f"{base}/pushmetrics/webhooks/bench",
            "a bare app that stores nothing: what Airflow lets through": f"{base}{BARE_PATH}/webhooks/bench",
        }
        return measure_in_turns(urls, connections=CONNECTIONS)


def show(console: Console, title: str, measured: Callable[[], dict[str, Load]]) -> None:
    """Measure and print a table; each row's ratio is to the first."""
    loads = measured()
    table = Table(title, "events/s", "p50 ms", "p99 ms", "ratio")
    first = next(iter(loads.values())).per_second
    for name, load in loads.items():
        figures = (f"{load.per_second:,.0f}", f"{load.p50_milliseconds:.1f}", f"{load.p99_milliseconds:.1f}")
        table.add_row(name, *figures, f"{load.per_second / first:.2f}")
    console.print(table)


def main() -> None:
    """Print one table for each place."""
    console = Console()
    console.print(
        f"{CONNECTIONS} connections; client and server share {os.cpu_count()} cores (load"
        f" {os.getloadavg()[0]:.1f}); medians of {ROUNDS} rounds of {SECONDS:g} s, in turns."
    )
    show(console, "by itself", compare_alone)
    if "--airflow" in sys.argv:
        show(console, "in one Airflow API server", compare_in_airflow)


if __name__ == "__main__":
    main()
