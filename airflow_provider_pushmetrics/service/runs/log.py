"""The log of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import insert
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.service.models import RunLogEntry
from airflow_provider_pushmetrics.service.models.base import get_table

MAX_LOG_MESSAGE_LENGTH = 4000

INSERT = insert(get_table(RunLogEntry))


@dataclass(frozen=True)
class LogLine:
    """
    A line of the log of a run.

    :param block_uid: The block that it is about.
    """

    message: str
    level: str = "INFO"
    block_uid: str | None = None


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


def write_log(session: Session, run: Logged, *lines: LogLine) -> None:
    """Write lines in the transaction of their change, with every credential removed."""
    rows = [
        {
            "workspace_id": run.workspace_id,
            "run_id": run.id,
            "flow_run_id": run.flow_run_id,
            "task_run_id": line.block_uid,
            "level": line.level,
            "message": redact(line.message)[:MAX_LOG_MESSAGE_LENGTH],
        }
        for line in lines
    ]
    session.execute(INSERT, rows)
