"""What the provider adds to an Airflow process that reads its metadata and its plugin."""

from __future__ import annotations

import statistics
import subprocess
import sys

from rich.console import Console

from benchmarks.service import Target

ROUNDS = 11
WANTED_MILLISECONDS = 3
CODE = """
import time
import airflow.plugins_manager, airflow.providers_manager
began = time.process_time()  # other work on the machine does not count
from airflow_provider_pushmetrics.get_provider_info import get_provider_info
get_provider_info()
import airflow_provider_pushmetrics.plugins.pushmetrics
print((time.process_time() - began) * 1000)
"""


def measure_imports(console: Console) -> list[Target]:
    """Import them in fresh interpreters that have Airflow's own already."""
    took = [float(run_fresh().splitlines()[-1]) for _ in range(ROUNDS)]
    console.print(f"imports: {', '.join(f'{time:.1f}' for time in took)} ms")
    middle = statistics.median(took)
    found = f"{middle:.1f} ms of processor time, of {ROUNDS} interpreters"
    wanted = f"<= {WANTED_MILLISECONDS} ms"
    return [Target("metadata and plugin, over Airflow's own", found, wanted, middle <= WANTED_MILLISECONDS)]


def run_fresh() -> str:
    """Run the code in a new interpreter."""
    return subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout
