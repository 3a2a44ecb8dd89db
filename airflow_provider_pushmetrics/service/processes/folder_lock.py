"""Locks of a data folder on SQLite: one service, and one worker. They end with the process that has them."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.settings import make_data_dir

LOCK_FILE = "lock"
WORKER_LOCK_FILE = "worker-lock"

log = logging.getLogger(__name__)


def lock_folder(data_dir: Path) -> AbstractContextManager[BaseFileLock]:
    """
    Make sure that one process uses the folder: two would take up each other's running work.

    :return: The lock, which is released at the end of the block.
    :raises PushMetricsConfigurationError: if another one does, or if it cannot be made.
    """
    make_data_dir(data_dir)
    try:
        return FileLock(data_dir / LOCK_FILE).acquire(blocking=False)
    except Timeout:
        raise PushMetricsConfigurationError(
            f"the data folder {str(data_dir)!r} is in use by another service: stop that one, or choose"
            " another folder with --data or PUSHMETRICS_SERVICE_DATA."
        ) from None


def wait_for_folder(data_dir: Path, name: str) -> AbstractContextManager[BaseFileLock]:
    """Lock the folder, after waiting for the process that uses it."""
    lock = FileLock(data_dir / name)
    with suppress(Timeout):
        return lock.acquire(blocking=False)
    log.info("waiting for the worker of a service that has ended")
    return lock.acquire()
