"""Who uses a data folder on SQLite: one service, and one worker; the system lets go for who dies."""

from __future__ import annotations

import fcntl
import logging
from pathlib import Path
from typing import IO

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError

LOCK_FILE = "lock"
WORKER_LOCK_FILE = "worker-lock"

log = logging.getLogger(__name__)


def lock_folder(data_dir: Path, name: str = LOCK_FILE) -> IO[str]:
    """
    Make sure that one process uses the folder: two would take up each other's running work.

    :raises PushMetricsConfigurationError: if another one does.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = open(data_dir / name, "a", encoding="ascii")  # noqa: SIM115 - held until the process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise PushMetricsConfigurationError(
            f"the data folder {str(data_dir)!r} is in use by another service: stop that one, or choose"
            " another folder with --data or PUSHMETRICS_SERVICE_DATA."
        ) from None
    return lock


def wait_for_folder(data_dir: Path, name: str) -> IO[str]:
    """Wait for who uses the folder, and use it then."""
    lock = open(data_dir / name, "a", encoding="ascii")  # noqa: SIM115 - held until the process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        log.info("waiting for the worker of a service that has ended")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock
