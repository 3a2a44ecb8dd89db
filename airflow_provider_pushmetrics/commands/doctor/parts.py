"""The parts that need Airflow: the connection, and the event filters of Dags."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_provider_pushmetrics.commands.connections import open_hook
from airflow_provider_pushmetrics.commands.dag_files.checking import get_last_line, read_in_process
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
    from airflow.providers.common.compat.sdk import conf

    folder = dags or Path(str(conf.get("core", "dags_folder", fallback="")))
    found: dict[str, Any] = {"errors": {}, "tasks": []}
    if folder.exists():
        try:
            found = read_in_process([folder])
        except PushMetricsError as error:
            yield Finding("Dags", Status.FAILED, str(error))
    for file, text in found["errors"].items():
        yield Finding("Dags", Status.FAILED, f"{file}: {get_last_line(text)}", "Mend the import error.")
    named = [task["event_filter"] for task in found["tasks"] if task["event_filter"]]
    paths = [*event_filters, *named]
    if not paths:
        yield Finding("event filter", Status.OK, f"no Dag in {folder} has one")
    yield from check_event_filters(paths, folder.resolve())
