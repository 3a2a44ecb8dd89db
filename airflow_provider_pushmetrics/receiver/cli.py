"""
``pushmetrics receiver``: the receiver as a process of its own, and commands for its inbox.

Imports little: every ``pushmetrics`` command imports this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError, PushMetricsError
from airflow_provider_pushmetrics.receiver.settings import (
    ArchiveOptions,
    InboxOptions,
    StandaloneOptions,
    build_settings,
)
from airflow_provider_pushmetrics.receiver.sources import build_first_source, parse_sources
from airflow_provider_pushmetrics.serving.options import describe_option, take_options

if TYPE_CHECKING:
    from rich.console import Console

    from airflow_provider_pushmetrics.event_matching import EventFilter
    from airflow_provider_pushmetrics.receiver.inbox.store import Inbox

app = typer.Typer(
    name="receiver",
    help="Accept PushMetrics webhooks, store them, and serve them to readers.",
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,
)

DEFAULT_INBOX = InboxOptions.inbox
InboxOption = Annotated[str, describe_option(InboxOptions, "inbox")]
TextFilter = Annotated[str | None, typer.Option(help="Only events with this value.")]
IdFilter = Annotated[int | None, typer.Option(min=0, help="Only events with this value.")]
After = Annotated[int, typer.Option(min=0, help="Begin after this event id.")]


@app.callback(invoke_without_command=True)
@take_options(StandaloneOptions)
def receiver(options: StandaloneOptions) -> None:
    """Accept PushMetrics webhooks, store them, and serve them to readers, until stopped."""
    with _print_errors():
        sources = build_first_source(options) + parse_sources(options.sources)
        settings = build_settings(options, sources)
        from airflow_provider_pushmetrics.receiver.server import serve

        serve(settings, options)


@app.command()
@take_options(InboxOptions, without=("keep_days", "listen_database_url"))
def migrate(options: InboxOptions) -> None:
    """Create the inbox, or migrate it to this version's schema."""
    with _open_inbox(options.inbox, may_make=True) as opened:
        typer.echo(f"The inbox is up to date; its newest event is {opened.fetch_last_id()}.")


@app.command()
def events(
    inbox: InboxOption = DEFAULT_INBOX,
    after: After = 0,
    event: TextFilter = None,
    source: TextFilter = None,
    report_id: IdFilter = None,
    query_id: IdFilter = None,
    run_id: IdFilter = None,
    export: Annotated[
        bool, typer.Option("--export", help="Write one JSON object a line, bodies included.")
    ] = False,
    rejected: Annotated[bool, typer.Option("--rejected", help="Show rejected webhooks instead.")] = False,
) -> None:
    """Show the events of the inbox, or export them."""
    from airflow_provider_pushmetrics.receiver import commands

    wanted = _build_filter(source, event, report_id, query_id, run_id)
    with _open_inbox(inbox) as opened:
        if rejected:
            commands.list_rejections(opened, _build_console(), limit=1000)
        elif export:
            commands.export(opened, wanted, after=after, write=typer.echo)
        else:
            commands.print_table(opened, wanted, after=after, console=_build_console())


@app.command()
def tail(
    inbox: InboxOption = DEFAULT_INBOX,
    event: TextFilter = None,
    source: TextFilter = None,
    report_id: IdFilter = None,
    query_id: IdFilter = None,
    run_id: IdFilter = None,
) -> None:
    """Print events as they arrive, one JSON object a line, until stopped."""
    from airflow_provider_pushmetrics.receiver import commands

    wanted = _build_filter(source, event, report_id, query_id, run_id)
    with _open_inbox(inbox) as opened:
        typer.echo("Waiting for events; Ctrl-C ends it.", err=True)
        try:
            commands.follow(opened, wanted, write=typer.echo, should_stop=lambda: False)
        except KeyboardInterrupt:
            return


@app.command()
def replay(
    ids: Annotated[str, typer.Argument(help="An event id, or a range such as 17-30.")],
    inbox: InboxOption = DEFAULT_INBOX,
    event: TextFilter = None,
    source: TextFilter = None,
) -> None:
    """Append events again, so that readers receive them again."""
    from airflow_provider_pushmetrics.receiver import commands

    with _open_inbox(inbox) as opened:
        new_ids = commands.replay(
            opened, commands.parse_range(ids), _build_filter(source, event, None, None, None)
        )
    if not new_ids:
        typer.echo(
            f"Error: no such event ({ids}): `pushmetrics receiver events` lists what there is.", err=True
        )
        raise typer.Exit(1)
    typer.echo(f"Replayed {len(new_ids)} events as {new_ids[0]} to {new_ids[-1]}.")


@app.command()
@take_options(InboxOptions, without=("listen_database_url",))
def clean(options: InboxOptions) -> None:
    """Delete old events."""
    from airflow_provider_pushmetrics.receiver import commands

    with _open_inbox(options.inbox) as opened:
        deleted = commands.clean_now(opened, options.keep_days)
        typer.echo(f"Deleted {deleted} events; {opened.count_events()} are left.")


@app.command()
@take_options(ArchiveOptions, without=("keep_days",), argument="The file to write; it must not exist yet.")
def backup(options: ArchiveOptions, archive: str) -> None:
    """Write the inbox to one file, while receivers use it."""
    with _print_errors():
        from airflow_provider_pushmetrics.receiver.backup import back_up
        from airflow_provider_pushmetrics.receiver.inbox.database import describe_place

        place = describe_place(_require_inbox(options))
        last_id = back_up(options.inbox, Path(archive), options.listen_database_url)
    typer.echo(f"Wrote the inbox {place} to {archive}; its newest event is {last_id}.")


@app.command()
@take_options(ArchiveOptions, without=("keep_days",), argument="The file that backup wrote.")
def restore(options: ArchiveOptions, archive: str) -> None:
    """Restore a backup to a new file, or to a PostgreSQL database without an inbox."""
    with _print_errors():
        from airflow_provider_pushmetrics.receiver.backup import restore
        from airflow_provider_pushmetrics.receiver.inbox.database import describe_place

        place = describe_place(_require_inbox(options))
        restored = restore(options.inbox, Path(archive), options.listen_database_url)
    typer.echo(
        f"Restored the inbox to {place}. The ids of new events follow {restored.next_id}, so that readers"
        " whose cursor is newer than the backup miss none. Events that came after the backup,"
        f" {restored.created_on}, are not in it: let their sender send them again, although it has recorded"
        " them as accepted."
    )


@app.command()
def send(
    url: Annotated[
        str, typer.Argument(help="The URL to send it to: http://127.0.0.1:8091/webhooks/pushmetrics")
    ],
    token: Annotated[str | None, describe_option(StandaloneOptions, "token")] = None,
    signing_secret: Annotated[str | None, describe_option(StandaloneOptions, "signing_secrets")] = None,
    file: Annotated[str | None, typer.Option(help="The event to send; by default a report.run.")] = None,
) -> None:
    """Send a test event, signed if a secret is given."""
    import uuid
    from datetime import UTC, datetime

    from airflow_provider_pushmetrics.receiver import commands

    with _print_errors():
        body = commands.read_body(file, datetime.now(UTC))
        answer = commands.send(
            url, token=token, signing_secret=signing_secret, body=body, message_id=f"msg_{uuid.uuid4().hex}"
        )
        typer.echo(answer)
    if not answer.startswith("2"):
        raise typer.Exit(1)


def _require_inbox(options: ArchiveOptions) -> str:
    if not options.inbox:
        raise PushMetricsConfigurationError(
            "no inbox is named: name the receiver's with --inbox or PUSHMETRICS_RECEIVER_INBOX. That of a"
            ' receiver in Airflow is "sqlite:///${AIRFLOW_HOME:-$HOME/airflow}/pushmetrics-inbox.db", unless'
            " option inbox of [pushmetrics] or the receiver's connection has another; that of 'pushmetrics"
            " receiver' is sqlite:///pushmetrics-inbox.db, unless it is named, in the folder where it was"
            " started."
        )
    return options.inbox


@contextmanager
def _print_errors() -> Iterator[None]:
    try:
        yield
    except PushMetricsError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


@contextmanager
def _open_inbox(url: str, *, may_make: bool = False) -> Iterator[Inbox]:
    from sqlalchemy.exc import SQLAlchemyError

    from airflow_provider_pushmetrics.receiver.inbox.database import describe_outage, find_missing_file
    from airflow_provider_pushmetrics.receiver.inbox.store import Inbox

    with _print_errors():
        missing = None if may_make else find_missing_file(url)
        if missing:
            raise PushMetricsConfigurationError(
                f"there is no inbox at {str(missing)!r}: name the receiver's with --inbox or"
                " PUSHMETRICS_RECEIVER_INBOX, or make one with 'pushmetrics receiver migrate'."
            )
        try:
            with closing(Inbox(url)) as opened:
                yield opened
        except SQLAlchemyError as error:
            raise describe_outage(error) from None


def _build_console() -> Console:
    """Build a console as wide as the terminal. Output to a file or a pipe is not wrapped at 80 columns."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=200)


def _build_filter(
    source: str | None, event: str | None, report_id: int | None, query_id: int | None, run_id: int | None
) -> EventFilter:
    from airflow_provider_pushmetrics.event_matching import EventFilter

    return EventFilter(event, report_id, query_id, run_id, source)
