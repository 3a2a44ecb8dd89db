"""``pushmetrics dag``: write a Dag from a report, and compare Dags with their reports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_pushmetrics.commands.connections import UrlOption, open_hook
from airflow_provider_pushmetrics.commands.output import keep_output_clean
from airflow_provider_pushmetrics.exceptions import PushMetricsError, PushMetricsParameterError

if TYPE_CHECKING:
    from airflow_provider_pushmetrics.commands.dag_files.reports import ReportFacts
    from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook

SAME, DIFFERENT, UNCHECKED = 0, 1, 2

app = typer.Typer(
    name="dag",
    help="Write a Dag from a report, and compare Dags with their reports.",
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,
    no_args_is_help=True,
)


@app.command()
def new(
    report: Annotated[str, typer.Argument(help="The id of the report, as in its webhook URL.")],
    output: Annotated[Path | None, typer.Option(help="The file to write, instead of the output.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    conn_id: Annotated[
        str, typer.Option(help="The connection of the Dag, and of this command without --url.")
    ] = "pushmetrics_default",
    url: UrlOption = None,
    dag_id: Annotated[str | None, typer.Option(help="The id of the Dag.")] = None,
    results: Annotated[
        str | None, typer.Option(help="The folder for the results: a path, or a URL such as s3://bucket/x.")
    ] = None,
    airflow: Annotated[
        str | None,
        typer.Option(help="The oldest Airflow that runs the Dag, such as 3.1; by default the installed one."),
    ] = None,
) -> None:
    """Write a Dag that runs a report, with its parameters, and saves its results."""
    with keep_output_clean(), _exit_with_error():
        from airflow_provider_pushmetrics.commands.dag_files import writing
        from airflow_provider_pushmetrics.commands.dag_files.reports import fetch_facts

        options = writing.DagOptions(conn_id, dag_id, results, _has_retry_policy(airflow))
        writing.check_options(options)
        if output is not None and output.exists() and not force:
            raise PushMetricsParameterError(f"{str(output)!r} exists: overwrite it with --force.")
        hook = open_hook(conn_id, url)
        facts = hook.call(fetch_facts(hook.credentials, report))
        source = writing.write_dag(facts, options)
        notes = [*writing.list_notes(facts), *_list_missing_token(hook, facts, url)]
    for note in notes:
        typer.echo(f"Note: {note}.", err=True)
    with _exit_with_error():
        _write(source, output)


@contextmanager
def _exit_with_error() -> Iterator[None]:
    try:
        yield
    except PushMetricsError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(UNCHECKED) from None


def _has_retry_policy(version: str | None) -> bool:
    from airflow_provider_pushmetrics.compat import has_airflow

    if version is None:
        return has_airflow("3.3")
    try:
        return has_airflow("3.3", version=version)
    except ValueError:
        raise PushMetricsParameterError(f"--airflow is {version!r}: it must be such as 3.1.") from None


def _list_missing_token(hook: PushMetricsHook, facts: ReportFacts, url: str | None) -> list[str]:
    if url is not None or str(facts.id) in hook.settings.trigger_tokens:
        return []
    return [
        f"connection {hook.pushmetrics_conn_id!r} has no trigger token for report {str(facts.id)!r}:"
        " add it to the extra 'trigger_tokens' before the Dag runs"
    ]


def _write(source: str, output: Path | None) -> None:
    if output is None:
        typer.echo(source, nl=False)
        return
    temporary = output.with_name(f".{output.name}.{os.getpid()}")  # no scheduler reads half a file
    try:
        temporary.write_text(source, "utf-8")
        temporary.replace(output)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise PushMetricsParameterError(f"{str(output)!r} cannot be written: {error.strerror}.") from None
    typer.echo(f"Wrote {output}.", err=True)


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Dag files, or folders of them.")],
    conn_id: Annotated[
        str | None, typer.Option(help="The connection, instead of the one of each task.")
    ] = None,
    url: UrlOption = None,
) -> None:
    """
    Say where Dags and their reports differ.

    Exit code 0: they are the same. 1: they differ. 2: something could not be checked.
    """
    with keep_output_clean(), _exit_with_error():
        from airflow_provider_pushmetrics.commands.dag_files.checking import check_dags

        outcome = check_dags(paths, conn_id, url)
    for line in outcome.differences:
        typer.echo(f"DIFFERS   {line}")
    for line in outcome.unchecked:
        typer.echo(f"UNCHECKED {line}")
    typer.echo(
        f"{outcome.tasks} tasks: {len(outcome.differences)} differences, {len(outcome.unchecked)} unchecked."
    )
    if outcome.differences:
        raise typer.Exit(DIFFERENT)
    if outcome.unchecked:
        raise typer.Exit(UNCHECKED)
