"""``pushmetrics doctor``: say what is wrong with an installation, and the way out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_pushmetrics.commands.output import keep_output_clean

if TYPE_CHECKING:
    from airflow_provider_pushmetrics.hooks.connection_check import Finding

PART_WIDTH = 16


def doctor(
    conn_id: Annotated[str, typer.Option(help="The connection to test.")] = "pushmetrics_default",
    dags: Annotated[
        Path | None, typer.Option(exists=True, help="The Dags whose event filters are imported.")
    ] = None,
    event_filter: Annotated[
        list[str] | None, typer.Option(help="An event filter to import; may be given several times.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """
    Say what is wrong with this installation, and the way out.

    It looks at the environment that it runs in: run it in the worker's and in the triggerer's too.
    Exit code 0: nothing failed. 1: something failed.
    """
    with keep_output_clean():
        from airflow_provider_pushmetrics.commands.doctor.environment import (
            OTHER_ENVIRONMENTS,
            describe_environment,
        )

        findings = list(examine(conn_id, dags, event_filter or []))
        where = describe_environment()
    if as_json:
        rows = [
            {
                "part": finding.part,
                "status": finding.status.value,
                "text": finding.text,
                "way_out": finding.way_out,
                "seconds": None if finding.seconds is None else round(finding.seconds, 3),
            }
            for finding in findings
        ]
        answer = {"environment": where, "findings": rows, "note": OTHER_ENVIRONMENTS}
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"Environment: {where}")
        for finding in findings:
            typer.echo("\n".join(write_lines(finding)))
        typer.echo(OTHER_ENVIRONMENTS)
    if not all(finding.works for finding in findings):
        raise typer.Exit(1)


def write_lines(finding: Finding) -> Iterator[str]:
    """Write a row of the table, and below it what to do."""
    took = "" if finding.seconds is None else f" ({finding.seconds * 1000:.0f} ms)"
    is_told = len(finding.part) > PART_WIDTH and finding.text.startswith(finding.part)
    part = "" if is_told else f"{finding.part:{PART_WIDTH}} "
    yield f"{finding.status.value:8} {part}{finding.text}{took}"
    if finding.way_out:
        yield f"{'':25} -> {finding.way_out}"


def examine(conn_id: str, dags: Path | None, event_filters: list[str]) -> Iterator[Finding]:
    """Examine one part after the other; nothing that needs Airflow, if it cannot be imported."""
    from airflow_provider_pushmetrics.commands.doctor.configuration import check_configuration
    from airflow_provider_pushmetrics.commands.doctor.environment import check_versions

    yield from check_versions()
    configuration = check_configuration(os.environ)
    yield from configuration
    if not all(finding.works for finding in configuration):
        return
    from airflow_provider_pushmetrics.commands.doctor.parts import (
        check_connection_parts,
        check_filters_of_dags,
    )
    from airflow_provider_pushmetrics.commands.doctor.scheduling import check_events, check_scheduler

    yield from check_connection_parts(conn_id)
    yield from check_filters_of_dags(dags, event_filters)
    yield check_scheduler()
    yield check_events()
