"""
PostgreSQL, queried through ADBC.

Each query is one read-only transaction without side effects, so that it works behind a pooler such as
PgBouncer in transaction mode: settings are local to it, and statements are prepared without a name.

Rows are read by ``COPY (…) TO STDOUT``, the only way that streams and lets PostgreSQL work in parallel. It
accepts no parameters with any driver: values are written as constants, quoted by psycopg's rules, each in
brackets so that it cannot merge with adjacent text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import adbc_driver_postgresql
import psycopg
import pyarrow as pa
from psycopg import sql as psycopg_sql
from sqlalchemy.engine import URL

from airflow_provider_pushmetrics.service.datasources.base import (
    NOT_ONE_SELECT,
    RowBatches,
    SourceError,
    Stopper,
    refuse_same_names,
)
from airflow_provider_pushmetrics.service.datasources.catalog import Catalog
from airflow_provider_pushmetrics.service.datasources.columns.base import Unchanged
from airflow_provider_pushmetrics.service.datasources.columns.postgresql import (
    find_unknown_types,
    list_columns,
    plan_columns,
    wrap,
)
from airflow_provider_pushmetrics.service.datasources.columns.row_batches import (
    ConvertedColumn,
    convert_batches,
    pick_at,
)
from airflow_provider_pushmetrics.service.datasources.drivers.adbc import AdbcSession, LazyDatabase
from airflow_provider_pushmetrics.service.datasources.drivers.keepalive import LIBPQ_OPTIONS
from airflow_provider_pushmetrics.service.datasources.drivers.sqlalchemy import (
    CONNECT_SECONDS,
    SqlAlchemyBrowser,
)
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.datasources.statements import find_first_word, strip_end
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from airflow_provider_pushmetrics.service.templates.dialects import POSTGRESQL, Dialect

BATCH_BYTES = 4 * 1024 * 1024
TIMEOUT_MARGIN_SECONDS = 30

NOT_FOR_COPY = frozenset({"SHOW", "EXPLAIN"})
"""Statements that return rows but that COPY does not accept: their few rows are fetched at once."""


class PostgresSource:
    """
    A PostgreSQL database.

    :param url: Its URL.
    :param temp_dir: The folder for rows whose types depend on the whole result.
    """

    dialect: Dialect = POSTGRESQL

    def __init__(self, url: URL, temp_dir: Path) -> None:
        uri = build_uri(url)
        self._secrets = () if url.password is None else (str(url.password),)
        self._temp_dir = temp_dir
        self._browser = SqlAlchemyBrowser(url)
        # This reads the names of all types, and closes the connection.
        self._database = LazyDatabase(lambda: adbc_driver_postgresql.connect(uri), self._secrets)

    @contextmanager
    def query(
        self, sql: BoundSql, stopper: Stopper, *, limits: QueryLimits, time_zone: str
    ) -> Iterator[RowBatches]:
        """Run a query; queries may run concurrently, each on its own connection."""
        sql = strip_end(sql, "postgres")
        text = write_constants(sql)
        with AdbcSession(self._database, stopper, self._secrets) as session:
            self._begin(session, limits, time_zone)
            schema = session.describe(text)
            if not schema.names:
                raise SourceError(NOT_ONE_SELECT)
            refuse_same_names(schema.names)
            if find_first_word(sql) in NOT_FOR_COPY:
                columns = [
                    ConvertedColumn(Unchanged(f.name, f.type), pick_at(i)) for i, f in enumerate(schema)
                ]
                options = {"adbc__postgresql__use_copy": "false"}
            else:
                planned = plan_columns(schema, limits.max_value_bytes, _find_arrays(session, schema))
                text, columns = wrap(text, planned), list_columns(planned)
                options = {"adbc__postgresql__batch_size_hint_bytes": str(BATCH_BYTES)}
            with (
                session.stream(text, **options) as batches,
                convert_batches(columns, batches, max_rows=limits.max_rows, temp_dir=self._temp_dir) as rows,
            ):
                yield rows

    def open_catalog(self, stopper: Stopper) -> AbstractContextManager[Catalog]:
        return self._browser.open_catalog(stopper)

    def close(self) -> None:
        self._browser.close()
        self._database.close()

    def _begin(self, session: AdbcSession, limits: QueryLimits, time_zone: str) -> None:
        session.execute("SET TRANSACTION READ ONLY")
        for setting in self.dialect.transaction_settings:
            session.execute(setting)
        # The timeout ends a query that would continue after this process is killed.
        milliseconds = (limits.timeout_seconds + TIMEOUT_MARGIN_SECONDS) * 1000
        session.fetch(
            f"SELECT set_config('TimeZone', {_quote(time_zone)}, true),"
            f" set_config('statement_timeout', '{milliseconds}', true)"
        )


def build_uri(url: URL) -> str:
    """
    Write the URL for libpq, with a connect timeout and keepalive.

    ADBC uses UTF-8, but keeps libpq's encoding, which is by default that of the database.
    """
    options = {name: str(value) for name, value in LIBPQ_OPTIONS.items()}
    url = url.update_query_dict({"client_encoding": "UTF8", **options})
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def write_constants(sql: BoundSql) -> str:
    """
    Write SQL with its values as constants.

    :raises SourceError: for a value without a PostgreSQL constant.
    """
    written = [_write_constant(value) for value in sql.values]
    return sql.write(lambda number: written[number - 1])


def _write_constant(value: Any) -> str:
    try:
        constant = _quote(value)
    except psycopg.Error as error:
        raise SourceError(f"{value!r} is not a value that PostgreSQL supports: {error}") from error
    # A number with a sign is not a position in ORDER BY and GROUP BY, like a bound value.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f" (+ {constant}) " if is_number else f" ({constant}) "


def _quote(value: Any) -> str:
    return psycopg_sql.Literal(value).as_string()


def _find_arrays(session: AdbcSession, schema: pa.Schema) -> frozenset[int]:
    unknown = find_unknown_types(schema)
    if not unknown:
        return frozenset()
    ids = ", ".join(map(str, unknown))
    found = session.fetch(
        f"SELECT oid::int8 FROM pg_catalog.pg_type WHERE typcategory = 'A' AND oid IN ({ids})"  # noqa: S608 (numbers)
    )
    return frozenset(found.column(0).to_pylist()) if found.num_columns else frozenset()
