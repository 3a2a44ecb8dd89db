"""Apache Airflow provider for PushMetrics. Airflow imports this in every process: keep it empty."""

from __future__ import annotations

__version__ = "0.1.0"
