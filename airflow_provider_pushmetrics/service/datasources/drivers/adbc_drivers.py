"""
Databases queried through their own ADBC driver, which comes with an extra of the package.

Their drivers return Arrow and describe every column; the types are kept. They have no read-only mode:
the user of the URL must have only a reader's permissions.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy.engine import URL

from airflow_provider_pushmetrics.service.datasources.base import (
    NOT_ONE_SELECT,
    RowBatches,
    SourceError,
    Stopper,
    refuse_same_names,
)
from airflow_provider_pushmetrics.service.datasources.catalog import Catalog
from airflow_provider_pushmetrics.service.datasources.columns.base import Conversion, LimitedText, Unchanged
from airflow_provider_pushmetrics.service.datasources.columns.row_batches import (
    ConvertedColumn,
    convert_batches,
    pick_at,
)
from airflow_provider_pushmetrics.service.datasources.drivers.adbc import AdbcSession, LazyDatabase
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.datasources.urls import BACKENDS, FLIGHT_SQL, is_set
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from airflow_provider_pushmetrics.service.templates.dialects import get_dialect

TLS_NAME = "adbc.flight.sql.client_option.tls_override_hostname"

CLOSE_OPTIONS = {"adbc.flight.sql.rpc.timeout_seconds.update": "5"}
"""The driver tells the server of the end of statements and connections, and waits for its answer."""


class AdbcSource:
    """
    A database with its own ADBC driver.

    :param url: Its URL; see :func:`build_options`.
    :param temp_dir: The folder for rows whose types depend on the whole result.
    """

    def __init__(self, url: URL, temp_dir: Path) -> None:
        self._kind = url.drivername
        self._secrets = () if url.password is None else (str(url.password),)
        self._temp_dir = temp_dir
        self._database = LazyDatabase(
            lambda: import_driver(url.drivername).connect(**build_options(url)), self._secrets
        )
        dialect = url.query.get("dialect", "duckdb") if url.drivername == FLIGHT_SQL else url.drivername
        self.dialect = get_dialect(str(dialect))

    @contextmanager
    def query(
        self, sql: BoundSql, stopper: Stopper, *, limits: QueryLimits, time_zone: str
    ) -> Iterator[RowBatches]:
        """Run a query; queries may run concurrently, each on its own connection."""
        text = sql.write(lambda number: "?")
        with (
            AdbcSession(
                self._database,
                stopper,
                self._secrets,
                has_transactions=False,
                close_options=CLOSE_OPTIONS if self._kind == FLIGHT_SQL else {},
            ) as session,
            session.stream_described(text, sql.values) as (schema, batches),
        ):
            if not schema.names:
                raise SourceError(NOT_ONE_SELECT)
            refuse_same_names(schema.names)
            columns = [
                ConvertedColumn(_plan_conversion(field, limits.max_value_bytes), pick_at(index))
                for index, field in enumerate(schema)
            ]
            with convert_batches(columns, batches, max_rows=limits.max_rows, temp_dir=self._temp_dir) as rows:
                yield rows

    def open_catalog(self, stopper: Stopper) -> AbstractContextManager[Catalog]:
        """
        Not supported.

        :raises SourceError: always.
        """
        raise SourceError(f"the tables of a database of the kind {self._kind!r} cannot be listed.")

    def close(self) -> None:
        self._database.close()


def import_driver(kind: str) -> Any:
    """
    Import the driver of a kind of database.

    :raises SourceError: with the extra, if it is not installed.
    """
    try:
        return importlib.import_module(BACKENDS[kind].module)
    except ImportError as error:
        raise SourceError(
            f"databases of the kind {kind!r} need the extra {kind!r}:"
            f" install airflow-provider-pushmetrics[{kind}]."
        ) from error


def build_options(url: URL) -> dict[str, Any]:
    """
    Build the connect options of the driver.

    ``snowflake://user:password@account/database/schema?warehouse=w`` is the driver's own form;
    ``bigquery://project/dataset`` uses the machine's credentials;
    ``flightsql://user:password@host:port?tls=true&dialect=postgresql`` sets the dialect of the server's SQL;
    ``hostaddr`` is its address.
    """
    if url.drivername == "snowflake":
        return {"uri": url.render_as_string(hide_password=False).removeprefix("snowflake://")}
    if url.drivername == "bigquery":
        dataset = {"adbc.bigquery.sql.dataset_id": url.database} if url.database else {}
        return {"db_kwargs": {"adbc.bigquery.sql.project_id": url.host or "", **dataset}}
    scheme = "grpc+tls" if is_set(url, "tls") else "grpc"
    host = str(url.query.get("hostaddr", url.host))
    options = {
        "username": url.username,
        "password": None if url.password is None else str(url.password),
        # The server is connected to at its address, and proves its name.
        TLS_NAME: url.host if is_set(url, "tls") and host != url.host else None,
    }
    return {
        "uri": f"{scheme}://{f'[{host}]' if ':' in host else host}:{url.port or 31337}",
        "db_kwargs": {name: value for name, value in options.items() if value is not None},
    }


def _plan_conversion(field: pa.Field, max_value_bytes: int) -> Conversion:
    if pa.types.is_string(field.type) or pa.types.is_binary(field.type):
        return LimitedText(field.name, field.type, max_value_bytes)
    return Unchanged(field.name, field.type)
