"""The parts that need Airflow: the connection, and the event filters of Dags."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_provider_pushmetrics.commands.connections import open_hook
from airflow_provider_pushmetrics.commands.dag_files.checking import get_error_line, read_in_process
from airflow_provider_pushmetrics.commands.dag_files.reading import (
    add_import_folders,
    find_dags_folder,
    find_import_folder,
)
from airflow_provider_pushmetrics.commands.doctor.environment import check_event_filters
from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.hooks.connection_check import Finding, Status, list_findings


def check_connection_parts(conn_id: str) -> Iterator[Finding]:
    """Test a connection, as the connection test does."""
    try:
        hook = open_hook(conn_id, None)
        yield Finding("connection", Status.OK, f"connection {conn_id!r} can be read")
        yield from list_findings(hook)
    except PushMetricsError as error:
        yield Finding("connection", Status.FAILED, str(error))


def check_filters_of_dags(dags: Path | None, event_filters: list[str]) -> Iterator[Finding]:
    """
    Import the event filters of Dags.

    :param dags: A file or a folder; None for the Dags folder of the configuration.
    :param event_filters: More event filters.
    """
    configured = find_dags_folder()
    name = str(dags or configured or "")
    found: dict[str, Any] = {"errors": {}, "tasks": []}
    unknown = _find_obstacle(name)
    if unknown is None:
        add_import_folders(name)
        try:
            found = read_in_process([Path(name)])
        except PushMetricsError as error:
            yield Finding("Dags", Status.FAILED, str(error))
            unknown = "the Dags could not be read"
    for file, text in found["errors"].items():
        yield Finding("Dags", Status.FAILED, f"{file}: {get_error_line(text)}", "Mend the import error.")
        unknown = "some Dags cannot be imported"
    if any("event_filter" in task["unknown"] for task in found["tasks"]):
        unknown = unknown or "some are known only in a run"
    named = [task["event_filter"] for task in found["tasks"] if task["event_filter"]]
    paths = [*event_filters, *named]
    if unknown is not None:
        way_out = "Name each event filter with --event-filter."
        yield Finding("event filter", Status.WARNING, f"those of the Dags are not known: {unknown}", way_out)
    elif not paths:
        yield Finding("event filter", Status.OK, f"no Dag in {name} has one")
    folders = [] if configured is None else [configured]
    yield from check_event_filters(paths, [*folders, find_import_folder(Path(name))] if name else folders)


def _find_obstacle(name: str) -> str | None:
    """Find why a Dags folder cannot be read; None if it can."""
    path = Path(name)
    if not name or not path.exists():
        return f"there is no Dags folder {name!r}"
    needed = os.R_OK | os.X_OK if path.is_dir() else os.R_OK
    return None if os.access(path, needed) else f"{name!r} cannot be read"
