"""
Durable execution: DBOS workflows for runs and for attempts to deliver.

What must happen is first committed to the service's own database: a run or a delivery that is pending. That
is when it is accepted. One thread then enqueues it, under a workflow id that follows from the row, so that
enqueueing twice does nothing and a crash in between loses nothing. A workflow that a crash interrupted is
taken up at the next start.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime

from dbos import DBOS, DBOSConfig, EnqueueOptions, StepOptions
from sqlalchemy import select, update

from airflow_provider_pushmetrics.service.clock import get_now
from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.delivery import Courier
from airflow_provider_pushmetrics.service.execution import AnyRun, RunExecutor
from airflow_provider_pushmetrics.service.models import Delivery, QueryRun, Run
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.statuses import PENDING, UNFINISHED

APPLICATION = "pushmetrics-service"
WORKFLOW_VERSION = "1"
"""
Pending work of another version is not taken up. It changes when a workflow's steps change, not with the
package: by default it would follow from the source code, and an upgrade would leave every unfinished run
behind.
"""

RUNS_QUEUE = "runs"
DELIVERIES_QUEUE = "deliveries"
EXECUTE_RUN = "execute_run"
EXECUTE_QUERY_RUN = "execute_query_run"
ATTEMPT_DELIVERY = "attempt_delivery"

WORKFLOW_NAMES: Mapping[type[AnyRun], str] = {Run: "run", QueryRun: "query-run"}
"""What the workflow ids of each kind of run begin with."""

DISPATCH_SECONDS = 30.0
"""How long a commit of another process can go unseen; one of this process wakes the dispatcher at once."""

RETRY_SECONDS = 1.0

# An exception here is a database that is away for a while, or a fault of ours: what can go wrong in a run or
# in a delivery is recorded, not raised. Both steps go on where they were.
EXECUTE: StepOptions = {"name": "execute", "retries_allowed": True, "max_attempts": 5}
ATTEMPT: StepOptions = {"name": "attempt", "retries_allowed": True, "max_attempts": 5}

BROKEN = ["ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
"""How a workflow can have ended without its run having ended."""

log = logging.getLogger(__name__)


class Engine:
    """
    Runs what was enqueued. DBOS is one for a process, and so is this.

    :param settings: Where DBOS keeps its tables, and how much runs at a time.
    :param executor_id: Names this process. What it leaves behind is taken up by whoever has this name next.
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
        self._active = _ActiveCount()
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._dispatcher = threading.Thread(
            target=self._dispatch_until_stopped, name="dispatcher", daemon=True
        )

    def start(self) -> None:
        """Begin to work, with what was left behind first."""
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self._settings.workflow_url,
            "application_version": WORKFLOW_VERSION,
            "executor_id": self._executor_id,
            "log_level": "WARNING",
            "enable_otlp": False,
        }
        DBOS(config=config)
        self._register_workflows()
        DBOS.launch()
        self._register_queue(RUNS_QUEUE, self._settings.run_concurrency)
        self._register_queue(DELIVERIES_QUEUE, self._settings.delivery_concurrency)
        self._abandon_broken()
        self._forget_enqueued()
        self._dispatcher.start()
        self.wake()

    def stop(self) -> bool:
        """
        Stop. What has not ended within the time allowed goes on at the next start.

        :return: Whether everything had ended.
        """
        self._stopping.set()
        self.wake()
        self._dispatcher.join()
        # DBOS waits in whole seconds, the first one in any case: not when there is nothing to wait for.
        wait_seconds = self._settings.shutdown_seconds if self._active.is_any() else 0
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=wait_seconds)
        return not self._active.is_any()

    def wake(self) -> None:
        """Say that something was committed that must happen."""
        self._awake.set()

    def _register_workflows(self) -> None:
        @DBOS.workflow(name=EXECUTE_RUN)
        def execute_run(run_id: int) -> None:
            with self._active:
                DBOS.run_step(EXECUTE, self._executor.execute, Run, run_id)
            self.wake()

        @DBOS.workflow(name=EXECUTE_QUERY_RUN)
        def execute_query_run(query_run_id: int) -> None:
            with self._active:
                DBOS.run_step(EXECUTE, self._executor.execute, QueryRun, query_run_id)
            self.wake()

        @DBOS.workflow(name=ATTEMPT_DELIVERY)
        def attempt_delivery(delivery_id: int) -> None:
            with self._active:
                DBOS.run_step(ATTEMPT, self._courier.attempt, delivery_id)
            self.wake()

    def _register_queue(self, name: str, concurrency: int) -> None:
        DBOS.register_queue(
            name,
            worker_concurrency=concurrency,
            polling_interval_sec=self._settings.queue_poll_seconds,
            on_conflict="always_update",
        )

    def _dispatch_until_stopped(self) -> None:
        while not self._stopping.is_set():
            self._awake.wait(DISPATCH_SECONDS)
            self._awake.clear()
            try:
                self._dispatch()
            except Exception:
                # A database that is away comes back, and this thread must be there then.
                log.exception("cannot enqueue what is pending; trying again in %s s", RETRY_SECONDS)
                self._stopping.wait(RETRY_SECONDS)
                self.wake()

    def _dispatch(self) -> None:
        for run_id in self._find_new(Run):
            _enqueue(EXECUTE_RUN, RUNS_QUEUE, f"{WORKFLOW_NAMES[Run]}-{run_id}", run_id)
            self._mark_enqueued(Run, run_id)
        for query_run_id in self._find_new(QueryRun):
            workflow_id = f"{WORKFLOW_NAMES[QueryRun]}-{query_run_id}"
            _enqueue(EXECUTE_QUERY_RUN, RUNS_QUEUE, workflow_id, query_run_id)
            self._mark_enqueued(QueryRun, query_run_id)
        for delivery_id, attempt, next_attempt_on in self._find_due_attempts():
            delay = max(0.0, (next_attempt_on - get_now()).total_seconds())
            workflow_id = f"delivery-{delivery_id}-{attempt}"
            _enqueue(ATTEMPT_DELIVERY, DELIVERIES_QUEUE, workflow_id, delivery_id, delay_seconds=delay)
            with self._database.writing() as session:
                session.get_one(Delivery, delivery_id).enqueued_attempt = attempt

    def _find_new(self, kind: type[AnyRun]) -> Sequence[int]:
        with self._database.reading() as session:
            unfinished = select(kind.id).where(kind.status.in_(UNFINISHED), kind.is_enqueued.is_(False))
            return session.scalars(unfinished.order_by(kind.id)).all()

    def _mark_enqueued(self, kind: type[AnyRun], run_id: int) -> None:
        with self._database.writing() as session:
            session.execute(update(kind).where(kind.id == run_id).values(is_enqueued=True))

    def _find_due_attempts(self) -> list[tuple[int, int, datetime]]:
        with self._database.reading() as session:
            attempt = Delivery.attempt_count + 1
            due = select(Delivery.id, attempt, Delivery.next_attempt_on).where(
                Delivery.status == PENDING, Delivery.enqueued_attempt < attempt
            )
            return [(row[0], row[1], row[2]) for row in session.execute(due.order_by(Delivery.id))]

    def _abandon_broken(self) -> None:
        """End the runs whose workflow has ended without them: enqueueing those again would do nothing."""
        for kind, name in WORKFLOW_NAMES.items():
            with self._database.reading() as session:
                unfinished = session.scalars(select(kind.id).where(kind.status.in_(UNFINISHED))).all()
            by_workflow = {f"{name}-{run_id}": run_id for run_id in unfinished}
            for workflow in DBOS.list_workflows(workflow_ids=list(by_workflow), status=BROKEN):
                self._executor.abandon(kind, by_workflow[workflow.workflow_id])

    def _forget_enqueued(self) -> None:
        """Enqueue everything unfinished anew: the workflows' database may be an older copy than ours."""
        with self._database.writing() as session:
            for kind in (Run, QueryRun):
                session.execute(update(kind).where(kind.status.in_(UNFINISHED)).values(is_enqueued=False))
            session.execute(update(Delivery).where(Delivery.status == PENDING).values(enqueued_attempt=0))


class _ActiveCount:
    """Counts the threads that are inside it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def __enter__(self) -> None:
        with self._lock:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._count -= 1

    def is_any(self) -> bool:
        """Tell whether there is any."""
        with self._lock:
            return self._count > 0


def _enqueue(
    workflow: str, queue: str, workflow_id: str, argument: int, *, delay_seconds: float = 0.0
) -> None:
    options: EnqueueOptions = {"workflow_name": workflow, "queue_name": queue, "workflow_id": workflow_id}
    if delay_seconds > 0:
        options["delay_seconds"] = delay_seconds
    DBOS.enqueue_workflow_with_options(options, argument)
