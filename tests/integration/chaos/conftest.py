"""A PostgreSQL under the supervisor of the chaos command."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.processes import DemoProcesses
from tests.chaos.fleet import Fleet
from tests.chaos.servers import find_databases, make_postgres
from tests.fakes.waiting import wait_until


@pytest.fixture(scope="module")
def postgres() -> Iterator[tuple[Fleet, Path]]:
    """Give the supervisor, and the folder of the server, which has the three databases."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder, logs = Path(name) / "postgres", Path(name) / "logs"
        Path(name).chmod(0o755)
        folder.mkdir()
        logs.mkdir()
        processes = DemoProcesses(logs)
        fleet = Fleet(processes, logs)
        fleet.add("postgres", 1, make_postgres(folder), os.environ)
        try:
            wait_until(lambda: find_databases(folder), "PostgreSQL")
            yield fleet, folder
        finally:
            fleet.stop()
