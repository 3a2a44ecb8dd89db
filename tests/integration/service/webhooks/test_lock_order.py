"""Two transactions on PostgreSQL that want a subscription and its deliveries at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, select, text

from airflow_provider_pushmetrics.service.accounts.workspaces import delete_workspace
from airflow_provider_pushmetrics.service.models import Delivery, OutboxEvent, Run, Subscription, Workspace
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.webhooks.subscriptions import enable
from tests.fakes.service_reports import sql
from tests.fakes.waiting import wait_until
from tests.integration.service.runs.test_execution import Workplace
from tests.integration.service.webhooks.test_delivery import NOW, Post, respond

pytestmark = pytest.mark.postgres


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


def delete_everything(post: Post, subscription_id: int) -> None:
    with post.database.writing() as session:
        delete_workspace(session, session.get_one(Workspace, 1))


def delete_one(post: Post, subscription_id: int) -> None:
    with post.database.writing() as session:
        session.delete(session.get_one(Subscription, subscription_id))


def enable_again(post: Post, subscription_id: int) -> None:
    with post.database.writing() as session:
        enable(session.get_one(Subscription, subscription_id), NOW)


def give_up(post: Post, subscription_id: int) -> None:
    gone = Post(post.database, answer=lambda: respond(410))
    gone.attempt(gone.emit())


def wait_for_a_lock(database: Database, other: threading.Event) -> None:
    """Wait until a transaction waits for another one, or the other has ended without."""
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    # Each look in a transaction of its own: PostgreSQL keeps its answer for the length of one.
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        wait_until(lambda: connection.scalar(waiting) or other.is_set())


@pytest.mark.parametrize("other", [delete_everything, delete_one, enable_again, give_up])
def test_attempt_is_recorded_while_its_subscription_changes(
    database: Database, other: Callable[[Post, int], None]
) -> None:
    post = Post(database)
    subscription_id, delivery_id = post.subscribe(), post.emit()
    here, ended = threading.get_ident(), threading.Event()

    def run_other() -> None:
        try:
            other(post, subscription_id)
        finally:
            ended.set()

    with ThreadPoolExecutor(1) as threads:

        def begin_the_other(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if threading.get_ident() == here and statement.startswith("INSERT INTO delivery_attempt"):
                started.append(threads.submit(run_other))
                wait_for_a_lock(database, ended)

        started: list[Any] = []
        event.listen(database.engine, "before_cursor_execute", begin_the_other)
        assert post.sender.attempt(delivery_id)
        (future,) = started
        future.result(120)
    with database.reading() as session:
        kept = session.get(Delivery, delivery_id)
        assert (kept is None) == (other in (delete_everything, delete_one))
        assert kept is None or kept.attempt_count == 1


def test_run_succeeds_while_a_subscription_to_its_event_is_deleted(
    database: Database, tmp_path: Path
) -> None:
    Post(database).subscribe()
    workplace, ended = Workplace(database, tmp_path), threading.Event()
    run_id = workplace.start_run(q=sql("SELECT 1 AS n"))
    with closing(workplace.sources), ThreadPoolExecutor(1) as threads:
        with database.writing() as session:
            session.execute(delete(Subscription))
            future = threads.submit(workplace.build_executor().execute, Run, run_id)
            future.add_done_callback(lambda _: ended.set())
            wait_for_a_lock(database, ended)
            assert not ended.is_set()
        future.result(120)
    assert workplace.read(run_id) == ("success", None, ["q"])
    with database.reading() as session:
        assert session.scalars(select(OutboxEvent.event)).all() == ["report.run"]
        assert session.scalars(select(Delivery)).all() == []


@pytest.mark.parametrize("moment", ["INSERT INTO run_log", "INSERT INTO block_result"])
def test_run_is_recorded_while_its_workspace_is_deleted(
    database: Database, tmp_path: Path, moment: str
) -> None:
    post, workplace, ended = Post(database), Workplace(database, tmp_path), threading.Event()
    post.subscribe()
    run_id = workplace.start_run(q=sql("SELECT 1 AS n"))
    with closing(workplace.sources), ThreadPoolExecutor(1) as threads:
        here, started = threading.get_ident(), list[Any]()

        def begin_to_delete(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if threading.get_ident() == here and statement.startswith(moment) and not started:
                started.append(threads.submit(delete_everything, post, 0))
                started[0].add_done_callback(lambda _: ended.set())
                wait_for_a_lock(database, ended)

        event.listen(database.engine, "before_cursor_execute", begin_to_delete)
        workplace.build_executor().execute(Run, run_id)  # a deadlock would raise an error here, or there
        started[0].result(120)
    with database.reading() as session:
        assert session.get(Run, run_id) is None
        assert session.get(Workspace, 1) is None
