"""
First pages of lists: of a database with a page of each, and of a full one, in turns.

``python -m benchmarks.lists`` compares both sizes on SQLite and on PostgreSQL. The small database has as many
rows as a page, so that the answers are of the same size.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text

from airflow_provider_pushmetrics.receiver.inbox.database import open_engine
from airflow_provider_pushmetrics.service.accounts.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_keys
from airflow_provider_pushmetrics.signatures import generate_secret
from tests.fakes.postgres import make_database, run_postgres
from tests.fakes.receiver_server import start_receiver
from tests.fakes.service_process import API_TOKEN, run_ready_service

RUNS = 200_000
EVENTS = 500_000
PAGE = 1000
LISTING_ROUNDS = 15
MAX_RATIO = 2.0

NEWEST = "q=(order_column:created_on,order_direction:desc)"
PAGES = {
    "runs": "/api/v1/noteflow_run/",
    "runs by created_on": f"/api/v1/noteflow_run/?{NEWEST}",
    "runs of a report": "/api/v1/noteflow_run/?report_uid=u1",
    "failed runs": "/api/v1/noteflow_run/?q=(filters:!((col:status,opr:eq,value:failed)))",
    "last runs of 10 reports": "/app/activity/reports?" + "&".join(f"report={n}" for n in range(1, 11)),
    "log lines (1,000 on a page)": "/api/v1/noteflow_run_log/",
    "log lines by created_on": f"/api/v1/noteflow_run_log/?{NEWEST}",
    "deliveries": "/api/v1/webhook_delivery/",
    "deliveries of a rare event": "/api/v1/webhook_delivery/"
    "?q=(filters:!((col:event,opr:eq,value:webhook.test)))",
    "deliveries by created_on": f"/api/v1/webhook_delivery/?{NEWEST}",
    "messages": "/api/v1/message/",
    "messages by created_on": f"/api/v1/message/?{NEWEST}",
}
INBOX_PAGES = {
    "events of an inbox": "/events?limit=100",
    "events of a run": "/events?limit=100&run_id=7",
    "/metrics of a receiver": "/metrics",
}

ROWS = """
report: uid, workspace_id, name, description, type, time_zone, created_on, updated_on
  | 'u' || i, 1, 'r' || i, '', 'report', 'UTC', {moment}, {moment} | 10
webhook_subscription: uid, workspace_id, name, url, events, active, secret_encrypted, created_on, updated_on
  | 'u' || i, 1, 's' || i, 'http://127.0.0.1', '[]', i > 0, '{secret}', {moment}, {moment} | 2
run: uid, workspace_id, report_id, status, origin, given_parameters, parameters, lost_workers, re_run_count,
  flow_run_id, created_on, started_on, finished_on
  | 'u' || i, 1, i % 10 + 1, CASE i % 20 WHEN 0 THEN 'failed' ELSE 'success' END, 'api', '{{}}', '{{}}', 0, 0,
  'f' || i, {moment}, {moment}, {moment} | {runs}
run_log: uid, workspace_id, run_id, flow_run_id, level, message, created_on
  | 'u' || i, 1, (i - 1) / 3 + 1, 'f' || i, 'INFO', 'the run begins', {moment} | 3 * {runs}
outbox_event: uid, workspace_id, event, run_id, body, created_on
  | 'u' || i, 1, 'report.run', i, '{{}}', {moment} | {runs}
delivery: uid, workspace_id, event_id, event, subscription_id, status, attempt_count, next_attempt_on,
  created_on, finished_on
  | 'u' || i, 1, i, 'report.run', i % 2 + 1, 'delivered', 1, {moment}, {moment}, {moment} | {runs}
message: uid, workspace_id, kind, recipient, subject, text, files, status, attempt_count, next_attempt_on,
  created_on, finished_on
  | 'u' || i, 1, 'mail', 'a@example.com', 's', 't', '[]', 'sent', 1, {moment}, {moment}, {moment} | {runs}
"""
"""The tables of the service: their columns, the values of the row number ``i``, and how many rows."""

INBOX_ROWS = """
pushmetrics_inbox_events: id, source, delivery_key, received_at, event, report_id, run_id, body_bytes, body
  | i, 'demo', 'k' || i, {moment}, 'report.run', i % 10 + 1, i / 5, 2, CAST('{{}}' AS {bytes}) | {runs}
"""


def fill(engine: Engine, rows: str, count: int, secret: str = "") -> None:
    """Fill tables by statements that make their rows in the database itself."""
    is_sqlite = engine.dialect.name == "sqlite"
    moment = (
        "strftime('%Y-%m-%d %H:%M:%S.000000', '2026-01-01', i || ' seconds')"
        if is_sqlite
        else "timestamptz '2026-01-01' + i * interval '1 second'"
    )
    kind = "BLOB" if is_sqlite else "bytea"
    with engine.begin() as connection:
        for line in (
            rows.format(moment=moment, runs=count, bytes=kind, secret=secret)
            .replace("\n ", " ")
            .strip()
            .split("\n")
        ):
            table, rest = line.split(":", 1)
            columns, values, number = rest.split(" | ")
            statement = (
                f"INSERT INTO {table} ({columns}) WITH RECURSIVE n(i) AS"
                f" (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) SELECT {values} FROM n"
            )
            # To psycopg, a single % is a place.
            connection.exec_driver_sql(statement if is_sqlite else statement.replace("%", "%%"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("PRAGMA optimize" if is_sqlite else "VACUUM ANALYZE"))


@contextmanager
def serve_lists(folder: Path, url: str | None, runs: int) -> Iterator[httpx.Client]:
    """Serve the lists of a service with so many runs."""
    folder.mkdir()
    database = Database(url or f"sqlite:///{folder}/service.db")
    database.migrate()
    bootstrap(database, folder, API_TOKEN)
    secret = Cipher(*load_secret_keys(folder)).encrypt(generate_secret())
    fill(database.engine, ROWS, runs, secret)
    database.close()
    options = ("--keep-days", "0", *(("--database-url", url) if url else ()))
    with run_ready_service(folder, *options) as service:
        yield service.client


@contextmanager
def serve_inbox(folder: Path, url: str | None, count: int) -> Iterator[httpx.Client]:
    """Serve an inbox with so many events."""
    url = url or f"sqlite:///{folder}.db"
    engine = open_engine(url)
    fill(engine, INBOX_ROWS, count)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE pushmetrics_inbox_state SET last_event_id = {count}")
    engine.dispose()
    with start_receiver(url, "--no-access-log") as receiver, receiver.open_reader() as client:
        yield client


def compare(sides: tuple[httpx.Client, httpx.Client], pages: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Fetch each page from both sides in turns, and give the medians, their ratio, and whether it is met."""
    for name, path in pages.items():
        took: tuple[list[float], list[float]] = ([], [])
        for number in range(-2, LISTING_ROUNDS):
            for client, times in zip(sides, took, strict=True):
                began = time.perf_counter()
                client.get(path).raise_for_status()
                if number >= 0:  # the first ones open connections and read the files
                    times.append((time.perf_counter() - began) * 1000)
        small, full = map(statistics.median, took)
        verdict = "yes" if full <= MAX_RATIO * small else "NO"
        yield name, f"{small:.1f} ms", f"{full:.1f} ms", f"{full / small:.2f}", verdict


def compare_sizes(console: Console, title: str, server_url: str | None) -> bool:
    """Print the times of both sizes on one kind of database; tell whether all are met."""
    table = Table(title, "small", "full", f"ratio (<= {MAX_RATIO:g})", "met")
    with tempfile.TemporaryDirectory(prefix="pushmetrics-bench-") as name, ExitStack() as stack:
        for serve, sizes, pages in (
            (serve_lists, (PAGE, RUNS), PAGES),
            (serve_inbox, (PAGE, EVENTS), INBOX_PAGES),
        ):
            clients = []
            for size in sizes:
                url = stack.enter_context(make_database(server_url)) if server_url else None
                folder = Path(name) / f"{serve.__name__}-{size}"
                clients.append(stack.enter_context(serve(folder, url, size)))
            for row in compare((clients[0], clients[1]), pages):
                table.add_row(*row)
    console.print(table)
    return "NO" not in list(table.columns[-1].cells)


def main() -> bool:
    """Compare on SQLite and on PostgreSQL; tell whether all is met."""
    console = Console(width=110)
    console.print(f"{RUNS:,} runs and {EVENTS:,} events; load of the machine {os.getloadavg()[0]:.1f}")
    is_met = compare_sizes(console, "first pages, SQLite", None)
    with run_postgres() as url:
        return compare_sizes(console, "first pages, PostgreSQL", url) and is_met


if __name__ == "__main__":
    main()
