"""How long a task takes that runs a short report: waited for on its worker, and deferred at once."""

from __future__ import annotations

import statistics

from rich.console import Console

from benchmarks.provider_deferred import run_airflow, serve_pushmetrics
from benchmarks.service import Target
from tests.fakes.airflow_processes import AirflowProcesses

ROUNDS = 5
GAIN_SECONDS = 4.0
WAYS = {
    "waits_first": {},
    "ends_in_triggerer": {"defer_after": 0},
    "resumed": {"defer_after": 0, "end_from_trigger": False},  # as every deferred task was before
}
DAGS = """
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator

for way, settings in WAYS.items():
    with DAG(way, schedule=None):
        PushMetricsTriggerReportOperator(
            task_id="run", report_id=1, parameters={"month": 1}, deferrable=True, retries=2, **settings
        )
"""


def measure_reports(console: Console) -> list[Target]:
    """Run the same report in each way, in turns; compare how long its task took."""
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    with (
        serve_pushmetrics() as (folder, connection),
        run_airflow(folder, connection, f"WAYS = {WAYS!r}\n{DAGS}", WAYS) as airflow,
    ):
        for number in range(ROUNDS):
            for way, seconds in took.items():
                airflow.run("dags", "trigger", way)
                airflow.wait_until(lambda way=way, number=number: airflow.count_runs(way) > number, way)  # type: ignore[misc]
                seconds.append(read_duration(airflow, way))
                console.print(f"{way}: {seconds[-1]:.2f} s")
    medians = {way: statistics.median(seconds) for way, seconds in took.items()}
    found = ", ".join(f"{way} {seconds:.2f} s" for way, seconds in medians.items())
    gain = medians["resumed"] - medians["waits_first"]
    wanted = f"waits_first >= {GAIN_SECONDS:g} s sooner than resumed"
    return [Target("a task that runs a short report", found, wanted, gain >= GAIN_SECONDS)]


def read_duration(airflow: AirflowProcesses, dag_id: str) -> float:
    """Read how many seconds the newest task took, over all of its parts."""
    query = (
        "SELECT (julianday(end_date) - julianday(start_date)) * 86400 FROM task_instance"
        " WHERE dag_id = ? ORDER BY start_date DESC LIMIT 1"
    )
    return float(airflow.ask(query, dag_id)[0][0])
