"""``python -m airflow_provider_pushmetrics.service`` is ``pushmetrics service``."""

from __future__ import annotations

from airflow_provider_pushmetrics.service.cli import app
from airflow_provider_pushmetrics.serving.service_links import ignore_service_links

if __name__ == "__main__":
    ignore_service_links()
    app()
