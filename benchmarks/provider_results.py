"""
A large result to storage: the operator beside ``curl``, and the HTTP provider's hook.

``python -m benchmarks.provider_results FOLDER WARM_UP RESULT [--hook]`` is one side, in a process of its own
for its memory; the last two are paths at the connection's host, of a small result and of the one to measure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.servers import TOKEN, serve_results
from benchmarks.service import Target

MEGABYTES = 1000
HOOK_MEGABYTES = 200
ROUNDS = 3
WANTED_RATIO = 1.3
WANTED_MIB = 48
WARM_UP = "/api/reports/1/queries/1/run/1"


@dataclass(frozen=True)
class Side:
    """
    What a side took.

    :param mib: How much more memory than before.
    :param returned_bytes: How long the XCom is.
    """

    seconds: float
    mib: float
    returned_bytes: int


def measure_results(console: Console) -> list[Target]:
    """Save the same bytes by both, in turns, and give the fastest of each."""
    large, medium = (f"/api/reports/1/queries/1/run/{size}" for size in (MEGABYTES, HOOK_MEGABYTES))
    with serve_results() as url, tempfile.TemporaryDirectory(prefix="pushmetrics-bench-") as folder:
        fetch_by_curl(url, folder)  # the server makes the result at the first request
        curls, ours = [], []
        for number in range(ROUNDS):
            curls.append(fetch_by_curl(url, folder))
            ours.append(run_side(url, TOKEN, folder, WARM_UP, large))
            round_name = f"{MEGABYTES} MB, round {number + 1}"
            console.print(f"{round_name}: curl {curls[-1]:.2f} s, operator {ours[-1].seconds:.2f} s")
        hook = run_side(url, TOKEN, folder, WARM_UP, medium, "--hook")
        small = run_side(url, TOKEN, folder, WARM_UP, medium)
    curl, seconds, mib = min(curls), min(side.seconds for side in ours), max(side.mib for side in ours)
    ratio = seconds / curl
    return [
        Target(
            f"{MEGABYTES} MB to a file, with SHA-256",
            f"{seconds:.2f} s, curl without it {curl:.2f} s (ratio {ratio:.2f})",
            f"ratio <= {WANTED_RATIO}",
            ratio <= WANTED_RATIO,
        ),
        Target("more memory meanwhile", f"{mib:.0f} MiB", f"<= {WANTED_MIB} MiB", mib <= WANTED_MIB),
        Target(
            f"{HOOK_MEGABYTES} MB of JSON, HttpHook().run().json()",
            f"{hook.seconds:.2f} s and {hook.mib:.0f} MiB more memory; ours to a file {small.seconds:.2f} s"
            f" and {small.mib:.0f} MiB",
            "faster, with less",
            small.seconds < hook.seconds and small.mib < hook.mib,
        ),
    ]


def fetch_by_curl(url: str, folder: str) -> float:
    """Fetch the result by ``curl``; give the seconds."""
    path = Path(folder) / "curl"
    path.unlink(missing_ok=True)
    began = time.perf_counter()
    subprocess.run(["curl", "-sSf", "-o", str(path), f"{url}/{MEGABYTES}"], check=True)
    return time.perf_counter() - began


def run_side(host: str, token: str, folder: str, warm_up: str, result: str, *options: str) -> Side:
    """Run a side of ours in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.provider_results", folder, warm_up, result, *options]
    connection = {"conn_type": "pushmetrics", "host": host, "password": token}
    environ = {
        "AIRFLOW_HOME": folder,
        "AIRFLOW_CONN_PUSHMETRICS_DEFAULT": json.dumps(connection),
        "AIRFLOW_CONN_HTTP_DEFAULT": json.dumps({"conn_type": "http", "host": host}),
    }
    shown = subprocess.run(command, env=os.environ | environ, stdout=subprocess.PIPE, text=True, check=True)
    return Side(**json.loads(shown.stdout.splitlines()[-1]))


def save_by_operator(folder: str, result: str) -> Any:
    """Save a result by the operator, as its task does; give what it returns."""
    from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
    from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator

    path = Path(folder) / "operator.parquet"
    path.unlink(missing_ok=True)
    context: Any = {}
    url = PushMetricsHook().settings.base_url + result
    return PushMetricsToObjectStorageOperator(task_id="save", query_result=url, path=str(path)).execute(
        context
    )


def load_by_hook(folder: str, result: str) -> None:
    """Load a result as who has only the HTTP provider does."""
    from airflow.providers.http.hooks.http import HttpHook

    HttpHook(method="GET").run(result).json()


def read_peak_mib() -> float:
    """Read the most memory that this process has used so far."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def main() -> None:
    """Do it once with nearly nothing, so that imports do not count, and then in earnest."""
    folder, warm_up, result = sys.argv[1:4]
    work = load_by_hook if "--hook" in sys.argv else save_by_operator
    work(folder, warm_up)
    before, began = read_peak_mib(), time.perf_counter()
    returned = work(folder, result)
    side = Side(time.perf_counter() - began, read_peak_mib() - before, len(json.dumps(returned)))
    sys.stdout.write(json.dumps(asdict(side)) + "\n")


if __name__ == "__main__":
    main()
