"""
Run PushMetrics in the process of a test, so that Dags are tested without a server and without mocks.

Load them in a ``conftest.py``::

    pytest_plugins = ["airflow_provider_pushmetrics.testing.fixtures"]

They need the extras ``service`` and ``receiver``, and SQLAlchemy 2 (Airflow 3.1 and later).
"""

from __future__ import annotations

from airflow_provider_pushmetrics.testing.kit import ExampleReport, PushMetricsKit

__all__ = ["ExampleReport", "PushMetricsKit"]
