"""The log of a run."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import insert
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.service.models import RunLogEntry
from airflow_provider_pushmetrics.service.models.base import get_table

MAX_LOG_MESSAGE_LENGTH = 4000


class Logged(Protocol):
    """A run or a plan of one."""

    @property
    def workspace_id(self) -> int:
        """The workspace of the run."""

    @property
    def id(self) -> int:
        """The run's id."""

    @property
    def flow_run_id(self) -> str | None:
        """The id that log lines refer to."""


def write_log(
    session: Session, run: Logged, message: str, *, level: str = "INFO", block_uid: str | None = None
) -> None:
    """Write a log line, in the transaction of its change, with every credential removed."""
    session.execute(
        insert(get_table(RunLogEntry)).values(
            workspace_id=run.workspace_id,
            run_id=run.id,
            flow_run_id=run.flow_run_id,
            task_run_id=block_uid,
            level=level,
            message=redact(message)[:MAX_LOG_MESSAGE_LENGTH],
        )
    )
