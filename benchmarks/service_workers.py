"""
What a worker costs: processor time and transactions per run, and how soon it begins a run.

``python -m benchmarks.service_workers`` measures on SQLite and PostgreSQL. Each run executes one query of
DuckDB and delivers one event. Beside it: the same query, written to a file in this process without a service.
What a worker costs at rest, :mod:`benchmarks.service_idle` measures.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, insert, select, text

from airflow_provider_pushmetrics.service.datasources.base import Stopper
from airflow_provider_pushmetrics.service.datasources.duckdb.pool import open_duckdb_pool
from airflow_provider_pushmetrics.service.datasources.duckdb.source import DuckDbSource
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS
from airflow_provider_pushmetrics.service.models import Delivery, Run, Subscription
from airflow_provider_pushmetrics.service.models.statuses import SUCCESS
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_keys
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from benchmarks.installation import find_worker
from benchmarks.service import Bench, count_requests, prepare
from tests.fakes.postgres import make_database, run_postgres
from tests.fakes.service_process import run_service, run_worker
from tests.fakes.waiting import wait_until

RUNS = 300
SINGLE_RUNS = 30

MAX_CPU_MS = 20.0
MAX_START_MS = 100.0


@dataclass(frozen=True)
class Cost:
    """
    What was measured on one database.

    :param cpu_ms: Processor time of the worker per run.
    :param child_ms: Processor time of its child processes per run.
    :param transactions: Transactions per run; None on SQLite, which does not count them.
    :param start_ms: The median from the commit of a run to its start.
    """

    cpu_ms: float
    child_ms: float
    transactions: float | None
    start_ms: float


@contextmanager
def run_on_sqlite() -> Iterator[tuple[Bench, psutil.Process]]:
    """Run a service on SQLite, and give its worker."""
    with prepare() as bench, run_service(bench.folder, "--allow-private-endpoints") as service:
        service.wait_until_ready()
        yield bench, find_worker(service)


@contextmanager
def run_on_postgresql() -> Iterator[tuple[Bench, psutil.Process]]:
    """Run a worker on PostgreSQL."""
    with (
        run_postgres() as server,
        make_database(server) as url,
        prepare(url) as bench,
        run_worker(bench.folder, "--database-url", url, "--allow-private-endpoints") as worker,
    ):
        yield bench, psutil.Process(worker.pid)


def measure(bench: Bench, worker: psutil.Process) -> Cost:
    """Execute many runs at once, then some one by one."""
    with count_requests() as (url, count):
        _subscribe(bench, url)
        _execute(bench, 20, count)  # what is loaded at the first time is not counted
        before, transactions = read_cpu(worker), _count_transactions(bench)
        _execute(bench, RUNS, count)
        cpu, child = (1000 * (now - then) / RUNS for now, then in zip(read_cpu(worker), before, strict=True))
        counted = _count_transactions(bench)
        start_ms = _measure_starts(bench, count)
    _check(bench)
    per_run = None if counted is None or transactions is None else (counted - transactions) / RUNS
    return Cost(cpu, child, per_run, start_ms)


def measure_bare(bench: Bench) -> float:
    """Execute the query of a run and store its result, without a service; give milliseconds per query."""
    with tempfile.TemporaryDirectory() as folder:
        pool = open_duckdb_pool(DEFAULT_LIMITS)
        source = DuckDbSource(bench.folder / "sources" / "empty.duckdb", Path(folder), pool)
        results, query = ResultStore(Path(folder)), BoundSql(("SELECT 1 AS n",), ())

        def store() -> None:
            with source.query(query, Stopper(), limits=DEFAULT_LIMITS, time_zone="UTC") as rows:
                results.write("result.parquet", rows)

        store()
        began = time.process_time()
        for _ in range(RUNS):
            store()
        seconds = time.process_time() - began
        pool.close()
    return 1000 * seconds / RUNS


def _subscribe(bench: Bench, url: str) -> None:
    secret = Cipher(*load_secret_keys(bench.folder)).encrypt("whsec_" + "A" * 32)
    values = {"workspace_id": 1, "name": "bench", "url": url, "events": ["report.run"]}
    with bench.database.writing() as session:
        session.execute(insert(Subscription).values(**values, secret_encrypted=secret))


def _execute(bench: Bench, count: int, count_events: Callable[[], int]) -> None:
    """Commit runs as the trigger does, and wait until their events have arrived."""
    wanted = count_events() + count
    row = {"workspace_id": 1, "report_id": bench.trivial.id, "origin": "api"}
    with bench.database.writing() as session:
        session.execute(insert(Run), [{**row, "given_parameters": {}, "parameters": {}}] * count)
    wait_until(lambda: count_events() >= wanted, limit_seconds=600)


def _check(bench: Bench) -> None:
    """Check that all runs have succeeded and were delivered once."""
    with bench.database.reading() as session:
        statuses = session.scalars(select(Run.status).distinct()).all()
        runs, deliveries = (session.scalar(select(func.count()).select_from(one)) for one in (Run, Delivery))
        attempts = session.scalars(select(Delivery.attempt_count).distinct()).all()
    assert (list(statuses), runs, list(attempts)) == ([SUCCESS], deliveries, [1])


def _measure_starts(bench: Bench, count_events: Callable[[], int]) -> float:
    for _ in range(SINGLE_RUNS):
        _execute(bench, 1, count_events)
        time.sleep(0.1)
    newest = select(Run.created_on, Run.started_on).order_by(Run.id.desc()).limit(SINGLE_RUNS)
    with bench.database.reading() as session:
        seconds = [(begun - created).total_seconds() for created, begun in session.execute(newest) if begun]
    return 1000 * statistics.median(seconds)


def read_cpu(worker: psutil.Process) -> tuple[float, float]:
    """Read the processor time of a worker and of its child processes, in seconds."""
    own = worker.cpu_times()
    children = [one.cpu_times() for one in worker.children(recursive=True)]
    return own.user + own.system, own.children_user + own.children_system + sum(
        one.user + one.system for one in children
    )


def _count_transactions(bench: Bench) -> float | None:
    if bench.database.engine.dialect.name == "sqlite":
        return None
    counted = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    time.sleep(1.5)  # the server counts what a session did once a second
    with bench.database.reading() as session:
        return float(session.execute(text(counted)).scalar_one())


RUNNERS: dict[str, Callable[[], object]] = {"SQLite": run_on_sqlite, "PostgreSQL": run_on_postgresql}


def main(arguments: Sequence[str] = ()) -> bool:
    """Print a table, and return whether all bounds are met."""
    table = Table("a worker", "found", "wanted", "met")
    is_met = True

    def add(what: str, found: float, most: float, unit: str, note: str = "") -> None:
        nonlocal is_met
        is_met &= found <= most
        table.add_row(
            what, f"{found:.1f} {unit}{note}", f"<= {most:g} {unit}", "yes" if found <= most else "NO"
        )

    with ExitStack() as stack:
        for name, runner in RUNNERS.items():
            bench, worker = stack.enter_context(runner())  # type: ignore[attr-defined]
            cost, bare = measure(bench, worker), measure_bare(bench)
            note = f"; its child {cost.child_ms:.1f} ms; the query alone {bare:.1f} ms"
            add(f"{name}: processor time per run", cost.cpu_ms, MAX_CPU_MS, "ms", note)
            if cost.transactions is not None:
                table.add_row(f"{name}: transactions per run", f"{cost.transactions:.1f}", "", "")
            add(f"{name}: start of a run, median", cost.start_ms, MAX_START_MS, "ms")
    Console().print(table)
    return is_met


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
