"""Work whose workflow has ended without it: nobody has to start anything anew for it to be found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from airflow_provider_pushmetrics.service.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.encryption import Vault
from airflow_provider_pushmetrics.service.events import put_in_outbox
from airflow_provider_pushmetrics.service.models import AnyRun, Delivery, Run, Subscription
from airflow_provider_pushmetrics.service.salvage import BATCH, Salvage
from tests.fakes.service_process import API_TOKEN
from tests.fakes.service_reports import make_report, sql


@pytest.fixture
def database(url: str, tmp_path: Path) -> Iterator[Database]:
    database = Database(url)
    database.migrate()
    bootstrap(database, tmp_path, API_TOKEN)
    yield database
    database.close()


class Workflows:
    """The workflows of a database, of which some are broken."""

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)
        self.asked: list[int] = []
        self.abandoned: list[int] = []

    def list_broken(self, workflow_ids: list[str]) -> list[str]:
        self.asked.append(len(workflow_ids))
        return [one for one in workflow_ids if one in self.broken]

    def abandon(self, kind: type[AnyRun], run_id: int) -> None:
        assert kind is Run
        self.abandoned.append(run_id)


def put_runs(database: Database, folder: Path, count: int, *, is_enqueued: bool = True) -> list[int]:
    made = make_report(database, Vault("k" * 32), folder, q=sql("SELECT 1 AS n"))
    with database.writing() as session:
        runs = [
            Run(
                workspace_id=1,
                report_id=made.id,
                origin="api",
                given_parameters={},
                parameters={},
                is_enqueued=is_enqueued,
            )
            for _ in range(count)
        ]
        session.add_all(runs)
        session.flush()
        return [run.id for run in runs]


def put_delivery(database: Database) -> Delivery:
    with database.writing() as session:
        session.add(
            Subscription(
                workspace_id=1, name="s", url="http://s.test", events=["report.run"], secret_encrypted="x"
            )
        )
        session.flush()
        put_in_outbox(session, 1, {"event": "report.run", "report_id": 1})
        delivery = session.scalars(select(Delivery)).one()
        delivery.attempt_count, delivery.enqueued_attempt = 2, 3
        return delivery


def test_run_whose_workflow_failed_is_ended(database: Database, tmp_path: Path) -> None:
    well, broken, other = put_runs(database, tmp_path, 3)
    workflows = Workflows(f"run-{broken}", f"query-run-{well}")
    Salvage(database, workflows.list_broken, workflows.abandon).salvage()
    assert workflows.abandoned == [broken]
    assert other not in workflows.abandoned


def test_many_runs_are_asked_for_in_parts_and_new_ones_not_at_all(database: Database, tmp_path: Path) -> None:
    ids = put_runs(database, tmp_path, BATCH + 1)
    put_runs(database, tmp_path, 1, is_enqueued=False)
    workflows = Workflows(f"run-{ids[-1]}")
    Salvage(database, workflows.list_broken, workflows.abandon).salvage()
    assert workflows.asked == [BATCH, 1]
    assert workflows.abandoned == [ids[-1]]


def test_delivery_whose_workflow_failed_is_enqueued_again(database: Database) -> None:
    before = put_delivery(database)
    workflows = Workflows(f"delivery-{before.id}-0-3")
    salvage = Salvage(database, workflows.list_broken, workflows.abandon)
    for _ in range(2):
        salvage.salvage()
        with database.reading() as session:
            now = session.get_one(Delivery, before.id)
        assert (now.generation, now.enqueued_attempt, now.attempt_count) == (1, 2, 2)
