"""The queues of DBOS, as this service uses them: its database, and enqueueing many workflows at once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dbos import DBOSClient, EnqueueOptions
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url

APPLICATION = "pushmetrics-service"
BUSY_TIMEOUT_SECONDS = 30
QUEUE_POOL_SIZE = 10
QUEUE_OVERFLOW = 10
"""
A workflow has a connection only while it notes its beginning and its end, and waits for one if there is none:
64 deliveries that end at the same moment share these (``test_deliveries_at_once.py``).
"""


@dataclass(frozen=True)
class Task:
    """
    A workflow to be executed.

    :param workflow_id: Enqueueing the same one twice does nothing.
    :param partition: What the limits of a partitioned queue count by.
    """

    workflow: str
    queue: str
    workflow_id: str
    arguments: tuple[int, ...]
    partition: str | None = None

    @property
    def options(self) -> EnqueueOptions:
        """What DBOS is told of it."""
        options: EnqueueOptions = {
            "workflow_name": self.workflow,
            "queue_name": self.queue,
            "workflow_id": self.workflow_id,
        }
        if self.partition is not None:
            options["queue_partition_key"] = self.partition
        return options


class WorkflowQueue:
    """
    Enqueues workflows.

    :param engine: The database of DBOS.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._client = DBOSClient(
            system_database_engine=engine, application_name=APPLICATION, retry_connection_errors=False
        )
        self._lock = threading.Lock()

    def enqueue(self, tasks: Iterable[Task]) -> None:
        """Enqueue all of them in one transaction, or none."""
        batch: Sequence[Task] = list(tasks)
        if not batch:
            return
        with self._lock, self._engine.begin() as connection:
            for task in batch:
                self._client.enqueue_in_transaction(connection, task.options, *task.arguments)

    def close(self) -> None:
        """Let go of the client; the engine is whose it was."""
        self._client.destroy()


def create_workflow_engine(url: str) -> Engine:
    """
    Open the database of DBOS.

    On SQLite a commit there does not wait for the disk: what a power cut takes away is enqueued anew at the
    next start, from the service's own database, whose commits do wait.
    """
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, pool_size=QUEUE_POOL_SIZE, max_overflow=QUEUE_OVERFLOW)
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        pool_size=QUEUE_POOL_SIZE,
        max_overflow=QUEUE_OVERFLOW,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = "IMMEDIATE"  # as DBOS has it: writers come one after the other
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
