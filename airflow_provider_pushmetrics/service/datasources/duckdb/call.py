"""The request to a child process."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_pushmetrics.service.datasources.limits import MIB, QueryLimits

MEMORY_MARGIN_BYTES = 512 * MIB
"""
Memory of a query that DuckDB does not count: values under construction, batches in Arrow, stacks of threads.
"""

SPILL_FACTOR = 20
"""The maximum data that a query writes to disk, as a multiple of its memory."""

MAX_ROW_VALUES = 2
"""The maximum size of a row, as a multiple of that of a value."""

PIECE_BYTES = 4 * MIB
"""The maximum size of a piece of a result, unless one row is larger: this limits the memory of the parent."""


@dataclass(frozen=True)
class DuckDbCall:
    """
    A query of a file or a folder.

    :param path: The file or the folder.
    :param temp_dir: The folder for data that does not fit in memory.
    :param sql: One statement, with ``$1``, ``$2``, … for the values.
    """

    path: Path
    temp_dir: Path
    sql: str
    values: tuple[Any, ...]
    limits: QueryLimits
    time_zone: str

    def encode(self) -> bytes:
        """Pickle it for a child. A child trusts its parent; a parent must not unpickle data of a child."""
        return pickle.dumps(self)

    @classmethod
    def decode(cls, data: bytes | memoryview) -> DuckDbCall:
        """Unpickle it, in the child."""
        call: DuckDbCall = pickle.loads(data)  # noqa: S301 (written by the process that started this one)
        return call

    @property
    def max_row_bytes(self) -> int:
        """The maximum size of a row of the result in bytes."""
        return find_max_row_bytes(self.limits)


def find_max_row_bytes(limits: QueryLimits) -> int:
    """Compute the maximum size of a row of a result in bytes."""
    return MAX_ROW_VALUES * limits.max_value_bytes


def write_out_of_memory(limits: QueryLimits) -> str:
    """Build the error of a query that exceeds its memory limit."""
    return (
        f"the query needs more than {limits.max_memory_bytes:,} bytes of memory, the limit: select or"
        " sort less, or aggregate before."
    )
