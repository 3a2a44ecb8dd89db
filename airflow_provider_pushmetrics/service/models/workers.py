"""Worker processes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from airflow_provider_pushmetrics.service.models.base import Base
from airflow_provider_pushmetrics.service.storage.clock import get_now

WORK_CHANNEL = "pushmetrics_work"
"""The channel of notifications of new work on PostgreSQL. Triggers of the tables send them."""


class Worker(Base):
    """A process that executes runs and deliveries, and its last heartbeat."""

    __tablename__ = "worker"

    worker_id: Mapped[str] = mapped_column(String(64), unique=True)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    started_on: Mapped[datetime] = mapped_column(default=get_now)
    beat_on: Mapped[datetime] = mapped_column(default=get_now, index=True)


class WorkSignal(Base):
    """
    How often there was new work of a kind. Triggers of the tables count, on SQLite only.

    PostgreSQL sends notifications instead.
    """

    __tablename__ = "work_signal"

    name: Mapped[str] = mapped_column(String(16), unique=True)
    version: Mapped[int]
