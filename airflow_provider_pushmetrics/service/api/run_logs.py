"""The logs of runs."""

from __future__ import annotations

from airflow_provider_pushmetrics.service.api.conventions.listing import Listing, match_integer, match_text
from airflow_provider_pushmetrics.service.api.conventions.resources import Resource, rows_of
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_answer
from airflow_provider_pushmetrics.service.api.schemas.runs import RunLogList, RunLogRow
from airflow_provider_pushmetrics.service.models import RunLogEntry

router = make_router("/api/v1/noteflow_run_log", "run")

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


def build_log_row(entry: RunLogEntry) -> RunLogRow:
    """Build what lists show of a line of a log."""
    return build_answer(RunLogRow, entry, noteflow_run_id=entry.run_id, effective_level=entry.level)


Resource(
    name="run log",
    plural="run logs",
    rows=rows_of(RunLogEntry),
    listing=LISTING,
    build_row=lambda entry, _: build_log_row(entry),
    list_schema=RunLogList,
).add_list(router)
