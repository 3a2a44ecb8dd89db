"""The store, on SQLite and on PostgreSQL alike: schema, transactions, and a whole run."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from airflow_provider_pushmetrics.exceptions import PushMetricsConflictError
from airflow_provider_pushmetrics.service.models import ApiToken, Base, Run, Workspace
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.submission import accept_run
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from tests.fakes.service_reports import make_report, parameter, sql
from tests.fakes.service_subscriber import add_subscription, listen
from tests.integration.service.conftest import run_parts

CIPHER = Cipher("k" * 32)


def test_migrations_make_what_the_models_say(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": "pushmetrics_service_version", "compare_type": True}
        )
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.parametrize("database_kind", ["sqlite"], scope="module")
def test_connection_that_migrated_is_not_used_again_without_foreign_keys(url: str) -> None:
    for _ in range(3):  # the first migrates, the others find nothing to do
        database = Database(url)
        database.migrate()
        with database.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        database.close()


def test_migrating_again_changes_nothing(database: Database) -> None:
    database.migrate()
    with database.reading() as session:
        assert session.query(ApiToken).count() == 1


@pytest.mark.postgres
def test_processes_that_start_together_migrate_once(postgres_url: str) -> None:
    code = (
        "import sys; from airflow_provider_pushmetrics.service.storage.database import Database;"
        " Database(sys.argv[1]).migrate()"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, postgres_url]) for _ in range(3)]
    assert [process.wait(timeout=240) for process in started] == [0, 0, 0]


def read_seconds(database: Database) -> tuple[float, float]:
    """Read how many statements were measured, and the seconds of all of them."""
    (family,) = database.statement_seconds.collect()
    values = {sample.name.rpartition("_")[2]: sample.value for sample in family.samples}
    return values["count"], values["sum"]


def test_failed_statement_and_the_wait_of_a_writer_are_measured(database: Database) -> None:
    before, _ = read_seconds(database)
    with pytest.raises(DBAPIError), database.reading() as session:
        session.execute(text("SELECT 1 FROM nowhere"))
    count, seconds = read_seconds(database)
    assert count > before
    with ThreadPoolExecutor(1) as pool:
        with database.writing() as session:
            session.execute(update(Workspace).values(name=Workspace.name))
            waiting = pool.submit(change_workspaces, database)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
        waiting.result(timeout=120)
    assert read_seconds(database)[1] - seconds > 0.25


def change_workspaces(database: Database) -> None:
    with database.writing() as session:
        session.execute(update(Workspace).values(name=Workspace.name))


def fail_after_writing(database: Database) -> None:
    with database.writing() as session:
        session.add(ApiToken(user_id=1, workspace_id=1, name="x", token_hash="x"))
        session.flush()
        raise RuntimeError


def test_failed_transaction_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError):
        fail_after_writing(database)
    with database.reading() as session:
        assert session.scalar(select(ApiToken).where(ApiToken.name == "x")) is None


def test_runs_accepted_at_the_same_time_under_one_key_are_one(database: Database, tmp_path: Path) -> None:
    made = make_report(database, CIPHER, tmp_path, a=parameter(1))
    barrier, ids, results = threading.Barrier(8), [], ResultStore(tmp_path)

    def accept() -> None:
        barrier.wait()
        run = accept_run(database, results, made.id, {"a": "\x00é"}, origin="webhook", idempotency_key="k")
        ids.append(run.id)

    threads = [threading.Thread(target=accept) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1
    with pytest.raises(PushMetricsConflictError):
        accept_run(database, results, made.id, {}, origin="webhook", idempotency_key="k")
    with database.reading() as session:
        run = session.scalars(select(Run)).one()
        assert run.parameters == {"a": "\x00é"}
        assert run.created_on.utcoffset() is not None


def test_run_goes_from_the_trigger_to_the_event(database_url: str | None, tmp_path: Path) -> None:
    with (
        run_parts(tmp_path, database_url=database_url, allow_private_endpoints=True) as parts,
        listen() as subscriber,
    ):
        made = make_report(parts.database, parts.cipher, tmp_path, q=sql("SELECT {{ v }} AS v"))
        add_subscription(parts.database, parts.cipher, subscriber.url, "report.run")
        run = accept_run(parts.database, parts.results, made.id, {"v": [1, None]}, origin="webhook")
        assert subscriber.wait_for_run("report.run", run.id).event["report_id"] == made.id
        with parts.database.reading() as session:
            ended = session.get_one(Run, run.id)
            assert ended.status == "success"
            assert parts.results.read_rows(str(ended.results[0].result_file)) == [{"v": [1, None]}]
