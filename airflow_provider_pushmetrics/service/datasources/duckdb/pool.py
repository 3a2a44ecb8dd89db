"""The pool of the processes that run DuckDB."""

from __future__ import annotations

from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.datasources.duckdb.call import PIECE_BYTES, find_max_row_bytes
from airflow_provider_pushmetrics.service.datasources.limits import MIB, QueryLimits

DUCKDB_PROGRAM = "airflow_provider_pushmetrics.service.datasources.duckdb.child"

MAX_DUCKDB_QUERIES = 16
"""The maximum number of concurrent queries; others wait. A worker has 4 runs of up to 4 queries each."""

FRAME_MARGIN_BYTES = MIB
"""The size of a batch without its values: lengths, and the description of its columns."""


def open_duckdb_pool(limits: QueryLimits) -> ChildPool:
    """
    Build the pool. Processes are started when they are needed.

    :param limits: The maximum limits of a query.
    """
    max_frame_bytes = max(find_max_row_bytes(limits), PIECE_BYTES) + FRAME_MARGIN_BYTES
    return ChildPool(DUCKDB_PROGRAM, max_children=MAX_DUCKDB_QUERIES, max_frame_bytes=max_frame_bytes)
