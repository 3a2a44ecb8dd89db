"""The ids that a Dag names: kept free, and given to a report."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import text

from airflow_provider_pushmetrics.exceptions import PushMetricsTestingError
from airflow_provider_pushmetrics.service.storage.database import Database

LAST_CHOSEN_ID = 1_000_000
"""The ids up to this one are for reports and queries that a Dag names."""


def keep_ids_free(database: Database) -> None:
    """Let the service give other ids than those that Dags name, however many tests ran before."""
    with database.writing() as session:
        for name in ("report", "query"):
            session.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": name})
            values = {"name": name, "last": LAST_CHOSEN_ID}
            session.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), values)


def change_ids(database: Database, report_id: int, new_report_id: int, query_ids: Mapping[int, int]) -> None:
    """
    Change the ids of a report that has neither runs nor triggers yet.

    :param query_ids: The new ids of its queries by the present ones.
    :raises PushMetricsTestingError: if a query of another report has one of the ids.
    """
    ids = {"old": report_id, "new": new_report_id}
    with database.writing() as session:
        session.execute(text("PRAGMA defer_foreign_keys = ON"))  # until the end of the transaction
        if new_report_id != report_id:
            session.execute(text("UPDATE report SET id = :new WHERE id = :old"), ids)
            for table in ("block", "query"):
                session.execute(text(f"UPDATE {table} SET report_id = :new WHERE report_id = :old"), ids)  # noqa: S608 (the names are our own)
        for old, new in query_ids.items():
            if old == new:
                continue
            if session.execute(text("SELECT 1 FROM query WHERE id = :new"), {"new": new}).first():
                raise PushMetricsTestingError(
                    f"the query id {new} is in use by another report of this test session: choose another."
                )
            session.execute(text("UPDATE query SET id = :new WHERE id = :old"), {"old": old, "new": new})
