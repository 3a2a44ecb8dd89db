"""The installation: a database, with all processes that use it."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from airflow_provider_pushmetrics.service.models.base import Base


class Installation(Base):
    """
    What tells the database from others, in one row. A restored one has another uid than that of its backup.

    Its results are marked with the uid, so that no other installation uses their place.
    """

    __tablename__ = "installation"

    uid: Mapped[str] = mapped_column(String(32), unique=True)
