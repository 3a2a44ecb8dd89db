"""
What a service, its worker and a receiver cost at rest: processor time and transactions.

``python -m benchmarks.service_idle`` measures on SQLite and PostgreSQL, two minutes each, after some runs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import psutil
import psycopg
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, insert, select

from airflow_provider_pushmetrics.service.models import Delivery, Run
from airflow_provider_pushmetrics.service.models.statuses import DELIVERED
from benchmarks.installation import Installation, run_installation
from benchmarks.service_workers import read_cpu
from tests.fakes.postgres import run_postgres, write_url
from tests.fakes.waiting import wait_until

WARM_UP_RUNS = 20
WARM_UP_SECONDS = 15.0
REST_SECONDS = 120.0

MAX_IDLE_SHARE = 0.01
MAX_IDLE_TRANSACTIONS = 5.0


def measure_rest(
    installation: Installation, count_transactions: Callable[[str], int] | None
) -> tuple[dict[str, float], dict[str, float]]:
    """Give the share of a core of each kind of process, and the transactions per second of each database."""
    processes, names = installation.processes, installation.databases if count_transactions else {}
    count = count_transactions or (lambda _: 0)
    execute_runs(installation, WARM_UP_RUNS)
    time.sleep(WARM_UP_SECONDS)
    cpu = {kind: _read_own_cpu(kind, process) for kind, process in processes.items()}
    counted = {kind: count(name) for kind, name in names.items()}
    began = time.monotonic()
    time.sleep(REST_SECONDS)
    seconds = time.monotonic() - began
    used = {kind: _read_own_cpu(kind, process) - cpu[kind] for kind, process in processes.items()}
    committed = {kind: count(name) - counted[kind] for kind, name in names.items()}
    execute_runs(installation, 1)  # else a worker that hangs would be the cheapest
    return (
        {kind: found / seconds for kind, found in used.items()},
        {kind: found / seconds for kind, found in committed.items()},
    )


def _read_own_cpu(kind: str, process: psutil.Process) -> float:
    """Read the processor time of a process; that of a worker with its children."""
    own, of_children = read_cpu(process)
    return own + of_children if kind == "worker" else own


def execute_runs(installation: Installation, count: int) -> None:
    """Execute some runs, and wait until their events are delivered."""
    bench = installation.bench
    row = {"workspace_id": 1, "report_id": bench.trivial.id, "origin": "api"}
    with bench.database.writing() as session:
        session.execute(insert(Run), [{**row, "given_parameters": {}, "parameters": {}}] * count)

    def have_arrived() -> bool:
        delivered = select(func.count()).select_from(Delivery).where(Delivery.status == DELIVERED)
        with bench.database.reading() as session:
            return session.scalar(delivered) == session.scalar(select(func.count()).select_from(Run))

    wait_until(have_arrived)


def main() -> bool:
    """Print a table, and return whether all bounds are met."""
    table = Table("at rest", "found", "wanted", "met")
    are_met = list[bool]()

    def add(what: str, found: float, most: float | None, unit: str) -> None:
        are_met.append(most is None or found <= most)
        wanted = "" if most is None else f"<= {most:g} {unit}"
        met = "" if most is None else "yes" if found <= most else "NO"
        table.add_row(what, f"{found:.2f} {unit}", wanted, met)

    with run_postgres() as server, psycopg.connect(write_url(server, "postgresql"), autocommit=True) as admin:

        def count_transactions(name: str) -> int:
            # By a connection to another database, so that these questions do not count themselves.
            counted = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"
            row = admin.execute(counted, [name]).fetchone()
            assert row is not None
            return int(row[0])

        for name, url in (("SQLite", None), ("PostgreSQL", server)):
            with run_installation(url) as installation:
                shares, transactions = measure_rest(installation, count_transactions if url else None)
            for kind, share in shares.items():
                most = 100 * MAX_IDLE_SHARE if kind == "worker" else None
                add(f"{name}: {kind}", 100 * share, most, "% of a core")
            for kind, rate in transactions.items():
                most = MAX_IDLE_TRANSACTIONS if kind == "service" else None
                add(f"{name}: database of the {kind}", rate, most, "transactions/s")
    Console().print(table)
    return all(are_met)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
