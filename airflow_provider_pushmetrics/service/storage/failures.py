"""Failures of one of many tasks, which must not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_pushmetrics.service.storage.database import is_unavailable

log = logging.getLogger(__name__)


@contextmanager
def log_failure(task: str) -> Iterator[None]:
    """Log an error of the block and continue, unless the database is unavailable."""
    try:
        yield
    except Exception as error:
        if is_unavailable(error):
            raise
        log.exception("cannot %s", task)
