"""Who may ask: workspaces, users and their tokens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from airflow_provider_pushmetrics.service.models.base import Base, Identified


class Workspace(Identified, Base):
    """What separates one team's data from another's."""

    __tablename__ = "workspace"

    name: Mapped[str] = mapped_column(String(255))


class User(Identified, Base):
    """A person, or the robot that a token stands for."""

    __tablename__ = "app_user"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    email: Mapped[str] = mapped_column(String(320))
    first_name: Mapped[str] = mapped_column(String(255), default="")
    last_name: Mapped[str] = mapped_column(String(255), default="")
    role: Mapped[str] = mapped_column(String(32), default="Admin")
    last_login: Mapped[datetime | None]


class ApiToken(Identified, Base):
    """A personal API token; only its SHA-256 is kept."""

    __tablename__ = "api_token"

    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    name: Mapped[str] = mapped_column(String(255))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    token_prefix: Mapped[str | None] = mapped_column(String(16))
    expires_on: Mapped[datetime | None]
    revoked_on: Mapped[datetime | None]
