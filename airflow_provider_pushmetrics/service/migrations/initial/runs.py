"""Runs, their results and their logs."""

from __future__ import annotations

import sqlalchemy as sa

from airflow_provider_pushmetrics.service.migrations.initial.definitions import (
    MOMENT,
    column,
    create,
    index,
    index_age,
    index_list,
    index_work,
    reference,
    unique,
)


def create_tables() -> None:
    """Create the tables with their indexes."""
    _create_run()
    _create_query_run()
    _create_block_result()
    _create_deleted_folder()
    _create_run_log()


def _create_run() -> None:
    create(
        "run",
        reference("run", "workspace_id", "workspace"),
        reference("run", "report_id", "report", ondelete="CASCADE"),
        column("status", sa.String(16)),
        column("origin", sa.String(16)),
        column("given_parameters", sa.JSON),
        column("parameters", sa.JSON),
        column("idempotency_key", sa.String(255), nullable=True),
        column("worker_id", sa.String(64), nullable=True),
        column("report_updated_on", MOMENT, nullable=True),
        column("lost_workers", sa.Integer),
        column("flow_run_id", sa.String(36), nullable=True),
        column("parent_id", sa.Integer, nullable=True),
        column("re_run_count", sa.Integer),
        column("webhook_id", sa.Integer, nullable=True),
        column("traceparent", sa.String(55), nullable=True),
        column("started_by", sa.Text, nullable=True),
        column("schedule_id", sa.Integer, nullable=True),
        column("options", sa.JSON, nullable=True),
        column("started_on", MOMENT, nullable=True),
        column("finished_on", MOMENT, nullable=True),
        column("error", sa.Text, nullable=True),
        unique("run", "report_id", "idempotency_key"),
    )
    index("run", "flow_run_id")
    index_age("run")
    index_list("run")
    index_list("run", "report_id")
    index_list("run", "status")
    index_work("run", "workspace_id", "report_id", "created_on", "lost_workers")


def _create_query_run() -> None:
    create(
        "query_run",
        reference("query_run", "workspace_id", "workspace"),
        reference("query_run", "report_id", "report", ondelete="CASCADE"),
        reference("query_run", "block_id", "block", ondelete="CASCADE", nullable=True),
        reference("query_run", "query_id", "query", ondelete="CASCADE", nullable=True),
        column("status", sa.String(16)),
        column("origin", sa.String(16)),
        column("content", sa.JSON, nullable=True),
        column("unsaved_block", sa.JSON, nullable=True),
        column("texts", sa.JSON, nullable=True),
        column("schedule_id", sa.Integer, nullable=True),
        column("given_parameters", sa.JSON),
        column("parameters", sa.JSON),
        column("worker_id", sa.String(64), nullable=True),
        column("report_updated_on", MOMENT, nullable=True),
        column("lost_workers", sa.Integer),
        column("started_on", MOMENT, nullable=True),
        column("finished_on", MOMENT, nullable=True),
        column("error", sa.Text, nullable=True),
    )
    index("query_run", "block_id")
    index("query_run", "query_id")
    index("query_run", "report_id")
    index("query_run", "status")
    index_age("query_run")
    index_work("query_run", "workspace_id", "report_id", "created_on", "lost_workers")


def _create_block_result() -> None:
    create(
        "block_result",
        reference("block_result", "run_id", "run", ondelete="CASCADE", nullable=True),
        reference("block_result", "query_run_id", "query_run", ondelete="CASCADE", nullable=True),
        column("block_id", sa.Integer),
        column("block_uid", sa.String(32)),
        column("query_id", sa.Integer, nullable=True),
        column("position", sa.Integer),
        column("name", sa.String(255)),
        column("type", sa.String(32)),
        column("status", sa.String(16)),
        column("error", sa.Text, nullable=True),
        column("output", sa.Text, nullable=True),
        column("output_html", sa.Text, nullable=True),
        column("content_hash", sa.String(64), nullable=True),
        column("row_count", sa.Integer, nullable=True),
        column("result_file", sa.String(255), nullable=True),
        column("max_rows", sa.Integer, nullable=True),
        column("timeout_seconds", sa.Integer, nullable=True),
        column("is_truncated", sa.Boolean),
        column("started_on", MOMENT, nullable=True),
        column("finished_on", MOMENT, nullable=True),
        unique("block_result", "query_run_id", "block_id"),
        unique("block_result", "run_id", "block_id"),
        is_entity=False,
    )
    index("block_result", "block_id", "id", name="ix_block_result_block")
    with_output = "(type = 'text' OR type = 'chart') AND output IS NOT NULL"
    index("block_result", "finished_on", "id", name="ix_block_result_output", rows=with_output)


def _create_deleted_folder() -> None:
    create(
        "deleted_folder",
        column("kind", sa.String(16)),
        column("run_id", sa.Integer),
        column("due_on", MOMENT),
        is_entity=False,
    )
    index("deleted_folder", "due_on")


def _create_run_log() -> None:
    create(
        "run_log",
        reference("run_log", "workspace_id", "workspace"),
        reference("run_log", "run_id", "run", ondelete="CASCADE"),
        column("flow_run_id", sa.String(36), nullable=True),
        column("task_run_id", sa.String(36), nullable=True),
        column("level", sa.String(16)),
        column("message", sa.Text),
    )
    index("run_log", "flow_run_id")
    index("run_log", "run_id")
    index_list("run_log")
    index_age("run_log")
