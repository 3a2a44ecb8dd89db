"""What tests need of Airflow, on every version that has it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from typing import Any

import pytest

from airflow_provider_pushmetrics.compat import read_version

AIRFLOW_VERSION = read_version(version("apache-airflow"))

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # before Airflow 3.2
    from airflow.exceptions import AirflowRescheduleException

try:
    from airflow.sdk.io import attach
except ImportError:  # before Airflow 3.0
    from airflow.io.store import attach  # type: ignore[import-not-found, no-redef, unused-ignore]

__all__ = [
    "AIRFLOW_VERSION",
    "AirflowRescheduleException",
    "attach",
    "capture_logs",
    "needs_airflow",
    "needs_dag_test",
]


def needs_airflow(since: str) -> pytest.MarkDecorator:
    """Skip a test of what only newer versions have."""
    return pytest.mark.skipif(read_version(since) > AIRFLOW_VERSION, reason=f"needs Airflow {since} or later")


needs_dag_test = pytest.mark.skipif(
    AIRFLOW_VERSION == (3, 2), reason="dag.test() of Airflow 3.2.2 does not wait for its API"
)


class _Collector(logging.Handler):
    def __init__(self, logs: list[Any]) -> None:
        super().__init__()
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        self._logs.append(record.getMessage())


@contextmanager
def capture_logs() -> Iterator[list[Any]]:
    """Collect what is logged: tasks log by structlog since Airflow 3.1, by the standard library before."""
    logs: list[Any] = []
    handler = _Collector(logs)
    with ExitStack() as stack:
        if AIRFLOW_VERSION >= (3, 1):
            from structlog.testing import capture_logs as capture_structlog

            logs = stack.enter_context(capture_structlog())
        for name in ("", "airflow.task", "airflow_provider_pushmetrics"):
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            stack.callback(logger.removeHandler, handler)
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
        yield logs
