"""The schema of the database: waiting for its server, migrating it, and working beside newer versions."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.storage.database import (
    MIGRATIONS,
    SCHEMA_VERSION_TABLE,
    Database,
)
from airflow_provider_pushmetrics.serving.process_start import wait_for_postgresql
from airflow_provider_pushmetrics.serving.sqlite import check_after_crash

UNFINISHED_RESTORE = "restoring"
"""The revision of a PostgreSQL into which a backup is loaded: its rows and ids are not complete."""

log = logging.getLogger(__name__)


def prepare_schema(
    database: Database,
    wait_seconds: float,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """
    Migrate the schema, and wait for PostgreSQL if it is away.

    :param wait_seconds: How long to wait for it.
    :raises PushMetricsConfigurationError: if it does not answer in time, if this version cannot work with the
        schema, or if the file of SQLite is damaged.
    """
    check_after_crash(database.engine)
    prepare(database, partial(migrate, database), wait_seconds, monotonic=monotonic, sleep=sleep)


def prepare(
    database: Database, step: Callable[[], object], wait_seconds: float, **clocks: Callable[..., Any]
) -> None:
    """
    Take a step of the start, again while PostgreSQL is away or another process that starts has a lock.

    :raises PushMetricsConfigurationError: if that takes too long.
    """
    if database.engine.dialect.name == "sqlite":
        step()
    else:
        wait_for_postgresql(step, wait_seconds, **clocks)


def migrate(database: Database) -> None:
    """
    Migrate the schema, unless it is newer.

    A revision begins with the minor version that it belongs to. Within a minor version revisions only add, so
    that older processes can go on.

    :raises PushMetricsConfigurationError: if it belongs to another minor version.
    """
    try:
        with database.engine.connect() as connection:
            found = _read_revision(connection)
        if found == _find_newest():
            database.file.check()  # no lock is needed, which a frozen process may have
        else:
            database.migrate()
    except CommandError:
        with database.engine.connect() as connection:
            newer = _find_unknown(connection)
        if newer is None:
            raise
        minor = newer.split("_", 1)[0]
        if minor != __version__.rsplit(".", 1)[0]:
            raise PushMetricsConfigurationError(
                f"the database has the schema of version {minor} (revision {newer!r}), and this is version"
                f" {__version__}: install version {minor} here."
            ) from None
        log.warning(
            "the database has a newer schema (revision %r) than version %s: a newer process has migrated it."
            " This process goes on, since the revisions of %s only add. Update it to the newer version.",
            newer,
            __version__,
            minor,
        )


def require_schema(database: Database) -> str:
    """
    Require the newest schema that this version knows, without migrating.

    :return: Its revision.
    :raises PushMetricsConfigurationError: if it is another one, or if there is none.
    """
    with database.engine.connect() as connection:
        found = _read_revision(connection)
    newest = _find_newest()
    if found is None:
        raise PushMetricsConfigurationError(
            "the database has no tables of a service: check --database-url and --data."
        )
    if found != newest:
        raise PushMetricsConfigurationError(
            f"the database has the schema {found!r}, and version {__version__} has {newest!r}: use the"
            " version of the service that runs on it, or start this version, which migrates an older schema."
        )
    return found


def require_known(revision: str, version: str) -> None:
    """
    Require that this version knows a revision of the schema.

    :param version: The version that wrote it.
    :raises PushMetricsConfigurationError: if not.
    """
    if revision not in {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}:
        raise PushMetricsConfigurationError(
            f"the schema {revision!r} is of version {version}, and this is version {__version__}: install"
            f" version {version} here."
        )


def _find_newest() -> str | None:
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def _find_unknown(connection: Connection) -> str | None:
    """Find the revision of the schema if this version does not know it."""
    found = _read_revision(connection)
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    return None if found in known else found


def _read_revision(connection: Connection) -> str | None:
    options = {"version_table": SCHEMA_VERSION_TABLE}
    found = MigrationContext.configure(connection, opts=options).get_current_revision()
    if found == UNFINISHED_RESTORE:
        raise PushMetricsConfigurationError(
            "a backup is being restored to the database, or was not restored to its end: wait for the end of"
            " 'pushmetrics service restore', or drop the database, create it again, and restore once more."
        )
    return found
