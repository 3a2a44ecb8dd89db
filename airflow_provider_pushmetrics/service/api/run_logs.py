"""The logs of runs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.listing import (
    Listing,
    match_integer,
    match_text,
    parse_list_query,
)
from airflow_provider_pushmetrics.service.api.conventions.lookup import select_in_workspace
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_list
from airflow_provider_pushmetrics.service.models import RunLogEntry
from airflow_provider_pushmetrics.service.storage.clock import format_moment

router = APIRouter(prefix="/api/v1/noteflow_run_log", tags=["run"])

LISTING = Listing(
    order=RunLogEntry.id,
    columns={"id": RunLogEntry.id, "created_on": RunLogEntry.created_on},
    conditions={
        ("noteflow_run_id", "frid_eq"): match_integer(RunLogEntry.run_id, "noteflow_run_id"),
        ("noteflow_run_id", "eq"): match_integer(RunLogEntry.run_id, "noteflow_run_id"),
        ("flow_run_id", "frid_eq"): match_text(RunLogEntry.flow_run_id),
        ("flow_run_id", "eq"): match_text(RunLogEntry.flow_run_id),
        ("id", "gt"): match_integer(RunLogEntry.id, "id", above=True),
    },
    default_page_size=1000,
    max_page_size=5000,
)


@router.get("/")
def list_log(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List the lines of the log, the oldest first; a filter chooses the run."""
    with parts.database.reading() as session:
        rows = select_in_workspace(RunLogEntry, caller)
        count, page = LISTING.fetch(session, rows, parse_list_query(q))
        return build_list(count, [_build_row(entry) for entry in page])


def _build_row(entry: RunLogEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "uid": entry.uid,
        "created_on": format_moment(entry.created_on),
        "message": entry.message,
        "flow_run_id": entry.flow_run_id,
        "noteflow_run_id": entry.run_id,
        "task_run_id": entry.task_run_id,
        "effective_level": entry.level,
    }
