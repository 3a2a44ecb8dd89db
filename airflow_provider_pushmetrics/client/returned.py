"""The JSON that tasks and triggers hand on, by name and type."""

from __future__ import annotations

from typing import Any, TypedDict


class QueryResult(TypedDict):
    """A query of a run, and where its result is."""

    query_id: int
    query_name: str | None
    query_result: str
    status: str | None
    row_count: int | None
    is_truncated: bool | None
    row_limit: int | None


class RunResult(TypedDict):
    """What a task returns that ran a report."""

    report_id: str
    run_id: int | None
    status: str | None
    outputs_url: str | None
    queries: list[QueryResult]


class FoundEvent(TypedDict):
    """What a sensor returns and a watcher fires: an event of the inbox."""

    id: int
    source: str | None
    received_at: str | None
    body: dict[str, Any]


class SavedResult(TypedDict):
    """What a transfer returns for each file."""

    query_name: str | None
    path: str
    rows: int | None
    bytes: int
    sha256: str
    is_truncated: bool | None
    row_limit: int | None
