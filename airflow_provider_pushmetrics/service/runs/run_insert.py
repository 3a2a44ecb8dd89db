"""
Inserting many runs by one statement.

Its only parameter is a JSON text. A parameter for each value takes ten times as long.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    Executable,
    Integer,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import Run
from airflow_provider_pushmetrics.service.models.base import get_table
from airflow_provider_pushmetrics.service.storage.database import execute_core, replace_unstorable

JSON_COLUMNS = ("given_parameters", "parameters", "options")
"""Written as texts, so that they are stored as they are."""

RUN_COLUMNS = {
    "uid": Text,
    "workspace_id": Integer,
    "report_id": Integer,
    "origin": Text,
    "idempotency_key": Text,
    "flow_run_id": Text,
    "webhook_id": Integer,
    "traceparent": Text,
    "started_by": Text,
    **dict.fromkeys(JSON_COLUMNS, Text),
}


def insert_runs(session: Session, runs: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """
    Insert runs, all or none, and return their ids by their uids.

    :param runs: The values of the columns ``RUN_COLUMNS``. The others have their defaults.
    """
    rows = json.dumps([_write_row(run) for run in runs])
    inserted = execute_core(session, _build_insert(session.get_bind().dialect.name), {"rows": rows})
    return {row.uid: row.id for row in inserted}


def _write_row(run: Mapping[str, Any]) -> Mapping[str, str | int | None]:
    row = {name: replace_unstorable(run[name]) for name in RUN_COLUMNS if name not in JSON_COLUMNS}
    return row | {name: None if run[name] is None else json.dumps(run[name]) for name in JSON_COLUMNS}


@cache
def _build_insert(dialect: str) -> Executable:
    rows = bindparam("rows", type_=Text)
    given: Any
    values: Any
    if dialect == "postgresql":
        columns: list[Any] = [column(name, kind) for name, kind in RUN_COLUMNS.items()]
        given = func.json_to_recordset(cast(rows, JSON)).table_valued(*columns)
        given = given.render_derived(name="given", with_types=True)
        values = [
            cast(given.c[name], JSON) if name in JSON_COLUMNS else given.c[name] for name in RUN_COLUMNS
        ]
    else:
        given = func.json_each(rows).table_valued("value", name="given")
        values = [func.json_extract(given.c.value, literal_column(f"'$.{name}'")) for name in RUN_COLUMNS]
    table = get_table(Run)
    return insert(table).from_select(list(RUN_COLUMNS), select(*values)).returning(table.c.id, table.c.uid)
