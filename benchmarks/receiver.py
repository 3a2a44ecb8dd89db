"""
The receiver's speed, side by side with what it is compared to, in the same minutes.

``python -m benchmarks.receiver`` measures the receiver by itself beside a bare Starlette route that stores
nothing, and two receivers with one inbox on PostgreSQL beside one; ``--airflow`` also both webhook receivers
mounted in one and the same Airflow API server: ours, and ``airflow-provider-inbound-webhooks``, which writes
to Airflow's own database; and an app that stores nothing.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.receiver_airflow import BARE_PATH, serve_in_airflow
from benchmarks.receiver_load import Load, measure
from benchmarks.servers import TOKEN, serve_echo, serve_receiver
from tests.fakes.postgres import make_database, run_postgres

CONNECTIONS = 64
SECONDS = 3.0
ROUNDS = 3


def measure_in_turns(
    servers: Mapping[str, Sequence[str]], *, connections: int, seconds: float = SECONDS
) -> dict[str, Load]:
    """Measure the addresses of every row in turns, and give the middle round of each."""
    rounds: dict[str, list[Load]] = {name: [] for name in servers}
    for _ in range(ROUNDS):
        for name, urls in servers.items():
            rounds[name].append(measure_together(urls, connections=connections, seconds=seconds))
    return {name: find_median(loads) for name, loads in rounds.items()}


def measure_together(urls: Sequence[str], *, connections: int, seconds: float) -> Load:
    """Send to several servers at once, each over its part of the connections; give the slower one's times."""

    def measure_one(url: str) -> Load:
        return measure(url, token=TOKEN, connections=connections // len(urls), seconds=seconds)

    with ThreadPoolExecutor(len(urls)) as pool:
        loads = list(pool.map(measure_one, urls))
    return Load(
        sum(load.per_second for load in loads),
        max(load.p50_milliseconds for load in loads),
        max(load.p99_milliseconds for load in loads),
    )


def find_median(loads: list[Load]) -> Load:
    """Find the round in the middle, by requests per second."""
    middle = statistics.median_low(load.per_second for load in loads)
    return next(load for load in loads if load.per_second == middle)


def compare_alone() -> dict[str, Load]:
    """Measure the standalone receiver and the echo."""
    with (
        tempfile.TemporaryDirectory(prefix="pushmetrics-bench-") as folder,
        serve_receiver(f"sqlite:///{folder}/inbox.db") as receiver,
        serve_echo() as echo,
    ):
        servers = {"bare Starlette, stores nothing": [echo], "receiver, durable": [receiver]}
        return measure_in_turns(servers, connections=CONNECTIONS)


def compare_on_postgresql() -> dict[str, Load]:
    """Measure one receiver, and two with the same inbox."""
    with (
        run_postgres(is_durable=True) as server,
        make_database(server) as inbox_url,
        serve_receiver(inbox_url) as first,
        serve_receiver(inbox_url) as second,
        serve_echo() as echo,
    ):
        servers = {
            "one receiver": [first],
            "two receivers, together": [first, second],
            "bare Starlette, stores nothing": [echo],
        }
        return measure_in_turns(servers, connections=CONNECTIONS)


def compare_in_airflow() -> dict[str, Load]:
    """Measure both providers, mounted in the same API server."""
    with (
        tempfile.TemporaryDirectory(prefix="pushmetrics-bench-") as folder,
        serve_in_airflow(Path(folder)) as base,
    ):
        servers = {
            "airflow-provider-inbound-webhooks 0.2.0": [f"{base}/webhooks/bench"],
            "receiver, durable": [f"{base}/pushmetrics/webhooks/bench"],
            "a bare app that stores nothing: what Airflow lets through": [
                f"{base}{BARE_PATH}/webhooks/bench"
            ],
        }
        return measure_in_turns(servers, connections=CONNECTIONS)


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
    show(console, "by itself, SQLite", compare_alone)
    show(console, "on PostgreSQL", compare_on_postgresql)
    if "--airflow" in sys.argv:
        show(console, "in one Airflow API server", compare_in_airflow)


if __name__ == "__main__":
    main()
