"""``python -m airflow_provider_pushmetrics.service`` is ``pushmetrics service``."""

from __future__ import annotations

import typer

from airflow_provider_pushmetrics.service.cli import service

if __name__ == "__main__":
    typer.run(service)
