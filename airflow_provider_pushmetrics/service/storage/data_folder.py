"""The data folder, and its locks on SQLite, for one service and one worker. They end with their process."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.serving.private_files import FILE_MODE, make_private_folder

LOCK_FILE = "lock"
WORKER_LOCK_FILE = "worker-lock"

log = logging.getLogger(__name__)


def make_data_dir(data_dir: Path) -> None:
    """
    Create the data folder, unless it exists.

    :raises PushMetricsConfigurationError: if it cannot be created.
    """
    try:
        make_private_folder(data_dir)
    except OSError as error:
        raise PushMetricsConfigurationError(
            f"the data folder {str(data_dir)!r} cannot be used ({error.strerror}): choose another with --data"
            " or PUSHMETRICS_SERVICE_DATA."
        ) from None


def lock_folder(data_dir: Path) -> AbstractContextManager[BaseFileLock]:
    """
    Make sure that only one process uses the folder: two would continue each other's active work.

    :return: The lock, which is released at the end of the block.
    :raises PushMetricsConfigurationError: if another process uses it, or the lock file cannot be created.
    """
    make_data_dir(data_dir)
    try:
        return FileLock(data_dir / LOCK_FILE, mode=FILE_MODE).acquire(blocking=False)
    except Timeout:
        raise PushMetricsConfigurationError(
            f"the data folder {str(data_dir)!r} is in use by another service or restore: stop that one, or"
            " choose another folder with --data or PUSHMETRICS_SERVICE_DATA."
        ) from None


def wait_for_folder(data_dir: Path, name: str) -> AbstractContextManager[BaseFileLock]:
    """Lock the folder, after waiting for the process that uses it."""
    lock = FileLock(data_dir / name, mode=FILE_MODE)
    with suppress(Timeout):
        return lock.acquire(blocking=False)
    log.info("waiting for the worker of a service that was stopped")
    return lock.acquire()
