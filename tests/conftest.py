"""What every test needs before it imports anything."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.fakes.mariadb import find_missing_programs, run_mariadb
from tests.fakes.postgres import make_database, run_postgres

# How long an example takes depends on what else runs on the machine.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")
settings.register_profile(
    "soak", max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck)
)

# Airflow makes its home folder when it is imported, and reads the settings of whoever runs the tests.
for _name in [
    name
    for name in os.environ
    if name.startswith(("AIRFLOW_", "PUSHMETRICS_SERVICE_", "PUSHMETRICS_RECEIVER_"))
]:
    del os.environ[_name]
_home = tempfile.mkdtemp(prefix="pushmetrics-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"

NEEDED = {
    "integration/provider/test_crash_safety.py": "3.3",  # what a task keeps between its tries
    "integration/provider/test_message_queue.py": "3.3",
    "integration/provider/test_metrics.py": "3.3",  # where Airflow keeps what it counts with
    "unit/assets/test_pushmetrics.py": "3.0",  # asset watchers
    "unit/assets/test_uris.py": "3.3",
    "unit/queues/test_pushmetrics.py": "3.3",  # the extra common-messaging
}
"""Files of tests that import what only newer versions of Airflow have, and since which version."""

_airflow = [int(part) for part in version("apache-airflow").split(".")[:2]]
collect_ignore = [
    name for name, since in NEEDED.items() if _airflow < [int(part) for part in since.split(".")]
]


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """Give the SQLAlchemy URL of a server on which databases can be made."""
    with run_postgres() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """Give the SQLAlchemy URL of an empty database, which is dropped after the test."""
    with make_database(postgres_server_url) as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the SQLAlchemy URL of a database of MariaDB, as a user who may do everything on its server."""
    missing = find_missing_programs()
    if missing:
        pytest.skip(f"MariaDB is not installed: {', '.join(missing)} (Debian: mariadb-server-core)")
    with run_mariadb(tmp_path_factory.mktemp("mariadb")) as url:
        yield url


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of one file in one process, and those that share one Airflow."""
    from xdist.scheduler import LoadFileScheduling

    class FileScheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            shares_airflow = nodeid.startswith("tests/acceptance/")
            return "tests/acceptance" if shares_airflow else super()._split_scope(nodeid)

    return FileScheduling(config, log)
