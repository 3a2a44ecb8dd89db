"""The reference service: triggers, runs, deliveries and results, each beside what limits it."""

from __future__ import annotations

import asyncio
import math
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, insert, select

from airflow_provider_pushmetrics.service.accounts.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.models import Delivery, Run, Worker
from airflow_provider_pushmetrics.service.models.statuses import SUCCESS
from airflow_provider_pushmetrics.service.results.encoders.formats import CSV, JSON, PARQUET
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_keys
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from tests.fakes.postgres import run_postgres
from tests.fakes.service_process import API_TOKEN, ServiceProcess, run_service, run_worker
from tests.fakes.service_reports import TRIGGER_TOKEN, MadeReport, make_report, sql
from tests.fakes.waiting import wait_until

SECONDS = 4.0
RUNS = 300
DELIVERIES = 400
ROWS = 1_000_000
ROUNDS = 3
WIDE = (
    f"SELECT range AS n, range / 7 AS x, 'flight ' || range AS t, DATE '2013-01-01' AS d FROM range({ROWS})"
)


@dataclass(frozen=True)
class Target:
    """What is measured, what it was, and what it should be."""

    what: str
    found: str
    wanted: str
    is_met: bool


@dataclass(frozen=True)
class Bench:
    """A service's data, prepared."""

    folder: Path
    database: Database
    trivial: MadeReport
    wide: MadeReport

    @property
    def trigger(self) -> str:
        """The path that starts a run of one trivial query."""
        return f"/api/v1/report/{self.trivial.id}/webhook?token={TRIGGER_TOKEN}"


@contextmanager
def prepare(database_url: str | None = None) -> Iterator[Bench]:
    """Make a data folder with a report of one trivial query, and one of a million rows."""
    with tempfile.TemporaryDirectory(prefix="pushmetrics-bench-") as name:
        folder = Path(name) / "data"
        folder.mkdir()
        database = Database(database_url or f"sqlite:///{folder}/service.db")
        database.migrate()
        bootstrap(database, folder, API_TOKEN)
        cipher = Cipher(*load_secret_keys(folder))
        trivial = make_report(database, cipher, folder, one=sql("SELECT 1 AS n"))
        wide = make_report(database, cipher, folder, rows=sql(WIDE))
        try:
            yield Bench(folder, database, trivial, wide)
        finally:
            database.close()


def main(console: Console | None = None) -> bool:
    """Print a table of what was wanted and what was found; tell whether all of it is met."""
    console = console or Console()
    targets: list[Target] = []
    with prepare() as bench, run_service(bench.folder, "--allow-private-endpoints") as service:
        service.wait_until_ready()
        targets += measure_triggers(bench, service)
        targets.append(measure_runs(bench))
        targets.append(measure_deliveries(bench, service))
        targets += measure_results(bench, service)
    with run_postgres() as url:
        targets.append(compare_workers(url))
    table = Table("reference service", "found", "wanted", "met")
    for target in targets:
        table.add_row(target.what, target.found, target.wanted, "yes" if target.is_met else "NO")
    console.print(table)
    return all(target.is_met for target in targets)


def measure_triggers(bench: Bench, service: ServiceProcess) -> list[Target]:
    """Call the trigger over kept connections, beside a route of the same server that stores nothing."""
    targets = []
    for connections in (8, 50):
        took = asyncio.run(_load(service.port, "POST", bench.trigger, connections, SECONDS))
        bare = asyncio.run(_load(service.port, "GET", "/health/live", connections, 2.0))
        p99 = statistics.quantiles(took, n=100)[98] * 1000
        rate, limit = len(took) / SECONDS, len(bare) / 2.0
        found = f"{rate:,.0f}/s, p99 {p99:.0f} ms; a bare route {limit:,.0f}/s (ratio {rate / limit:.2f})"
        wanted, is_met = ("p99 <= 50 ms", p99 <= 50) if connections == 8 else (">= 300/s", rate >= 300)
        targets.append(Target(f"trigger, {connections} connections, durable", found, wanted, is_met))
        wait_until(lambda: _count(bench, Run.status != SUCCESS) == 0, limit_seconds=600)
    return targets


def measure_runs(bench: Bench) -> Target:
    """Start many runs of one trivial query at once, and see when the last has ended."""
    rate = _execute_runs(bench)
    return Target("runs of one trivial query, SQLite", f"{rate:.0f}/s", ">= 40/s", rate >= 40)


def measure_deliveries(bench: Bench, service: ServiceProcess) -> Target:
    """Put many events in the outbox, and see when the endpoint has the last."""
    with count_requests() as (url, count):
        service.subscribe(url, "report.updated")
        with bench.database.writing() as session:
            for number in range(DELIVERIES):
                put_in_outbox(session, 1, {"event": "report.updated", "report_id": number})
        began = time.perf_counter()
        wait_until(lambda: count() >= DELIVERIES)
        rate = DELIVERIES / (time.perf_counter() - began)
    with bench.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Delivery)) == DELIVERIES
    return Target("deliveries to one local endpoint", f"{rate:.0f}/s", ">= 60/s", rate >= 60)


def measure_results(bench: Bench, service: ServiceProcess) -> list[Target]:
    """Read a million rows, beside the same bytes from a file of the same server."""
    small, _ = run_query(bench, service, bench.trivial, "one")
    url, stored = run_query(bench, service, bench.wide, "rows")
    for media_type in (JSON, PARQUET):  # what is loaded at the first time is not counted
        _download(service, small, media_type)
    before = _read_memory(service, "VmRSS")
    _forget_peak(service)
    as_json, json_size = _download(service, url, JSON)
    parquet, size = _download(service, url, PARQUET)
    grown = (_read_memory(service, "VmHWM") - before) / 1024
    _, csv_size = _download(service, url, CSV)
    # The file is the Parquet of as many bytes: the server sends files in one way only.
    kept = stored.read_bytes()
    as_csv = plain_json = plain_csv = plain = math.inf
    for _ in range(ROUNDS):  # in turns, so that what disturbs one side disturbs the other too
        as_json = min(as_json, _download(service, url, JSON)[0])
        as_csv = min(as_csv, _download(service, url, CSV)[0])
        stored.write_bytes(b"\0" * json_size)
        plain_json = min(plain_json, _download(service, url, PARQUET)[0])
        stored.write_bytes(b"\0" * csv_size)
        plain_csv = min(plain_csv, _download(service, url, PARQUET)[0])
        stored.write_bytes(kept)
    for _ in range(5 * ROUNDS):  # in turns, since 8 MB take so little time that anything disturbs it
        stored.write_bytes(b"\0" * size)
        plain = min(plain, _download(service, url, PARQUET)[0])
        stored.write_bytes(kept)
        parquet = min(parquet, _download(service, url, PARQUET)[0])
    return [
        _compare_with_file("JSON", json_size, as_json, plain_json, 0.35),
        _compare_with_file("CSV", csv_size, as_csv, plain_csv, 0.35),
        _compare_with_file("Parquet", size, parquet, plain, 0.95),
        Target("more memory meanwhile", f"{grown:.0f} MiB", "<= 64 MiB", grown <= 64),
    ]


def _compare_with_file(name: str, size: int, seconds: float, plain_seconds: float, least: float) -> Target:
    megabytes, ratio = size / 1e6, plain_seconds / seconds
    found = (
        f"{megabytes / seconds:.0f} MB/s; from a file {megabytes / plain_seconds:.0f} MB/s"
        f" (ratio {ratio:.2f})"
    )
    return Target(f"{ROWS:,} rows as {name}, {megabytes:.0f} MB", found, f"ratio >= {least}", ratio >= least)


def compare_workers(url: str) -> Target:
    """Execute the same runs with one worker and with two, on one PostgreSQL."""
    rates = []
    with prepare(url) as bench:
        options = ("--database-url", url)
        for count in (1, 2):
            with ExitStack() as stack:
                for _ in range(count):
                    stack.enter_context(run_worker(bench.folder, *options)).pid  # noqa: B018
                wait_until(lambda wanted=count: _count_workers(bench) == wanted)  # type: ignore[misc]
                time.sleep(1)
                rates.append(_execute_runs(bench))
            with bench.database.writing() as session:
                session.query(Worker).delete()  # they were killed: nothing of theirs is left
    ratio = rates[1] / rates[0]
    found = f"{rates[1]:.0f}/s with two, {rates[0]:.0f}/s with one (ratio {ratio:.2f})"
    return Target("runs of one trivial query, PostgreSQL", found, "ratio >= 1.4", ratio >= 1.4)


def _execute_runs(bench: Bench) -> float:
    """Commit runs as the trigger does, all at once, and give how many end in a second."""
    with bench.database.writing() as session:
        newest = session.scalar(select(func.max(Run.id))) or 0
        rows = [
            {"workspace_id": 1, "report_id": bench.trivial.id, "origin": "api"}
            | {"given_parameters": {}, "parameters": {}}
            for _ in range(RUNS)
        ]
        session.execute(insert(Run), rows)
    wait_until(lambda: _count(bench, Run.id > newest, Run.status == SUCCESS) >= RUNS)
    with bench.database.reading() as session:
        bounds = select(func.min(Run.started_on), func.max(Run.finished_on)).where(Run.id > newest)
        first, last = session.execute(bounds).one()
    assert first is not None  # all have begun and ended
    assert last is not None
    return RUNS / float((last - first).total_seconds())


def _count(bench: Bench, *conditions: object) -> int:
    with bench.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Run).where(*conditions)) or 0  # type: ignore[arg-type]


def _count_workers(bench: Bench) -> int:
    with bench.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Worker)) or 0


def run_query(bench: Bench, service: ServiceProcess, made: MadeReport, name: str) -> tuple[str, Path]:
    """Run a report, and give where the result of one query is read, and where it is stored."""
    trigger = f"/api/v1/report/{made.id}/webhook?token={TRIGGER_TOKEN}"
    run_id = service.client.post(trigger).json()["run_id"]
    outputs = f"/api/reports/{made.id}/run/{run_id}"
    wait_until(lambda: service.client.get(outputs).status_code == 200)
    url = f"/api/reports/{made.id}/queries/{made.queries[name]}/reportRun/{run_id}"
    return url, next((bench.folder / "results").glob(f"run-{run_id}/*.parquet"))


def _download(service: ServiceProcess, url: str, accept: str) -> tuple[float, int]:
    """Read an answer; give the seconds, and its bytes."""
    began = time.perf_counter()
    with service.client.stream("GET", url, headers={"Accept": accept}) as answer:
        size = sum(len(chunk) for chunk in answer.iter_raw(1 << 20))
    if answer.status_code != 200:
        raise httpx.HTTPError(f"the answer is {answer.status_code}")
    return time.perf_counter() - began, size


def _read_memory(service: ServiceProcess, what: str) -> int:
    """Read the memory of the process that serves, now (VmRSS) or at its highest (VmHWM), in KiB."""
    status = Path(f"/proc/{service.process.pid}/status").read_text("ascii")
    return int(next(line for line in status.splitlines() if line.startswith(what)).split()[1])


def _forget_peak(service: ServiceProcess) -> None:
    """Let the highest memory be that of now: https://docs.kernel.org/filesystems/proc.html."""
    Path(f"/proc/{service.process.pid}/clear_refs").write_text("5", "ascii")


@contextmanager
def count_requests() -> Iterator[tuple[str, Callable[[], int]]]:
    received = 0
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            nonlocal received
            self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                received += 1
            self.send_response(204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", lambda: received
    finally:
        server.shutdown()
        server.server_close()


async def _load(port: int, method: str, target: str, connections: int, seconds: float) -> list[float]:
    """Send one request after the other over each connection; give how long each took."""
    body = "{}" if method == "POST" else ""
    request = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    end = time.perf_counter() + seconds
    took: list[float] = []

    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < end:
            writer.write(request.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"the answer is {head[:20]!r}")
            took.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(send() for _ in range(connections)))
    return took


if __name__ == "__main__":
    main()
