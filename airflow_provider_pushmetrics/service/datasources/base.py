"""What every database that SQL blocks query has in common."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.datasources.messages import hide_paths

if TYPE_CHECKING:
    # Child processes load this module too: what they do not need costs them time and memory.
    import pyarrow as pa

    from airflow_provider_pushmetrics.service.datasources.catalog import Catalog
    from airflow_provider_pushmetrics.service.templates.binding import BoundSql
    from airflow_provider_pushmetrics.service.templates.dialects import Dialect

UTC = "UTC"

NOT_ONE_SELECT = "the SQL is not one statement that gives rows: write one SELECT."


class SourceError(PushMetricsError):
    """A database refused a query, in its own words, without absolute paths of this machine."""

    def __init__(self, message: str) -> None:
        super().__init__(hide_paths(message))


@dataclass(frozen=True)
class RowBatches:
    """
    The rows of a query.

    :param schema: The columns.
    :param batches: The rows, batch by batch; a :class:`SourceError` may come between any two.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def refuse_same_names(names: Sequence[str]) -> None:
    """
    Make sure that each column has a name of its own.

    :raises SourceError: if not.
    """
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise SourceError(f"several columns are called {', '.join(twice)}: give each a name with AS.")


class Stopper:
    """Stops a query from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interrupt: Callable[[], None] | None = None
        self.reason: str | None = None
        """Why the query was stopped, once it was."""

    def register(self, interrupt: Callable[[], None] | None) -> None:
        """Return how the query is interrupted; None when it has ended and must not be any more."""
        with self._lock:
            self._interrupt = interrupt

    def stop(self, reason: str) -> None:
        """Interrupt the query; again and again, since it may just have been about to begin."""
        with self._lock:
            self.reason = self.reason or reason
            if self._interrupt is not None:
                self._interrupt()


def check_between(batches: Iterator[pa.RecordBatch], stopper: Stopper) -> Iterator[pa.RecordBatch]:
    """
    Give batches until the query is stopped: what the driver has read ahead may last for long.

    No batch is kept while the next one is read: one can have many megabytes.

    :raises SourceError: with the reason, also if the query seems complete: a database may end one that was
        interrupted as if it were.
    """
    for batch in batches:
        if stopper.reason is not None:
            raise SourceError(stopper.reason)
        yield batch
        del batch
    if stopper.reason is not None:
        raise SourceError(stopper.reason)


class Source(Protocol):
    """A database that can be asked."""

    @property
    def dialect(self) -> Dialect:
        """The SQL that it reads."""

    def query(
        self, sql: BoundSql, stopper: Stopper, *, limits: QueryLimits, time_zone: str
    ) -> AbstractContextManager[RowBatches]:
        """
        Run a query and give its rows, batch by batch; used as a context.

        :param stopper: Stops it from another thread.
        :param limits: How much memory the query may take, and how large one value may be. The caller cuts
            the rows and stops the query when its time is over.
        :param time_zone: The time zone of the session, as an IANA name.

        :raises SourceError: with the database's message.
        """

    def open_catalog(self, stopper: Stopper) -> AbstractContextManager[Catalog]:
        """
        Look at what the database holds; used as a context.

        :param stopper: Stops what takes too long.
        :raises SourceError: with the database's message.
        """

    def close(self) -> None:
        """Close all connections."""
