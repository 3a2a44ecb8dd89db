"""The rows that a query gives, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_pushmetrics.exceptions import PushMetricsError

if TYPE_CHECKING:
    import pyarrow as pa


NOT_ONE_SELECT = "the SQL is not one statement that gives rows: write one SELECT."


class SourceError(PushMetricsError):
    """A database refused a query, in its own words."""


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
