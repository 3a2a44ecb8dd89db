"""
Durable execution: DBOS workflows for runs and for attempts to deliver.

What must happen is first committed to the service's own database: a run or a delivery that is pending. That
is when it is accepted. It is then enqueued under a workflow id that follows from the row, so that enqueueing
twice does nothing and a crash in between loses nothing. A workflow whose process died is taken up by another
process, or by the next start of the same one. What a workflow does goes on where it was, so it needs no
steps.
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

from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.delivery import Courier
from airflow_provider_pushmetrics.service.dispatcher import (
    ATTEMPT_DELIVERY,
    DELIVERIES_QUEUE,
    EXECUTE_QUERY_RUN,
    EXECUTE_RUN,
    RUNS_QUEUE,
    WORKFLOWS,
    Dispatcher,
)
from airflow_provider_pushmetrics.service.execution import RunExecutor
from airflow_provider_pushmetrics.service.models import Delivery, QueryRun, Run
from airflow_provider_pushmetrics.service.perseverance import Perseverance, WorkInterruptedError
from airflow_provider_pushmetrics.service.salvage import Salvage
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.statuses import PENDING, UNFINISHED
from airflow_provider_pushmetrics.service.workers import WorkerRegistry
from airflow_provider_pushmetrics.service.workflows import (
    APPLICATION,
    WorkflowQueue,
    create_workflow_engine,
)

WORKFLOW_VERSION = "1"
"""
Pending work of another version is not taken up. It changes when a workflow's arguments change, not with the
package: by default it would follow from the source code, and an upgrade would leave every unfinished run
behind.
"""

LAUNCH_LOCK = 7_305_813
"""Any number that no other program locks in this database."""

QUEUES = (RUNS_QUEUE, DELIVERIES_QUEUE)

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
        courier: Courier,
    ) -> None:
        self._settings = settings
        self._executor_id = executor_id
        self._database = database
        self._executor = executor
        self._courier = courier
        self._active = _Activity()
        self._idle_since: dict[str, float] = {}
        self._stopping = threading.Event()
        self._perseverance = Perseverance(self._stopping.wait)
        self._salvage = Salvage(database, _list_broken, executor.abandon)
        self._workflow_engine: sqlalchemy.Engine | None = None
        self._queue: WorkflowQueue | None = None
        self._dispatcher: Dispatcher | None = None
        self._workers = WorkerRegistry(
            database,
            executor_id,
            settings.worker_lease_seconds,
            self._recover_workflows,
            self._recover_lost,
        )

    def start(self) -> None:
        """Begin to work, with what was left behind first."""
        self._workflow_engine = create_workflow_engine(self._settings.workflow_url)
        with self._database.lock(LAUNCH_LOCK):  # processes that start together must not migrate together
            self._launch(self._workflow_engine)
        self._queue = WorkflowQueue(self._workflow_engine)
        self._dispatcher = Dispatcher(
            self._database, self._queue, self._settings.dispatch_poll_seconds, self._salvage.salvage
        )
        self._workers.start()
        if self._workers.is_alone():
            self._forget_enqueued()
        self._workers.take_over()
        self._dispatcher.start()

    def stop(self) -> bool:
        """
        Stop. What has not ended within the time allowed goes on elsewhere, or at the next start.

        :return: Whether everything had ended.
        """
        if self._dispatcher is None or self._queue is None or self._workflow_engine is None:
            return True
        self._stopping.set()
        self._dispatcher.stop()
        # DBOS waits in whole seconds, the first one in any case: not when there is nothing to wait for.
        wait_seconds = self._settings.shutdown_seconds if self._active.is_any() else 0
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=wait_seconds)
        is_finished = not self._active.is_any()
        self._workers.stop(is_finished=is_finished)
        self._queue.close()
        if is_finished:
            self._workflow_engine.dispose()
        return is_finished

    def wake(self) -> None:
        """Say that something was committed that must happen."""
        if self._dispatcher is not None:
            self._dispatcher.wake()

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
        DBOS.register_queue(
            RUNS_QUEUE,
            worker_concurrency=self._settings.run_concurrency,
            polling_interval_sec=self._settings.queue_poll_seconds,
            on_conflict="always_update",
        )
        # A partition is an endpoint: one that is slow holds its own few places, and the others' are free.
        DBOS.register_queue(
            DELIVERIES_QUEUE,
            worker_concurrency=self._settings.delivery_concurrency,
            partition_worker_concurrency=self._settings.endpoint_concurrency,
            polling_interval_sec=self._settings.queue_poll_seconds,
            on_conflict="always_update",
        )

    def _register_workflows(self) -> None:
        @DBOS.workflow(name=EXECUTE_RUN)
        def execute_run(run_id: int) -> None:
            self._do(lambda: self._executor.execute(Run, run_id))

        @DBOS.workflow(name=EXECUTE_QUERY_RUN)
        def execute_query_run(query_run_id: int) -> None:
            self._do(lambda: self._executor.execute(QueryRun, query_run_id))

        @DBOS.workflow(name=ATTEMPT_DELIVERY)
        def attempt_delivery(delivery_id: int, number: int) -> None:
            self._do(lambda: self._courier.attempt(delivery_id, number))

    def _do(self, work: Callable[[], bool]) -> None:
        """Do something that goes on where it was, again if it fails; it says whether it leaves a delivery."""
        with self._active.note(DBOS.workflow_id):
            leaves_delivery = self._perseverance.do(work)
        if leaves_delivery:
            self.wake()

    def _recover_workflows(self, executor_id: str) -> int:
        count = 0
        for queue in QUEUES:
            ids = _list_taken(queue, executor_id)
            if ids:
                DBOS.resume_workflows(ids, queue_name=queue)
            count += len(ids)
        return count

    def _recover_lost(self) -> None:
        """
        Put back what was taken from a queue for this process, and is not at work here for a whole lease.

        Its database went away when the answer was under way; DBOS itself looks at that only when it starts.
        """
        before, self._idle_since, now = self._idle_since, {}, time.monotonic()
        for queue in QUEUES:
            # What is at work is asked last: what was taken before that, and is not, waits to begin.
            for workflow_id in set(_list_taken(queue, self._executor_id)) - self._active.list_ids():
                since = before.get(workflow_id, now)
                if now - since < self._settings.worker_lease_seconds:
                    self._idle_since[workflow_id] = since
                    continue
                DBOS.resume_workflows([workflow_id], queue_name=queue)
                log.warning("put workflow %s back, which was taken and not begun", workflow_id)

    def _forget_enqueued(self) -> None:
        """Enqueue everything unfinished anew: the workflows' database may be an older copy than ours."""
        with self._database.writing() as session:
            for kind in WORKFLOWS:
                session.execute(update(kind).where(kind.status.in_(UNFINISHED)).values(is_enqueued=False))
            session.execute(update(Delivery).where(Delivery.status == PENDING).values(enqueued_attempt=0))


def _list_taken(queue: str, executor_id: str) -> list[str]:
    taken = DBOS.list_workflows(status="PENDING", executor_id=executor_id, queue_name=queue, load_input=False)
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
