"""The program of the processes that run DuckDB: a call is a query, and its answer columns and rows."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from airflow_provider_pushmetrics.service.bounded_processes.limits import limit_memory
from airflow_provider_pushmetrics.service.bounded_processes.server import CallError, Send, serve
from airflow_provider_pushmetrics.service.datasources.base import SourceError, split_batch
from airflow_provider_pushmetrics.service.datasources.duckdb.call import (
    MEMORY_MARGIN_BYTES,
    PIECE_BYTES,
    DuckDbCall,
    write_out_of_memory,
)
from airflow_provider_pushmetrics.service.datasources.duckdb.databases import open_database
from airflow_provider_pushmetrics.service.datasources.duckdb.queries import run_query
from airflow_provider_pushmetrics.service.datasources.limits import take_rows


def answer(request: memoryview, send: Send) -> None:
    """
    Run a query, and send its columns and then its rows.

    :raises CallError: with a message for the author of the query.
    """
    call = DuckDbCall.decode(request)
    limit_memory(call.limits.max_memory_bytes + MEMORY_MARGIN_BYTES)
    try:
        with open_database(call) as connection, run_query(connection, call) as rows:
            send(rows.schema.serialize())
            # One row more than the limit shows the parent that there are more.
            for batch in split(take_rows(rows.batches, call.limits.max_rows + 1), call.max_row_bytes):
                send(batch.serialize())
    except SourceError as error:
        raise CallError(str(error)) from error
    except MemoryError as error:
        raise CallError(write_out_of_memory(call.limits)) from error


def split(batches: Iterator[pa.RecordBatch], max_row_bytes: int) -> Iterator[pa.RecordBatch]:
    """
    Split batches into pieces of a few megabytes.

    :raises SourceError: with its number, if a single row is too large.
    """
    first = 1
    for batch in batches:
        for piece in split_batch(batch, PIECE_BYTES):
            if piece.num_rows == 1 and piece.nbytes > max_row_bytes:
                raise SourceError(
                    f"row {first:,} has {piece.nbytes:,} bytes, the limit for one row is {max_row_bytes:,}:"
                    " select fewer or smaller values."
                )
            first += piece.num_rows
            yield piece


if __name__ == "__main__":
    serve(answer)
