"""
Counts of the rows that lists show, kept so that a list need not count all of them.

The number of rows of a workspace is what was counted, minus what was deleted since, plus the rows whose ids
are not counted yet. One statement reads all three, so that they are of the same moment. It is exact:

- No row is added below ``until``: ids only grow, and no open transaction has a lower one when an id becomes
  ``until`` (:mod:`worker.row_counts`). So counted rows can only be deleted.
- A trigger of the database records deleted rows in the transaction that deletes them, whoever does it.
"""

from __future__ import annotations

from typing import TypeAlias

from sqlalchemy import ColumnElement, ForeignKey, Index, Integer, String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from airflow_provider_pushmetrics.service.models.base import Base
from airflow_provider_pushmetrics.service.models.deliveries import Delivery
from airflow_provider_pushmetrics.service.models.messages import OutgoingMessage
from airflow_provider_pushmetrics.service.models.runs import Run, RunLogEntry

Counted: TypeAlias = type[Run | RunLogEntry | Delivery | OutgoingMessage]

COUNTED: tuple[Counted, ...] = (Run, RunLogEntry, Delivery, OutgoingMessage)
"""What there may be hundreds of thousands of."""

ID_RANGE = 1024
"""Rows are counted in ranges of so many ids. A number of the migrations too."""


class RowCount(Base):
    """
    How many rows of a workspace have ids below ``until``.

    :param kind: The name of their table.
    """

    __tablename__ = "row_count"
    __table_args__ = (UniqueConstraint("workspace_id", "kind"), {"sqlite_autoincrement": True})

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(32))
    until: Mapped[int]
    number: Mapped[int]


class DeletedRows(Base):
    """
    How many rows a statement deleted, until they are subtracted from the count; on PostgreSQL only.

    There, transactions that delete would otherwise wait for each other. SQLite has one at a time anyway.

    :param id_range: Their ids, divided by ``ID_RANGE``.
    """

    __tablename__ = "deleted_rows"
    __table_args__ = (
        Index("ix_deleted_rows_workspace_id_kind", "workspace_id", "kind"),
        {"sqlite_autoincrement": True},
    )

    workspace_id: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(32))
    id_range: Mapped[int]
    number: Mapped[int]


def count_rows(session: Session, kind: Counted, workspace_id: int) -> int:
    """Count all rows of a workspace, at the cost of counting those of the last minute."""
    here = RowCount.workspace_id == workspace_id, RowCount.kind == kind.__tablename__
    newest = func.coalesce(func.max(RowCount.until), 0)
    until, is_same = session.scalar(select(newest).where(*here)) or 0, False
    while not is_same:
        # With the id as a value, which PostgreSQL's planner needs: so it is read again with the numbers.
        number = _build_number(kind, workspace_id, until)
        found, total = session.execute(select(newest, number).where(*here)).one()
        until, is_same = found, found == until
    return int(total)


def _build_number(kind: Counted, workspace_id: int, until: int) -> ColumnElement[int]:
    deleted = select(func.coalesce(func.sum(DeletedRows.number), 0)).where(
        DeletedRows.workspace_id == workspace_id,
        DeletedRows.kind == kind.__tablename__,
        DeletedRows.id_range < until // ID_RANGE,
    )
    others = select(func.count()).where(kind.workspace_id == workspace_id, kind.id >= until)
    counted = func.coalesce(func.max(RowCount.number), 0)
    return counted - deleted.scalar_subquery() + others.scalar_subquery()
