"""Queries of DuckDB files and folders; each runs in a child process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pyarrow as pa

from airflow_provider_pushmetrics.service.bounded_processes.child import (
    CallFailedError,
    ChildDiedError,
    ChildProcess,
)
from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.datasources.base import (
    RowBatches,
    SourceError,
    Stopper,
    check_between,
)
from airflow_provider_pushmetrics.service.datasources.catalog import Catalog
from airflow_provider_pushmetrics.service.datasources.duckdb.call import DuckDbCall
from airflow_provider_pushmetrics.service.datasources.duckdb.catalog import DuckDbCatalog
from airflow_provider_pushmetrics.service.datasources.duckdb.objects import ObjectFolder
from airflow_provider_pushmetrics.service.datasources.duckdb.spill import make_spill_folder
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.datasources.statements import strip_end
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from airflow_provider_pushmetrics.service.templates.dialects import DUCKDB, Dialect


class DuckDbSource:
    """
    A DuckDB file, or a folder of CSV and Parquet files. Each of these is a table with the name of its file.

    It is opened read-only, without access to the rest of the file system and the network. It is open only
    while a query runs, so that other programs can write or replace it.

    :param place: The file or the folder.
    :param temp_dir: The folder for data that does not fit in memory.
    :param pool: The processes that run queries.
    """

    dialect: Dialect = DUCKDB

    def __init__(self, place: Path | ObjectFolder, temp_dir: Path, pool: ChildPool) -> None:
        self._place = place
        self._temp_dir = temp_dir
        self._pool = pool

    @contextmanager
    def query(
        self, sql: BoundSql, stopper: Stopper, *, limits: QueryLimits, time_zone: str
    ) -> Iterator[RowBatches]:
        """Run a query. Stopping it kills its process."""
        sql = strip_end(sql, "duckdb")
        text = sql.write(lambda number: f"${number}")
        with make_spill_folder(self._temp_dir) as temp_dir:
            path = self._locate(text, temp_dir, limits, stopper)
            call = DuckDbCall(path, temp_dir, text, tuple(sql.values), limits, time_zone)
            with (
                _translating(stopper, limits),
                self._pool.lease(lambda: stopper.reason is not None) as child,
                _stopping(stopper, child),
            ):
                pieces = child.call(call.encode())
                schema = pa.ipc.read_schema(pa.py_buffer(next(pieces)))
                yield RowBatches(schema, _read(pieces, schema, stopper, limits))

    def _locate(self, sql: str, temp_dir: Path, limits: QueryLimits, stopper: Stopper) -> Path:
        """Find the file or the folder on this machine."""
        if isinstance(self._place, Path):
            return self._place
        return self._place.copy(sql, temp_dir, limits, stopper)

    def open_catalog(self, stopper: Stopper) -> AbstractContextManager[Catalog]:
        return nullcontext(DuckDbCatalog(self, stopper))

    def close(self) -> None:
        """Close nothing: the file is open only while a query runs, and the caller closes the pool."""


@contextmanager
def _stopping(stopper: Stopper, child: ChildProcess) -> Iterator[None]:
    """Allow the stopper to kill the process in the block."""
    stopper.register(child.kill)
    try:
        if stopper.reason is not None:  # it was stopped while it waited
            raise SourceError(stopper.reason)
        yield
    finally:
        stopper.register(None)


def _read(
    pieces: Iterator[memoryview], schema: pa.Schema, stopper: Stopper, limits: QueryLimits
) -> Iterator[pa.RecordBatch]:
    with _translating(stopper, limits):
        batches = map(lambda piece: pa.ipc.read_record_batch(pa.py_buffer(piece), schema), pieces)
        yield from check_between(batches, stopper)


@contextmanager
def _translating(stopper: Stopper, limits: QueryLimits) -> Iterator[None]:
    try:
        yield
    except CallFailedError as error:
        raise SourceError(stopper.reason or str(error)) from error
    except ChildDiedError as error:
        problem = (
            f"the process of the query ended ({error.ending or error}): the query may need more than"
            f" {limits.max_memory_bytes:,} bytes of memory, the limit. Select or sort less, or aggregate."
        )
        raise SourceError(stopper.reason or problem) from error
