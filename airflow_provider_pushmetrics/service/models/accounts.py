"""Workspaces, users and their tokens."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import ForeignKey, String, UniqueConstraint, exists
from sqlalchemy.orm import Mapped, MappedSQLExpression, aliased, column_property, mapped_column, relationship

from airflow_provider_pushmetrics.service.models.base import Base, Identified


class Workspace(Identified, Base):
    """The isolated data of one team."""

    __tablename__ = "workspace"

    name: Mapped[str] = mapped_column(String(255))


class User(Identified, Base):
    """A person, or the service account of a token; roles are per workspace."""

    __tablename__ = "app_user"

    email: Mapped[str] = mapped_column(String(320), unique=True)
    first_name: Mapped[str] = mapped_column(String(255), default="")
    last_name: Mapped[str] = mapped_column(String(255), default="")
    last_login: Mapped[datetime | None]

    def find_address(self) -> str | None:
        """Return the mail address; None for a user who was removed."""
        return self.email if "@" in self.email else None

    def remove_identity(self) -> None:
        """Delete the name and the address; the row stays, since others refer to it."""
        self.email, self.first_name, self.last_name = f"removed-{self.uid}", "", ""


class Membership(Base):
    """A user's membership of a workspace, and the role there."""

    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("user_id", "workspace_id"), {"sqlite_autoincrement": True})

    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"))
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(String(32))

    user: Mapped[User] = relationship()
    workspace: Mapped[Workspace] = relationship()

    is_first: ClassVar[MappedSQLExpression[bool]]
    """Whether it is the user's oldest membership; this workspace manages the user."""


_Older = aliased(Membership)

Membership.is_first = column_property(
    ~exists().where(_Older.user_id == Membership.user_id, _Older.id < Membership.id), deferred=True
)


class ApiToken(Identified, Base):
    """A personal API token; only its SHA-256 is stored."""

    __tablename__ = "api_token"

    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    token_prefix: Mapped[str | None] = mapped_column(String(16))
    expires_on: Mapped[datetime | None]
    revoked_on: Mapped[datetime | None]


class EndedSession(Base):
    """
    A signed-out browser session, stored as long as a copy of its cookie would be valid.

    :param sid: The session's id, which is in all its JWTs.
    :param until: When the last JWT expires.
    """

    __tablename__ = "ended_session"

    sid: Mapped[str] = mapped_column(String(32), unique=True)
    until: Mapped[datetime] = mapped_column(index=True)
