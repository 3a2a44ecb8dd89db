"""Running a query in DuckDB, with the types in which its rows are stored. For child processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import duckdb
import pyarrow as pa

from airflow_provider_pushmetrics.service.datasources.base import (
    NOT_ONE_SELECT,
    RowBatches,
    SourceError,
    refuse_same_names,
)
from airflow_provider_pushmetrics.service.datasources.columns.duckdb import (
    check_levels,
    list_columns,
    write_projection,
)
from airflow_provider_pushmetrics.service.datasources.columns.row_batches import convert_batches
from airflow_provider_pushmetrics.service.datasources.duckdb.call import DuckDbCall, write_out_of_memory

DUCKDB_BATCH_ROWS = 8_192

FAILURES = (duckdb.Error, pa.ArrowException, TypeError, OverflowError, OSError)
"""
The errors of DuckDB: its own, Python's for values that no SQL type supports, and Arrow's between two batches.
"""

OUT_OF_MEMORY = (duckdb.OutOfMemoryException, pa.ArrowMemoryError, MemoryError)


@contextmanager
def run_query(connection: duckdb.DuckDBPyConnection, call: DuckDbCall) -> Iterator[RowBatches]:
    """
    Run a query on a connection.

    :raises SourceError: with DuckDB's message, also between two batches.
    """
    with _translating(call):
        relation = _start_query(connection, call)
        refuse_same_names(relation.columns)
        types = relation.types
        check_levels(types)
        projection = ", ".join(map(write_projection, count(1), relation.columns, types))
        reader = relation.project(projection).to_arrow_reader(DUCKDB_BATCH_ROWS)
    columns = list_columns(types, reader.schema, call.limits.max_value_bytes)

    def read() -> Iterator[pa.RecordBatch]:
        with _translating(call):
            yield from reader

    with convert_batches(columns, read(), max_rows=call.limits.max_rows, temp_dir=call.temp_dir) as rows:
        yield rows


def hide_path(message: str, folder: Path) -> str:
    """Remove the paths of files from a message."""
    return message.replace(f"{folder}{os.sep}", "").replace(str(folder), "")


def _start_query(connection: duckdb.DuckDBPyConnection, call: DuckDbCall) -> duckdb.DuckDBPyRelation:
    statements = connection.extract_statements(call.sql)
    # COPY, EXPORT, ATTACH and SET change something; what DuckDB itself calls a SELECT cannot.
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise SourceError(NOT_ONE_SELECT)
    relation = connection.sql(statements[0], params=list(call.values) or None)
    if relation is None:
        raise SourceError(NOT_ONE_SELECT)
    return relation


@contextmanager
def _translating(call: DuckDbCall) -> Iterator[None]:
    try:
        yield
    except OUT_OF_MEMORY as error:
        raise SourceError(write_out_of_memory(call.limits)) from error
    except FAILURES as error:
        raise SourceError(_hide_paths(str(error), call)) from error


def _hide_paths(message: str, call: DuckDbCall) -> str:
    folder = call.path if call.path.is_dir() else call.path.parent
    return hide_path(hide_path(message, folder), call.temp_dir)
