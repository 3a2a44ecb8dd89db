"""Rows that refer to a deleted row are found by an index: scans of large tables would hold up deletions."""

from __future__ import annotations

from sqlalchemy import Table, UniqueConstraint

from airflow_provider_pushmetrics.service.models import Base, User


def list_led(table: Table) -> set[str]:
    """List the columns with which an index of all rows begins."""
    indexes = [one.columns for one in table.indexes if one.dialect_options["postgresql"]["where"] is None]
    constraints = [one.columns for one in table.constraints if isinstance(one, UniqueConstraint)]
    return {next(iter(columns)).name for columns in (*indexes, *constraints)}


def test_every_foreign_key_to_rows_that_are_deleted_has_an_index() -> None:
    never_deleted = {User.__tablename__}
    lacking = [
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        for key in column.foreign_keys
        if key.column.table.name not in never_deleted and column.name not in list_led(table)
    ]
    assert lacking == []
