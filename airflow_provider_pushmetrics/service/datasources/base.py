"""The common interface of all databases that SQL blocks query."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.datasources.error_messages import hide_paths
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits

if TYPE_CHECKING:
    # Child processes import this module too, so imports cost them time and memory.
    import pyarrow as pa

    from airflow_provider_pushmetrics.service.datasources.catalog import Catalog
    from airflow_provider_pushmetrics.service.templates.binding import BoundSql
    from airflow_provider_pushmetrics.service.templates.dialects import Dialect

UTC = "UTC"

NOT_ONE_SELECT = "the SQL is not one statement that returns rows: write one SELECT."


class SourceError(PushMetricsError):
    """The database's error message, without absolute paths of this machine."""

    def __init__(self, message: str) -> None:
        super().__init__(hide_paths(message))


@dataclass(frozen=True)
class RowBatches:
    """
    The rows of a query.

    :param schema: The columns.
    :param batches: The rows, in batches; a :class:`SourceError` may be raised between any two.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def refuse_same_names(names: Sequence[str]) -> None:
    """
    Check that column names are unique.

    :raises SourceError: if not.
    """
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise SourceError(f"several columns are called {', '.join(twice)}: give each a name with AS.")


def split_batch(
    batch: pa.RecordBatch, max_bytes: int, max_rows: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Split a batch into halves until none is larger than the limits; a single row is not split."""
    is_small = batch.nbytes <= max_bytes and (max_rows is None or batch.num_rows <= max_rows)
    if is_small or batch.num_rows <= 1:
        yield batch
        return
    middle = batch.num_rows // 2
    yield from split_batch(batch.slice(0, middle), max_bytes, max_rows)
    yield from split_batch(batch.slice(middle), max_bytes, max_rows)


class Stopper:
    """Stops a query from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interrupt: Callable[[], None] | None = None
        self.reason: str | None = None
        """The reason, after the query was stopped."""

    def register(self, interrupt: Callable[[], None] | None) -> None:
        """Register how the query is interrupted; None after it has ended."""
        with self._lock:
            self._interrupt = interrupt

    def stop(self, reason: str) -> None:
        """Interrupt the query; callers repeat this, because the query may not have begun."""
        with self._lock:
            self.reason = self.reason or reason
            if self._interrupt is not None:
                self._interrupt()


def check_between(batches: Iterator[pa.RecordBatch], stopper: Stopper) -> Iterator[pa.RecordBatch]:
    """
    Pass batches on until the query is stopped; the driver may have read many ahead.

    No batch is kept while the next one is read: one can have many megabytes.

    :raises SourceError: with the reason, also if the query seems complete: a database may end an
        interrupted query without an error.
    """
    for batch in batches:
        if stopper.reason is not None:
            raise SourceError(stopper.reason)
        yield batch
        del batch
    if stopper.reason is not None:
        raise SourceError(stopper.reason)


class Source(Protocol):
    """A database that can be queried."""

    @property
    def dialect(self) -> Dialect:
        """Its SQL dialect."""

    def query(
        self, sql: BoundSql, stopper: Stopper, *, limits: QueryLimits, time_zone: str
    ) -> AbstractContextManager[RowBatches]:
        """
        Run a query and return its rows in batches; used as a context.

        :param stopper: Stops it from another thread.
        :param limits: The limits for memory and for the size of a value. The caller enforces the limits for
            rows and time.
        :param time_zone: The time zone of the session, as an IANA name.

        :raises SourceError: with the database's message.
        """

    def open_catalog(self, stopper: Stopper) -> AbstractContextManager[Catalog]:
        """
        Open the catalog; used as a context.

        :param stopper: Stops what takes too long.
        :raises SourceError: with the database's message.
        """

    def close(self) -> None:
        """Close all connections; those of running queries when they have ended."""
