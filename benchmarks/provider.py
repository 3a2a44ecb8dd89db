"""
The provider: waits, results, events, Dags and imports, each beside what limits it or what it is compared to.

``python -m benchmarks.provider [waits] [results] [imports] [dags] [reports] [deferred]`` measures those;
without a name, all.
"""

from __future__ import annotations

import os
import platform
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.provider_dags import measure_dags
from benchmarks.provider_deferred import measure_deferred
from benchmarks.provider_imports import measure_imports
from benchmarks.provider_reports import measure_reports
from benchmarks.provider_results import measure_results
from benchmarks.provider_waits import measure_waits
from benchmarks.service import Target

PARTS = {
    "waits": measure_waits,
    "results": measure_results,
    "imports": measure_imports,
    "dags": measure_dags,
    "reports": measure_reports,
    "deferred": measure_deferred,
}


def main(names: list[str] | None = None) -> bool:
    """Print a table of what was wanted and what was found; tell whether all of it is met."""
    console = Console()
    console.print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    targets: list[Target] = []
    for name in names or PARTS:
        console.print(f"measuring {name}; load {os.getloadavg()[0]:.1f}")
        targets += PARTS[name](console)
    table = Table("provider", "found", "wanted", "met")
    for target in targets:
        table.add_row(target.what, target.found, target.wanted, "yes" if target.is_met else "NO")
    console.print(table)
    return all(target.is_met for target in targets)


if __name__ == "__main__":
    main(sys.argv[1:])
