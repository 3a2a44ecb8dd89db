"""
``make bench``: every part beside what limits it or what it is compared to, both sides in one run.

Besides, ``python -m benchmarks.receiver --airflow`` compares two receivers in one Airflow API server.
"""

from __future__ import annotations

import os
import platform

from rich.console import Console

from benchmarks import lists, provider, receiver, service, service_sources


def main() -> None:
    """Run all of them, one after the other."""
    Console().print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    receiver.main()
    provider.main()
    service.main()
    service_sources.main([])
    lists.main()


if __name__ == "__main__":
    main()
