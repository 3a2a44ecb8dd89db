"""Airflow's own tables in a test's database, and what its Dag processor and its scheduler do with them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow import DAG, settings
from airflow.dag_processing.collection import update_dag_parsing_results_in_db
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models import import_all_models
from airflow.models.asset import AssetDagRunQueue, AssetEvent, DagScheduleAssetReference
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.tasklog import LogTemplate
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow.utils.sqlalchemy import prohibit_commit
from sqlalchemy import create_engine, delete, event, select, true, update
from sqlalchemy.orm import scoped_session, sessionmaker
from sqlalchemy.pool import QueuePool

from tests.fakes.waiting import LIMIT_SECONDS

if TYPE_CHECKING:
    import pytest

BUNDLE = "dags"


class AirflowTables:
    """
    Airflow's database.

    :param url: Its SQLAlchemy URL.
    """

    def __init__(self, url: str) -> None:
        # A thread may wait long for its turn to write, if the machine does much else.
        arguments = {"timeout": LIMIT_SECONDS} if url.startswith("sqlite") else {}
        # SQLAlchemy 1.4 has another pool for a file, and other rules unless it is told.
        self.engine = create_engine(
            url, poolclass=QueuePool, pool_size=20, connect_args=arguments, future=True
        )
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
        self.sessions = sessionmaker(self.engine, expire_on_commit=False, future=True)

    def create(self) -> None:
        """Make the tables, which takes seconds."""
        import_all_models()
        Base.metadata.create_all(self.engine)
        with self.sessions.begin() as session:
            session.add(DagBundleModel(name=BUNDLE))
            session.add(LogTemplate(filename="a.log", elasticsearch_id="a"))

    @property
    def locks_rows(self) -> bool:
        """Whether the database can lock a row."""
        return self.engine.dialect.name != "sqlite"

    def become_airflows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be the database of the Airflow in this process."""
        monkeypatch.setattr(settings, "engine", self.engine)
        monkeypatch.setattr(settings, "Session", scoped_session(self.sessions))
        monkeypatch.setattr(settings, "NonScopedSession", self.sessions)

    def process_dags(self, *dags: DAG) -> None:
        """Store Dags as the Dag processor does, and unpause them."""
        with self.sessions() as session:
            update_dag_parsing_results_in_db(
                BUNDLE, None, [LazyDeserializedDAG.from_dag(dag) for dag in dags], {}, None, set(), session
            )
            session.commit()
        self.change_dags(is_paused=False)

    def change_dags(self, *dag_ids: str, **values: bool) -> None:
        """Change some Dags; all if none is named."""
        with self.sessions.begin() as session:
            which = DagModel.dag_id.in_(dag_ids) if dag_ids else true()
            session.execute(update(DagModel).where(which).values(values))

    @contextmanager
    def lock_dag(self, dag_id: str) -> Iterator[None]:
        """Hold a Dag's row as a scheduler does while it makes a run."""
        with self.sessions.begin() as session:
            session.scalars(
                select(DagModel.dag_id).where(DagModel.dag_id == dag_id).with_for_update(key_share=True)
            ).all()
            yield

    def schedule(self) -> None:
        """Make the Dag runs that are due, by the scheduler's own function."""
        with self.sessions() as session, prohibit_commit(session) as guard:
            SchedulerJobRunner(Job())._create_dagruns_for_dags(guard, session)

    @contextmanager
    def while_a_run_is_made(self, act: Callable[[], Any]) -> Iterator[None]:
        """
        Act in the middle of the scheduler's work: it has read the queue, and written no Dag run yet.

        Where rows are locked, whoever acts may wait until the scheduler is done.
        """
        thread = threading.Thread(target=act)

        def begin(*arguments: Any) -> None:
            if "INSERT INTO dag_run " in arguments[2] and not thread.ident:
                thread.start()
                thread.join(1.0 if self.locks_rows else 30.0)

        event.listen(self.engine, "before_cursor_execute", begin)
        try:
            yield
        finally:
            event.remove(self.engine, "before_cursor_execute", begin)
            assert thread.ident, "the scheduler made no Dag run"
            thread.join(120)
            assert not thread.is_alive()

    def let_time_pass(self, duration: timedelta) -> None:
        """Move what is stored of events, of the queue and of runs to an earlier time."""
        times = (
            AssetEvent.timestamp,
            AssetDagRunQueue.created_at,
            DagScheduleAssetReference.created_at,
            DagRun.run_after,
        )
        with self.sessions.begin() as session:
            for time in times:
                for row in session.scalars(select(time.class_)).all():
                    setattr(row, time.key, getattr(row, time.key) - duration)

    def read_runs(self, dag_id: str) -> list[list[int]]:
        """Read which asset events each run of a Dag has taken, the oldest run first."""
        with self.sessions() as session:
            runs = session.scalars(select(DagRun).where(DagRun.dag_id == dag_id).order_by(DagRun.id))
            return [sorted(item.id for item in run.consumed_asset_events) for run in runs]

    def read_partition_keys(self, dag_id: str) -> list[str | None]:
        """Read the partition key of each run of a Dag, the oldest run first."""
        with self.sessions() as session:
            runs = session.scalars(select(DagRun).where(DagRun.dag_id == dag_id).order_by(DagRun.id))
            return [run.partition_key for run in runs]

    def delete_runs(self, dag_id: str) -> None:
        """Delete the runs of a Dag, as a person does."""
        with self.sessions.begin() as session:
            for run in session.scalars(select(DagRun).where(DagRun.dag_id == dag_id)):
                session.delete(run)

    def drop_queue(self) -> None:
        """Delete what is queued: what the scheduler does to an event that it overlooks."""
        with self.sessions.begin() as session:
            session.execute(delete(AssetDagRunQueue))

    def count_queued(self) -> int:
        """Count the rows of the queue."""
        return len(self.list_queue_times())

    def list_queue_times(self) -> list[datetime]:
        """List the times in the queue."""
        with self.sessions() as session:
            return list(session.scalars(select(AssetDagRunQueue.created_at)))

    def list_events(self) -> list[AssetEvent]:
        """List the asset events, in the order in which they were stored."""
        with self.sessions() as session:
            return list(session.scalars(select(AssetEvent).order_by(AssetEvent.id)))

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=ON")
