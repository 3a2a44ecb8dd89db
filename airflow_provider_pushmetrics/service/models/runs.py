"""Runs of reports and of single blocks, block results, and the log."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import JSON, Boolean, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from airflow_provider_pushmetrics.service.models.base import (
    Base,
    Claimable,
    Identified,
    index_age,
    index_list,
    index_work,
)
from airflow_provider_pushmetrics.service.models.messages import OutgoingMessage
from airflow_provider_pushmetrics.service.models.reports import Block, Report
from airflow_provider_pushmetrics.service.storage.ids import generate_flow_run_id

PLACE_COLUMNS = ("workspace_id", "report_id", "created_on", "lost_workers")
"""What the places of a worker are shared by."""


class Run(Claimable, Identified, Base):
    """
    One execution of a whole report.

    ``lost_workers`` counts the workers that died while they executed it, since its last progress.
    """

    __tablename__ = "run"
    __table_args__ = (
        UniqueConstraint("report_id", "idempotency_key"),
        index_age("run"),
        index_list("run"),
        index_list("run", "report_id"),
        index_list("run", "status"),
        *index_work("run", *PLACE_COLUMNS, unfinished="finished_on IS NULL"),
        {"sqlite_autoincrement": True},
    )

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    report_id: Mapped[int] = mapped_column(ForeignKey("report.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(String(16), default="pending")
    origin: Mapped[str] = mapped_column(String(16))
    given_parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    report_updated_on: Mapped[datetime | None]
    """When its report was last changed, as it began."""
    lost_workers: Mapped[int] = mapped_column(default=0)
    flow_run_id: Mapped[str | None] = mapped_column(String(36), default=generate_flow_run_id, index=True)
    parent_id: Mapped[int | None]
    re_run_count: Mapped[int] = mapped_column(default=0)
    webhook_id: Mapped[int | None]
    traceparent: Mapped[str | None] = mapped_column(String(55))
    started_by: Mapped[str | None] = mapped_column(Text)
    schedule_id: Mapped[int | None]
    options: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    started_on: Mapped[datetime | None]
    finished_on: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)

    report: Mapped[Report] = relationship()
    results: Mapped[list[BlockResult]] = relationship(
        order_by="BlockResult.position", cascade="all, delete-orphan"
    )


class StandaloneQueryRun(Claimable, Identified, Base):
    """
    One execution of a block by itself, mostly a query; ``content`` is what ran instead of its own.

    A block that was not saved yet has no row: ``unsaved_block`` has its uid, type and name, and ``content``
    all of its content. ``texts`` has the queries of which only the text was used, with no result: by the id
    of the block its name, and the hash of what it said.
    """

    __tablename__ = "query_run"
    __table_args__ = (
        Index(None, "status"),
        Index(None, "report_id"),
        index_age("query_run"),
        *index_work("query_run", *PLACE_COLUMNS, unfinished="finished_on IS NULL"),
        {"sqlite_autoincrement": True},
    )

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    report_id: Mapped[int] = mapped_column(ForeignKey("report.id", ondelete="CASCADE"))
    block_id: Mapped[int | None] = mapped_column(ForeignKey("block.id", ondelete="CASCADE"), index=True)
    query_id: Mapped[int | None] = mapped_column(ForeignKey("query.id", ondelete="CASCADE"), index=True)
    status: Mapped[str] = mapped_column(String(16), default="pending")
    origin: Mapped[str] = mapped_column(String(16), default="api")
    content: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    unsaved_block: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    texts: Mapped[dict[str, list[str]] | None] = mapped_column(JSON)
    schedule_id: Mapped[int | None]
    given_parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    report_updated_on: Mapped[datetime | None]
    """When its report was last changed, as it began."""
    lost_workers: Mapped[int] = mapped_column(default=0)
    started_on: Mapped[datetime | None]
    finished_on: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)

    report: Mapped[Report] = relationship()
    block: Mapped[Block | None] = relationship()
    results: Mapped[list[BlockResult]] = relationship(
        order_by="BlockResult.position", cascade="all, delete-orphan"
    )

    @property
    def block_uid(self) -> str:
        """The uid of its block, saved or not."""
        return self.block.uid if self.block is not None else str((self.unsaved_block or {})["uid"])

    @property
    def block_name(self) -> str:
        """The name of its block, saved or not."""
        return self.block.name if self.block is not None else str((self.unsaved_block or {})["name"])


AnyRun: TypeAlias = Run | StandaloneQueryRun

HAS_OUTPUT = text("(type = 'text' OR type = 'chart') AND output IS NOT NULL")
"""The condition of the outputs that show rows, as the index has it. That of a message is its recipients."""


class BlockResult(Base):
    """The outcome of one block in one run; the rows of a query are in a Parquet file beside the database."""

    __tablename__ = "block_result"
    __table_args__ = (
        UniqueConstraint("run_id", "block_id"),
        UniqueConstraint("query_run_id", "block_id"),
        Index("ix_block_result_block", "block_id", "id"),
        Index(
            "ix_block_result_output",
            "finished_on",
            "id",
            sqlite_where=HAS_OUTPUT,
            postgresql_where=HAS_OUTPUT,
        ),
        {"sqlite_autoincrement": True},
    )

    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    query_run_id: Mapped[int | None] = mapped_column(ForeignKey("query_run.id", ondelete="CASCADE"))
    block_id: Mapped[int] = mapped_column(Integer)
    """That of the block, which may be deleted; 0 if it was not saved."""
    block_uid: Mapped[str] = mapped_column(String(32))
    query_id: Mapped[int | None] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16))
    error: Mapped[str | None] = mapped_column(Text)
    output: Mapped[str | None] = mapped_column(Text)
    output_html: Mapped[str | None] = mapped_column(Text)
    content_hash: Mapped[str | None] = mapped_column(String(64))
    """Of the content that the block had when it ran."""
    row_count: Mapped[int | None]
    result_file: Mapped[str | None] = mapped_column(String(255))
    max_rows: Mapped[int | None]
    timeout_seconds: Mapped[int | None]
    is_truncated: Mapped[bool] = mapped_column(Boolean, default=False)
    started_on: Mapped[datetime | None]
    finished_on: Mapped[datetime | None]

    messages: Mapped[list[OutgoingMessage]] = relationship(order_by=OutgoingMessage.id, viewonly=True)


class DeletedFolder(Base):
    """
    The folder with the results of a deleted run, which a worker deletes from a time on.

    ``kind`` is the table in which the run was.
    """

    __tablename__ = "deleted_folder"
    __table_args__ = (Index(None, "due_on"), {"sqlite_autoincrement": True})

    kind: Mapped[str] = mapped_column(String(16))
    run_id: Mapped[int] = mapped_column(Integer)
    due_on: Mapped[datetime]


class RunLogEntry(Identified, Base):
    """A line of the log of a run."""

    __tablename__ = "run_log"
    __table_args__ = (index_list("run_log"), index_age("run_log"), {"sqlite_autoincrement": True})

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), index=True)
    flow_run_id: Mapped[str | None] = mapped_column(String(36), index=True)
    task_run_id: Mapped[str | None] = mapped_column(String(36))
    level: Mapped[str] = mapped_column(String(16))
    message: Mapped[str] = mapped_column(Text)
