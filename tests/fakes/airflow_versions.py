"""What tests need of Airflow, on every version that has it."""

from __future__ import annotations

from importlib.metadata import version

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

__all__ = ["AIRFLOW_VERSION", "AirflowRescheduleException", "attach", "needs_airflow"]


def needs_airflow(since: str) -> pytest.MarkDecorator:
    """Skip a test of what only newer versions have."""
    return pytest.mark.skipif(read_version(since) > AIRFLOW_VERSION, reason=f"needs Airflow {since} or later")
