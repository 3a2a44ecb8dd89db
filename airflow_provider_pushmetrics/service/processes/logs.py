"""The log of the processes of a service."""

from __future__ import annotations

from airflow_provider_pushmetrics.serving.logs import set_up_logging

THROTTLED_LOGGERS = ("dbos",)
"""DBOS writes a line at every poll of a database that is away, with a handler that redacts nothing."""


def set_up_service_logging() -> None:
    """Log to stderr, with every credential removed."""
    set_up_logging(throttled=THROTTLED_LOGGERS)
