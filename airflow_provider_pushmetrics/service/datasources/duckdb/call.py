"""What a child process is asked."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_pushmetrics.service.datasources.limits import MIB, QueryLimits

MEMORY_MARGIN_BYTES = 512 * MIB
"""
What a query may need beside the memory that DuckDB counts: values while they are made, batches in Arrow, the
stacks of threads.
"""

MAX_ROW_VALUES = 2
"""A row may have so many times the bytes that one value may have."""

PIECE_BYTES = 4 * MIB
"""How much of a result is sent at once, unless one row is larger: this bounds the memory of the parent."""


@dataclass(frozen=True)
class DuckDbCall:
    """
    A query of a file or a folder.

    :param path: The file or the folder.
    :param temp_dir: Where the query writes what does not fit in its memory.
    :param sql: One statement, with ``$1``, ``$2``, … for the values.
    """

    path: Path
    temp_dir: Path
    sql: str
    values: tuple[Any, ...]
    limits: QueryLimits
    time_zone: str

    def encode(self) -> bytes:
        """Write it for a child, which trusts its parent; never the other way round."""
        return pickle.dumps(self)

    @classmethod
    def decode(cls, data: bytes | memoryview) -> DuckDbCall:
        """Read it in the child."""
        call: DuckDbCall = pickle.loads(data)
        return call

    @property
    def max_row_bytes(self) -> int:
        """How many bytes one row of the result may have."""
        return find_max_row_bytes(self.limits)


def find_max_row_bytes(limits: QueryLimits) -> int:
    """Find how many bytes one row of a result may have."""
    return MAX_ROW_VALUES * limits.max_value_bytes


def write_out_of_memory(limits: QueryLimits) -> str:
    """Write what is said of a query that needs more memory than it may have."""
    return (
        f"the query needs more than {limits.max_memory_bytes:,} bytes of memory, the limit: select or"
        " sort less, or aggregate before."
    )
