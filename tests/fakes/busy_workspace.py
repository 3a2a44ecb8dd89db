"""A workspace with many reports that have run, written to the database as the service itself keeps them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from airflow_provider_pushmetrics.service.accounts.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.models import Report, Run, User, Workspace
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from tests.fakes.service_process import API_TOKEN

STATES = ("success", "success", "failed", "success", "cancelled")


def fill_workspace(data_dir: Path, *, reports: int, folders: int, runs: int) -> None:
    """
    Make the data folder of a service that has not been started yet.

    :param folders: In how many folders the reports are, each third one in another.
    :param runs: The number of runs of each report.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(f"sqlite:///{data_dir}/service.db")
    database.migrate()
    bootstrap(database, data_dir, API_TOKEN)
    now = get_now()
    with database.writing() as session:
        workspace_id = session.scalars(select(Workspace.id)).one()
        owners = [User(email=f"person.{number}@example.com") for number in range(8)]
        session.add_all(owners)
        session.flush()
        for number in range(reports):
            report = Report(
                workspace_id=workspace_id,
                name=f"Report {number:03} of the deliveries by region",
                description=f"How the orders of week {number} came to their customers, by carrier.",
                type="notebook" if number % 4 == 0 else "report",
                folder=name_folder(number % folders),
                owner_id=owners[number % len(owners)].id,
                updated_on=now - timedelta(minutes=reports - number),
            )
            session.add(report)
            session.flush()
            for place in range(runs):
                begin = now - timedelta(hours=runs - place, seconds=number)
                session.add(
                    Run(
                        workspace_id=workspace_id,
                        report_id=report.id,
                        status=STATES[(number + place) % len(STATES)],
                        origin="schedule",
                        given_parameters={},
                        parameters={},
                        created_on=begin,
                        started_on=begin,
                        finished_on=begin + timedelta(seconds=3 + (number * place) % 60),
                    )
                )
    database.close()


def name_folder(number: int) -> str:
    """Name one of the folders; two of three are in another one."""
    return f"Team {number // 3}" if number % 3 == 0 else f"Team {number // 3}/Topic {number}"
