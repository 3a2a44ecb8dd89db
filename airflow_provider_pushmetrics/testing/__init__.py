"""
Run PushMetrics in the process of a test, so that Dags are tested without a server and without mocks.

Load them in a ``conftest.py``::

    pytest_plugins = ["airflow_provider_pushmetrics.testing.fixtures"]

They need the extras ``service`` and ``receiver``, and SQLAlchemy 2 (Airflow 3.1 and later).
"""

from __future__ import annotations

from airflow_provider_pushmetrics.compat import require_airflow

require_airflow(
    "3.1",
    "airflow_provider_pushmetrics.testing",
    "The service needs SQLAlchemy 2, which older versions cannot have: run these tests with a later Airflow.",
)

from airflow_provider_pushmetrics.testing.kit import ExampleReport, PushMetricsKit  # noqa: E402

__all__ = ["ExampleReport", "PushMetricsKit"]
