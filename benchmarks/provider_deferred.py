"""
What a mapped deferred task costs Airflow: its worker starts, and its calls of the Execution API.

Before: a worker resumes the task. After: the triggerer ends it. Both are read in the access log of Airflow's
API server. ``PUSHMETRICS_BENCH_TASKS`` sets the number of tasks.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks.service import Target
from tests.fakes.airflow_processes import AirflowProcesses
from tests.fakes.receiver_server import READER_TOKEN, start_receiver
from tests.fakes.service_process import API_TOKEN, run_service

TASKS = int(os.environ.get("PUSHMETRICS_BENCH_TASKS", "200"))
LIMIT_SECONDS = 3600.0
WAYS = {"before": {"end_from_trigger": False}, "after": {}}
DAGS = """
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator

for way, settings in WAYS.items():
    with DAG(way, schedule=None, max_active_tasks=16):
        PushMetricsTriggerReportOperator.partial(
            task_id="run", report_id=1, deferrable=True, defer_after=0, retries=2, **settings
        ).expand(parameters=[{"month": 1 + number % 12} for number in range(TASKS)])
"""
_CALL = re.compile(
    r"(?=.*\bstatus_code=2)(?=.*\bduration_us=(?P<us>\d+))(?=.*\bmethod=(?P<method>\w+)).*\bpath=/execution/(?P<path>\S+)"
)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Cost:
    """
    What all tasks of a Dag run have cost.

    :param calls: The calls of the Execution API, by method and kind.
    :param seconds: How long the API server took for them.
    :param duration: From the start of the Dag run to its end, in seconds.
    """

    calls: Counter[str]
    seconds: float
    duration: float

    @property
    def worker_starts(self) -> float:
        """The worker starts of a task: each begins with one call that sets the task to running."""
        return self.calls["PATCH task-instances/…/run"] / TASKS

    def describe(self) -> str:
        """Describe the costs of one task."""
        return (
            f"{self.worker_starts:.2f} worker starts, {self.calls.total() / TASKS:.1f} calls,"
            f" {1000 * self.seconds / TASKS:.0f} ms in the API server, {self.duration:.0f} s for {TASKS}"
        )


def measure_deferred(console: Console) -> list[Target]:
    """Run the same mapped task in both ways, one after the other."""
    dags = f"WAYS, TASKS = {WAYS!r}, {TASKS}\n{DAGS}"
    listens = {"AIRFLOW__OPENLINEAGE__DISABLED": "True"}  # as a listener, it would need a worker at the end
    costs: dict[str, Cost] = {}
    with (
        serve_pushmetrics() as (folder, connection),
        run_airflow(folder, connection, dags, WAYS, **listens) as airflow,
    ):
        for way in WAYS:
            console.print(f"running {TASKS} tasks: {way}")
            costs[way] = run_way(airflow, way)
    for way, cost in costs.items():
        console.print(f"{way}: {cost.describe()}")
        for call, count in cost.calls.most_common():
            console.print(f"    {count / TASKS:5.2f} {call}")
    before, after = costs["before"], costs["after"]
    found = f"after: {after.describe()}; before: {before.describe()}"
    is_met = after.worker_starts < before.worker_starts and after.calls.total() < before.calls.total()
    return [Target("mapped deferred tasks", found, "fewer worker starts and calls", is_met)]


@contextmanager
def serve_pushmetrics() -> Iterator[tuple[Path, dict[str, object]]]:
    """Run the reference service and a receiver; give a folder and the connection."""
    with (
        tempfile.TemporaryDirectory(prefix="pm-") as name,
        start_receiver(f"sqlite:///{name}/inbox.db") as receiver,
        run_service(Path(name) / "service", "--demo") as service,
    ):
        service.wait_until_ready()
        service.subscribe(receiver.delivery_url, "report.run")
        extra = {
            "trigger_tokens": {"1": service.find_trigger_token()},
            "receiver_url": receiver.url,
            "receiver_token": READER_TOKEN,
        }
        host = str(service.client.base_url)
        yield Path(name), {"conn_type": "pushmetrics", "host": host, "password": API_TOKEN, "extra": extra}


@contextmanager
def run_airflow(
    folder: Path, connection: dict[str, object], dags: str, ways: Iterable[str], **environ: str
) -> Iterator[AirflowProcesses]:
    """Run a real Airflow that knows these Dags, one for each way."""
    for part in ("airflow", "dags"):
        (folder / part).mkdir()
    (folder / "dags" / "bench.py").write_text(dags)
    environment = {"AIRFLOW_CONN_PUSHMETRICS_DEFAULT": json.dumps(connection), **environ}
    airflow = AirflowProcesses(folder / "airflow", folder / "dags", environment)
    try:
        airflow.start()
        for way in ways:
            airflow.wait_until(partial(airflow.is_known, way), f"{way} to be known")
        yield airflow
    finally:
        airflow.stop()


def run_way(airflow: AirflowProcesses, way: str) -> Cost:
    """Run one Dag to its end, and read what it has cost."""
    log = airflow.home / "api-server.log"
    begun_at = log.stat().st_size
    airflow.run("dags", "trigger", way)
    airflow.wait_until(lambda: airflow.count_runs(way) > 0, way, limit_seconds=LIMIT_SECONDS)
    ((duration,),) = airflow.ask(
        "SELECT (julianday(end_date) - julianday(start_date)) * 86400 FROM dag_run WHERE dag_id = ?", way
    )
    return read_cost(log.read_bytes()[begun_at:].decode("utf-8", "replace"), duration)


def read_cost(log: str, duration: float) -> Cost:
    """Read the calls of the Execution API in the access log of Airflow's API server."""
    calls, microseconds = Counter[str](), 0
    for line in _ANSI.sub("", log).splitlines():
        if found := _CALL.match(line):  # only successful ones: a busy machine lets clients repeat calls
            calls[f"{found['method']} {shorten(found['path'])}"] += 1
            microseconds += int(found["us"])
    return Cost(calls, microseconds / 1e6, duration)


def shorten(path: str) -> str:
    """Reduce a path to the kind of call."""
    path = _ID.sub("…", path)
    return "/".join(["xcoms", "…", path.rpartition("/")[2]]) if path.startswith("xcoms/") else path
