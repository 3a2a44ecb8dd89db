"""Results of the reference service by the operator: memory and XCom do not grow with the rows (proof 18)."""

from __future__ import annotations

import tempfile
import time

from rich.console import Console

from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_key
from benchmarks.provider_results import WANTED_MIB, run_side
from benchmarks.service import ROWS, WIDE, Bench, Target, prepare
from tests.fakes.service_process import API_TOKEN, ServiceProcess, run_service
from tests.fakes.service_reports import TRIGGER_TOKEN, MadeReport, make_report, sql

FEW_ROWS = 10_000
WANTED_XCOM_BYTES = 48_000
RUN_TIMEOUT_SECONDS = 120


def measure_rows(console: Console) -> list[Target]:
    """Save ten thousand rows and a million, as Parquet."""
    targets = []
    with (
        prepare() as bench,
        run_service(bench.folder) as service,
        tempfile.TemporaryDirectory(prefix="pushmetrics-bench-") as folder,
    ):
        service.wait_until_ready()
        tiny = run_report(service, make_rows(bench, 10))
        for rows in (FEW_ROWS, ROWS):
            result = run_report(service, make_rows(bench, rows))
            side = run_side(str(service.client.base_url), API_TOKEN, folder, tiny, result)
            console.print(f"{rows:,} rows: {side.seconds:.2f} s")
            is_met = side.mib <= WANTED_MIB and side.returned_bytes <= WANTED_XCOM_BYTES
            found = f"{side.mib:.0f} MiB more memory, XCom of {side.returned_bytes} bytes"
            wanted = f"<= {WANTED_MIB} MiB, <= {WANTED_XCOM_BYTES // 1000} kB"
            targets.append(Target(f"{rows:,} rows of the service to a file", found, wanted, is_met))
    return targets


def make_rows(bench: Bench, rows: int) -> MadeReport:
    """Make a report of one query with so many rows."""
    cipher = Cipher(load_secret_key(bench.folder))
    return make_report(bench.database, cipher, bench.folder, rows=sql(WIDE.replace(str(ROWS), str(rows))))


def run_report(service: ServiceProcess, report: MadeReport) -> str:
    """Run a report and wait for it; give the path of its query's result."""
    trigger = f"/api/v1/report/{report.id}/webhook?token={TRIGGER_TOKEN}"
    run_id = service.client.post(trigger).raise_for_status().json()["run_id"]
    deadline = time.monotonic() + RUN_TIMEOUT_SECONDS
    while service.client.get(f"/api/reports/{report.id}/run/{run_id}").status_code != 200:
        if time.monotonic() > deadline:
            raise TimeoutError(f"run {run_id} does not end")
        time.sleep(0.1)
    return f"/api/reports/{report.id}/queries/{report.queries['rows']}/reportRun/{run_id}"
