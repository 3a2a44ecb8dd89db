"""
The mark of a place of results: which installation they belong to.

Two databases give runs the same ids. So each would delete results of the other one if both had one place.
"""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Sequence

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.models import Installation
from airflow_provider_pushmetrics.service.results.files.base import OWNERS
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.ids import generate_uid

DELETE = "DELETE FROM installation"
ADD = "INSERT INTO installation (id, uid) VALUES (1, :uid) ON CONFLICT DO NOTHING"
FIND = select(Installation.uid)


def find_installation(database: Database) -> str:
    """Find the uid of the installation; its first process gives it one."""
    with database.reading() as session:
        found = session.scalar(FIND)
    if found is not None:
        return found
    with database.writing() as session:
        session.execute(text(ADD), {"uid": generate_uid()})  # another process may be first
        return session.execute(FIND).scalar_one()


def set_in_postgresql(session: Session, uid: str) -> None:
    """Give a restored database another uid than that of its backup."""
    session.execute(text(DELETE))
    session.execute(text(ADD), {"uid": uid})


def set_in_sqlite(connection: sqlite3.Connection, uid: str) -> None:
    """Give a restored file another uid than that of its backup."""
    connection.execute(DELETE)
    connection.execute(ADD, {"uid": uid})


def claim_results(results: ResultStore, installation: str) -> None:
    """
    Mark a place of results as that of an installation, unless it is marked so. One without a mark is taken.

    Each installation writes a mark of its own, and looks for others afterwards: of two that do so at the same
    time at least one sees the other. So no storage has to refuse to replace a file.

    :raises PushMetricsConfigurationError: if another installation has marked it.
    :raises ObjectStoreError: if the object storage does not answer.
    """
    owners = results.list_owners()
    if owners == [installation]:
        return
    _require_alone(results, installation, owners)
    results.add_owner(installation, f"since {get_now():%Y-%m-%d %H:%M:%S} UTC, by {socket.gethostname()}")
    try:
        _require_alone(results, installation, results.list_owners())
    except PushMetricsConfigurationError:
        results.delete_owner(installation)
        raise


def _require_alone(results: ResultStore, installation: str, owners: Sequence[str]) -> None:
    others = [owner for owner in owners if owner != installation]
    if others:
        mark = f"{OWNERS}/{others[0]}"
        raise PushMetricsConfigurationError(
            f"{results} has the results of another installation of the service, with another database: it has"
            f" the file {mark!r} ({results.read_owner(others[0])}). Two of them would delete results of each"
            " other. Choose another place with --results-url or PUSHMETRICS_SERVICE_RESULTS_URL, or with"
            " --data. If no service or restore uses that database any more, delete this file."
        )
