"""The installation, and its workers."""

from __future__ import annotations

import sqlalchemy as sa

from airflow_provider_pushmetrics.service.migrations.initial.definitions import (
    MOMENT,
    column,
    create,
    index,
    unique,
)


def create_tables() -> None:
    """Create the tables with their indexes."""
    _create_installation()
    _create_worker()
    _create_work_signal()


def _create_installation() -> None:
    create(
        "installation",
        column("uid", sa.String(32)),
        unique("installation", "uid"),
        is_entity=False,
    )


def _create_worker() -> None:
    create(
        "worker",
        column("worker_id", sa.String(64)),
        column("host", sa.String(255)),
        column("pid", sa.Integer),
        column("started_on", MOMENT),
        column("beat_on", MOMENT),
        unique("worker", "worker_id"),
        is_entity=False,
    )
    index("worker", "beat_on")


def _create_work_signal() -> None:
    create(
        "work_signal",
        column("name", sa.String(16)),
        column("version", sa.Integer),
        unique("work_signal", "name"),
        is_entity=False,
    )
