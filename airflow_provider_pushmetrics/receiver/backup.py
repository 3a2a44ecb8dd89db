"""
Backups of an inbox, as it is at one moment, and restoring them.

Readers outside of the inbox have cursors that may be newer than a backup. If a restored inbox gave the same
ids to other events, those readers would skip them. So its next id is greater than every id that any inbox
before it can have given: the microseconds since 1970, which pass faster than an inbox assigns ids.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, Engine, create_engine, exists, inspect, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.inbox.database import (
    create_inbox_engine,
    describe_outage,
    find_missing_file,
    find_newest_schema,
    open_engine,
    read_schema,
)
from airflow_provider_pushmetrics.receiver.inbox.recording import LOCK_LAST_ID
from airflow_provider_pushmetrics.receiver.inbox.tables import PREFIX, consumers, events, rejections, state
from airflow_provider_pushmetrics.serving.backups.archive import Contents, extract_archive, write_archive
from airflow_provider_pushmetrics.serving.backups.postgresql_dump import (
    DUMP_NAME,
    choose_direct,
    dump_tables,
    load_tables,
    lock_restores,
    take_postgresql_snapshot,
)
from airflow_provider_pushmetrics.serving.backups.sqlite_copy import COPY_NAME, copy_sqlite
from airflow_provider_pushmetrics.serving.private_files import name_new_file, sync_folder
from airflow_provider_pushmetrics.serving.sqlite import DAMAGED, check_after_crash

INBOX_KIND = "receiver"
BESIDE = ("-wal", "-shm", "-journal", DAMAGED)
"""What the names of files end in that belong to an inbox on SQLite."""

STORED = (events, rejections, consumers)
DUMPED = tuple(table.name for table in STORED)
"""The row that assigns ids is not loaded, but written while it is locked: see above."""

INBOX_RESTORE_LOCK = 7_241_130_583_906_115
"""An arbitrary number: the PostgreSQL advisory lock under which one process at a time restores."""

SPARE_IDS = 10**12
"""How far the ids of an inbox go on if the clock is behind them."""


class ReceiverStartedError(PushMetricsConfigurationError):
    """A receiver has started meanwhile: its inbox is left alone."""


@dataclass(frozen=True)
class RestoredInbox:
    """
    What a restored inbox has, and what it has not.

    :param created_on: When the backup was made, in ISO 8601: later events are not in it.
    :param next_id: The id that the next event follows.
    """

    created_on: str
    next_id: int


def back_up(inbox_url: str, archive: Path, listen_url: str | None = None) -> int:
    """
    Write a backup, while receivers use the inbox.

    :param listen_url: The URL of the inbox without a pooler, if there is a pooler.
    :return: The newest event id in it.
    :raises PushMetricsConfigurationError: if there is no inbox, or the backup cannot be written.
    """
    with _open(inbox_url, listen_url) as engine:
        check_after_crash(engine)
        if find_missing_file(inbox_url) or not _list_own_tables(engine):
            raise PushMetricsConfigurationError(
                "there is no inbox: name the receiver's with --inbox or PUSHMETRICS_RECEIVER_INBOX."
            )
        _check_schema(read_schema(engine), __version__)
        if engine.dialect.name == "sqlite":
            return _back_up_sqlite(Path(str(engine.url.database)), archive)
        return _back_up_postgresql(engine, archive)


def restore(inbox_url: str, archive: Path, listen_url: str | None = None) -> RestoredInbox:
    """
    Restore a backup, with ids for its next events that no reader has seen.

    :param listen_url: The URL of the inbox without a pooler, if there is a pooler.
    :raises PushMetricsConfigurationError: if there is an inbox already, or the backup cannot be used.
    """
    with _open(inbox_url, listen_url) as engine:
        is_sqlite = engine.dialect.name == "sqlite"
        file = Path(str(engine.url.database)).absolute()
        # The file of SQLite appears at once, and replaces none.
        alone = nullcontext() if is_sqlite else lock_restores(engine, INBOX_RESTORE_LOCK)
        with alone, _stage(file.parent if is_sqlite else None) as staged:
            _refuse_existing(engine, file)
            manifest = extract_archive(archive, staged, INBOX_KIND, engine.dialect.name)
            _check_schema(manifest.contents.schema, manifest.version)
            if is_sqlite:
                next_id = _restore_sqlite(staged / COPY_NAME, file)
            else:
                last_id = manifest.contents.last_event_id or 0
                next_id = _restore_postgresql(listen_url or inbox_url, staged / DUMP_NAME, last_id)
            return RestoredInbox(manifest.contents.created_on, next_id)


def choose_next_id(last_id: int, now: datetime) -> int:
    """Choose the id that the next event follows: greater than every id that was given after a backup."""
    microseconds = int(now.timestamp() * 1_000_000)
    return microseconds if microseconds > last_id else last_id + SPARE_IDS


@contextmanager
def _stage(folder: Path | None) -> Iterator[Path]:
    """Make a folder for the files of the archive, and convert errors of the file system."""
    try:
        with TemporaryDirectory(dir=folder, prefix=".restore-") as name:
            yield Path(name)
    except OSError as error:
        raise PushMetricsConfigurationError(
            f"the inbox was not restored: {error}. Choose another place, or free some space."
        ) from None


def _back_up_sqlite(file: Path, archive: Path) -> int:
    with write_archive(archive, _describe("sqlite")) as writer, copy_sqlite(file, archive.parent) as copy:
        writer.add_path(COPY_NAME, copy)
        with closing(sqlite3.connect(copy)) as opened:
            ((last_id,),) = opened.execute(str(select(state.c.last_event_id))).fetchall()
            return int(last_id)


def _back_up_postgresql(engine: Engine, archive: Path) -> int:
    with take_postgresql_snapshot(engine) as (connection, snapshot):
        last_id: int = connection.execute(select(state.c.last_event_id)).scalar_one()
        with (
            write_archive(archive, _describe("postgresql", last_id)) as writer,
            TemporaryDirectory(dir=archive.parent, prefix=".backup-") as folder,
        ):
            dump = Path(folder) / DUMP_NAME
            dump_tables(engine, DUMPED, dump, snapshot=snapshot)
            writer.add_path(DUMP_NAME, dump)
    return last_id


def _describe(engine: str, last_id: int | None = None) -> Contents:
    return Contents(INBOX_KIND, engine, find_newest_schema(), datetime.now(UTC).isoformat(), last_id)


def _restore_sqlite(copy: Path, file: Path) -> int:
    engine = create_engine(f"sqlite:///{copy}")
    with engine.begin() as connection:
        last_id = connection.execute(select(state.c.last_event_id)).scalar_one()
        next_id = choose_next_id(last_id, datetime.now(UTC))
        _set_next_id(connection, next_id)
    engine.dispose()
    try:
        name_new_file(copy, file)
    except FileExistsError:
        raise ReceiverStartedError(
            f"a receiver has started meanwhile, or another restore was first: {str(file)!r} is there now."
            " Stop the receiver, and restore to a new file."
        ) from None
    try:
        sync_folder(file.parent)
    except OSError:
        file.unlink()
        raise
    return next_id


def _restore_postgresql(inbox_url: str, dump: Path, last_id: int) -> int:
    """
    Load a dump: its events, or none.

    The ids are moved before, not with the events: another program loads those, in a transaction of its own.
    """
    engine = open_engine(inbox_url)
    next_id = choose_next_id(last_id, datetime.now(UTC))
    try:
        with engine.begin() as connection:
            _lock_empty(connection, last_id=0)
            _set_next_id(connection, next_id)
        with engine.begin() as connection:
            _lock_empty(connection, last_id=next_id)
            load_tables(engine, dump)
    except ReceiverStartedError:
        raise
    except (PushMetricsConfigurationError, SQLAlchemyError) as error:
        told = describe_outage(error) if isinstance(error, SQLAlchemyError) else error
        raise PushMetricsConfigurationError(
            f"{told} The inbox was not restored: stop its receivers, and drop its tables ({PREFIX}_…), before"
            " the next attempt."
        ) from None
    finally:
        engine.dispose()
    return next_id


def _set_next_id(connection: Connection, next_id: int) -> None:
    connection.execute(update(state).values(last_event_id=next_id, last_deleted_id=next_id))


def _lock_empty(connection: Connection, *, last_id: int) -> None:
    """
    Lock the row that assigns ids, so that a receiver that starts now accepts nothing before the end.

    :raises ReceiverStartedError: if one has stored something already.
    """
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))  # the load may take long
    is_moved = connection.execute(LOCK_LAST_ID).scalar_one() != last_id
    if is_moved or any(connection.execute(select(exists(select(table)))).scalar_one() for table in STORED):
        raise ReceiverStartedError(
            "a receiver has started meanwhile, and its inbox is not empty. Stop it, and restore to an empty"
            " database."
        )


def _refuse_existing(engine: Engine, file: Path) -> None:
    if engine.dialect.name == "postgresql":
        there = _list_own_tables(engine)
    else:
        files = [file.with_name(f"{file.name}{suffix}") for suffix in ("", *BESIDE)]
        there = [str(one) for one in files if one.exists()]
    if there:
        raise PushMetricsConfigurationError(
            f"there is an inbox already, or a rest of one ({', '.join(there)}): restore to a new file or an"
            " empty database, or move that elsewhere."
        )


@contextmanager
def _open(inbox_url: str, listen_url: str | None) -> Iterator[Engine]:
    """Create an engine without a pooler, which does not migrate, and convert errors of the database."""
    engine = create_inbox_engine(inbox_url)
    listen_engine = create_inbox_engine(listen_url) if listen_url else None
    try:
        is_sqlite = engine.dialect.name == "sqlite"
        yield engine if is_sqlite else choose_direct(engine, listen_engine)
    except SQLAlchemyError as error:
        raise describe_outage(error) from None
    finally:
        for opened in filter(None, (engine, listen_engine)):
            opened.dispose()


def _list_own_tables(engine: Engine) -> list[str]:
    return [name for name in inspect(engine).get_table_names() if name.startswith(PREFIX)]


def _check_schema(found: str | None, version: str) -> None:
    newest = find_newest_schema()
    if found != newest:
        raise PushMetricsConfigurationError(
            f"the inbox has the schema {found!r} of version {version}, and version {__version__} has"
            f" {newest!r}: use the version that it is of, or migrate it with 'pushmetrics receiver migrate'."
        )
