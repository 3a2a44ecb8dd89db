"""
Durable execution: a queue of runs, and DBOS workflows for attempts to deliver.

What must happen is first committed to the service's own database: a run or a delivery that is pending. That
is when it is accepted. Runs are claimed there (:mod:`run_queue`). An attempt to deliver is enqueued under a
workflow id that follows from its row, so that enqueueing twice does nothing and a crash in between loses
nothing. What a dead process was executing is taken over by another process, or by its next start, and goes
on where it was.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy
from dbos import DBOS, DBOSConfig
from sqlalchemy import update

from airflow_provider_pushmetrics.service.models import AnyRun, Delivery
from airflow_provider_pushmetrics.service.models.statuses import PENDING
from airflow_provider_pushmetrics.service.runs.execution.executor import RunExecutor
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.webhooks.delivery import WebhookSender
from airflow_provider_pushmetrics.service.worker.dispatcher import (
    ATTEMPT_DELIVERY,
    DELIVERIES_QUEUE,
    Dispatcher,
)
from airflow_provider_pushmetrics.service.worker.heartbeats import WorkerRegistry
from airflow_provider_pushmetrics.service.worker.queue import (
    APPLICATION,
    WorkflowQueue,
    create_workflow_engine,
)
from airflow_provider_pushmetrics.service.worker.reconciler import Reconciler
from airflow_provider_pushmetrics.service.worker.retrying import RetryLoop, WorkInterruptedError
from airflow_provider_pushmetrics.service.worker.run_queue import RunQueue

WORKFLOW_VERSION = "1"
"""
Pending work of another version is not taken up. It changes when a workflow's arguments change, not with the
package: by default it would follow from the source code, and an upgrade would leave every unfinished run
behind.
"""

LAUNCH_LOCK = 7_305_813
"""Any number that no other program locks in this database."""

BACKUP_POLL_SECONDS = 15.0
"""How often accepted work of other processes is looked for, beside the signals of commits."""

QUEUE_POLL_SECONDS = 0.05
"""How often DBOS looks at its queue."""

DELIVERY_CONCURRENCY = 64
"""How many deliveries a process makes at a time."""

BROKEN = ["ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
"""How a workflow can have ended without that its work had."""


log = logging.getLogger(__name__)


class Engine:
    """
    Runs what was enqueued. DBOS is one for a process, and so is this.

    :param settings: Where DBOS keeps its tables, and how much runs at a time.
    :param executor_id: Names this process. Others take over what it leaves behind.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        executor_id: str,
        database: Database,
        executor: RunExecutor,
        sender: WebhookSender,
    ) -> None:
        self._settings = settings
        self._executor_id = executor_id
        self._database = database
        self._executor = executor
        self._sender = sender
        self._active = _Activity()
        self._idle_since: dict[str, float] = {}
        self._stopping = threading.Event()
        self._retry_loop = RetryLoop(self._stopping.wait)
        self._reconciler = Reconciler(database, _list_broken)
        self._runs = RunQueue(
            database,
            executor_id,
            self._execute_run,
            executor.abandon,
            places=settings.run_concurrency,
            poll_seconds=BACKUP_POLL_SECONDS,
        )
        self._workflow_engine: sqlalchemy.Engine | None = None
        self._queue: WorkflowQueue | None = None
        self._dispatcher: Dispatcher | None = None
        self._workers = WorkerRegistry(
            database,
            executor_id,
            settings.worker_lease_seconds,
            self._recover,
            self._recover_lost,
        )

    def start(self) -> None:
        """Begin to work, with what was left behind first."""
        self._workflow_engine = create_workflow_engine(self._settings.workflow_url)
        with self._database.lock(LAUNCH_LOCK):  # processes that start together must not migrate together
            self._launch(self._workflow_engine)
        self._queue = WorkflowQueue(self._workflow_engine)
        self._dispatcher = Dispatcher(
            self._database, self._queue, BACKUP_POLL_SECONDS, self._reconciler.reconciler
        )
        self._workers.start()
        if self._workers.is_alone():
            self._forget_enqueued()
        self._workers.take_over()
        self._runs.start()
        self._dispatcher.start()

    def stop(self) -> bool:
        """
        Stop. What has not ended within the time allowed goes on elsewhere, or at the next start.

        :return: Whether everything had ended.
        """
        if self._dispatcher is None or self._queue is None or self._workflow_engine is None:
            return True
        self._stopping.set()
        dispatches_no_more = self._dispatcher.stop()
        self._runs.stop_claiming()
        deadline = time.monotonic() + self._settings.shutdown_seconds
        # DBOS waits in whole seconds, the first one in any case: not when there is nothing to wait for.
        wait_seconds = self._settings.shutdown_seconds if self._active.is_any() else 0
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=wait_seconds)
        has_run = self._runs.stop(max(0.0, deadline - time.monotonic()))
        is_finished = dispatches_no_more and has_run and not self._active.is_any()
        self._workers.stop(is_finished=is_finished)
        self._queue.close()
        if is_finished:
            self._workflow_engine.dispose()
        return is_finished

    def wake(self) -> None:
        """Say that something was committed that must happen."""
        if self._dispatcher is not None:
            self._dispatcher.wake()
        self._runs.wake()

    def _launch(self, engine: sqlalchemy.Engine) -> None:
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_engine": engine,
            "application_version": WORKFLOW_VERSION,
            "executor_id": self._executor_id,
            "log_level": "WARNING",
            "enable_otlp": False,
        }
        DBOS(config=config)
        self._register_workflows()
        DBOS.launch()
        # A partition is an endpoint: one that is slow holds its own few places, and the others' are free.
        DBOS.register_queue(
            DELIVERIES_QUEUE,
            worker_concurrency=DELIVERY_CONCURRENCY,
            partition_worker_concurrency=self._settings.endpoint_concurrency,
            polling_interval_sec=QUEUE_POLL_SECONDS,
            on_conflict="always_update",
        )

    def _register_workflows(self) -> None:
        @DBOS.workflow(name=ATTEMPT_DELIVERY)
        def attempt_delivery(delivery_id: int, number: int) -> None:
            self._do(lambda: self._sender.attempt(delivery_id, number))

    def _execute_run(self, kind: type[AnyRun], run_id: int) -> None:
        if self._retry_loop.do(lambda: self._executor.execute(kind, run_id)):
            self.wake()

    def _do(self, work: Callable[[], bool]) -> None:
        """Do something that goes on where it was, again if it fails; it says whether it leaves a delivery."""
        with self._active.note(DBOS.workflow_id):
            leaves_delivery = self._retry_loop.do(work)
        if leaves_delivery:
            self.wake()

    def _recover(self, executor_id: str) -> int:
        """Take over the runs and the deliveries of a dead worker."""
        ids = _list_taken(executor_id)
        if ids:
            DBOS.resume_workflows(ids, queue_name=DELIVERIES_QUEUE)
        count = self._runs.release_lost(executor_id)
        self._runs.wake()
        return count + len(ids)

    def _recover_lost(self) -> None:
        """
        Put back what was taken from a queue for this process, and is not at work here for a whole lease.

        Its database went away when the answer was under way; DBOS itself looks at that only when it starts.
        """
        self._runs.release_forgotten()
        before, self._idle_since, now = self._idle_since, {}, time.monotonic()
        # What is at work is asked last: what was taken before that, and is not, waits to begin.
        for workflow_id in set(_list_taken(self._executor_id)) - self._active.list_ids():
            since = before.get(workflow_id, now)
            if now - since < self._settings.worker_lease_seconds:
                self._idle_since[workflow_id] = since
                continue
            DBOS.resume_workflows([workflow_id], queue_name=DELIVERIES_QUEUE)
            log.warning("put workflow %s back, which was taken and not begun", workflow_id)

    def _forget_enqueued(self) -> None:
        """Enqueue all pending deliveries anew: the workflows' database may be an older copy than ours."""
        with self._database.writing() as session:
            session.execute(update(Delivery).where(Delivery.status == PENDING).values(enqueued_attempt=0))


def _list_taken(executor_id: str) -> list[str]:
    taken = DBOS.list_workflows(
        status="PENDING", executor_id=executor_id, queue_name=DELIVERIES_QUEUE, load_input=False
    )
    return [workflow.workflow_id for workflow in taken]


def _list_broken(workflow_ids: list[str]) -> list[str]:
    found = DBOS.list_workflows(workflow_ids=workflow_ids, status=BROKEN, load_input=False)
    return [workflow.workflow_id for workflow in found]


class _Activity:
    """Knows the workflows that are at work here, and those that were left in the middle of their work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: list[str | None] = []

    @contextmanager
    def note(self, workflow_id: str | None) -> Iterator[None]:
        """Note a workflow while the block lasts; beyond, if its work is interrupted."""
        with self._lock:
            self._ids.append(workflow_id)
        try:
            yield
        except WorkInterruptedError:
            raise
        except BaseException:
            self._remove(workflow_id)
            raise
        self._remove(workflow_id)

    def is_any(self) -> bool:
        """Tell whether there is any."""
        with self._lock:
            return bool(self._ids)

    def list_ids(self) -> set[str | None]:
        """List them."""
        with self._lock:
            return set(self._ids)

    def _remove(self, workflow_id: str | None) -> None:
        with self._lock:
            self._ids.remove(workflow_id)
