"""
Results in the formats of the ``Accept`` header, encoded batch by batch.

Two threads encode JSON and CSV while another sends: ``python -m benchmarks.service``.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa

from airflow_provider_pushmetrics.service.results.arrow_types import describe_type
from airflow_provider_pushmetrics.service.results.encoders import csv_rows
from airflow_provider_pushmetrics.service.results.encoders.json_rows import dump, encode_rows
from airflow_provider_pushmetrics.service.results.stored_result import Completeness, StoredResult
from airflow_provider_pushmetrics.serving.http.headers import parse_accept

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

ENCODERS = 2
"""Arrow releases the GIL, and one core encodes a third of what can be sent."""

FORMATS = (JSON, NDJSON, CSV, ARROW, PARQUET, XLSX)
"""The acceptable format with the highest weight is sent; the first of equal ones."""


BOM = b"\xef\xbb\xbf"

Chunk: TypeAlias = bytes | memoryview
"""A part of an answer; a view of Arrow's memory is sent without a copy."""


@dataclass(frozen=True)
class CsvOptions:
    """
    Options of CSV for spreadsheets.

    :param bom: Begin with a byte order mark, by which Excel recognizes UTF-8.
    :param guard: Write ``'`` before texts that a spreadsheet would treat as formulas.
    """

    bom: bool = False
    guard: bool = False


PLAIN_CSV = CsvOptions()
CSV_FOR_PEOPLE = CsvOptions(bom=True, guard=True)


EXTENSIONS: Mapping[str, str] = {
    "csv": CSV,
    "xlsx": XLSX,
    "json": JSON,
    "ndjson": NDJSON,
    "parquet": PARQUET,
    "arrow": ARROW,
}
"""The formats by the extensions of their files."""


@dataclass(frozen=True)
class ResultHeader:
    """
    The keys before the rows of a result in JSON.

    :param max_rows: The row limit of the query.
    :param timeout_seconds: Its timeout.
    :param is_truncated: Whether rows were dropped at the limit.
    """

    query_id: int
    query_name: str
    run_id: int
    status: str
    error: str | None = None
    max_rows: int | None = None
    timeout_seconds: int | None = None
    is_truncated: bool = False

    @property
    def truncation(self) -> Completeness:
        """Whether rows were dropped."""
        return Completeness(self.is_truncated, self.max_rows)


def choose_format(accept: str | None) -> str | None:
    """Choose the format by an ``Accept`` header; None if no format is acceptable."""
    accepted = parse_accept(accept)
    if not accepted.weights:
        return JSON
    # The first of the formats with equal weights is chosen.
    best = max(FORMATS, key=accepted.get_weight)
    return best if accepted.get_weight(best) > 0 else None


def write_json(header: ResultHeader, result: StoredResult) -> Iterator[Chunk]:
    """Write one JSON object with the rows in ``data``."""
    yield _write_json_head(header, result.schema, result.row_count)
    is_first = True
    for rows in encode_ahead(result.read_batches(), lambda batch: encode_rows(batch, before=",")):
        yield rows[1:] if is_first else rows
        is_first = False
    yield b"]}"


def write_empty_json(header: ResultHeader) -> bytes:
    """Write the JSON object of a failed query, without rows."""
    return _write_json_head(header, pa.schema([]), 0) + b"]}"


def write_ndjson(result: StoredResult) -> Iterator[Chunk]:
    """Write one JSON object per line."""
    yield from encode_ahead(result.read_batches(), lambda batch: encode_rows(batch, after="\n"))


def write_csv(result: StoredResult, options: CsvOptions = PLAIN_CSV) -> Iterator[Chunk]:
    """Write CSV by RFC 4180, with a header row; lists and objects as JSON, null as an empty cell."""
    guard = options.guard
    if options.bom:
        yield BOM
    if header := csv_rows.encode_header(result.schema.names, guard=guard):
        yield header
    yield from encode_ahead(result.read_batches(), lambda batch: csv_rows.encode_rows(batch, guard=guard))


def write_arrow(result: StoredResult) -> Iterator[Chunk]:
    """Write an Arrow IPC stream; the metadata of its schema contains whether rows were dropped."""
    sink = io.BytesIO()
    schema = result.schema.with_metadata(result.truncation.to_metadata())
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in result.read_batches():
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
            yield _drain(sink)
    yield _drain(sink)


def encode_ahead(
    batches: Iterator[pa.RecordBatch], encode: Callable[[pa.RecordBatch], Chunk]
) -> Iterator[Chunk]:
    """Read and encode up to three batches ahead of the one that is sent; skip empty ones."""

    def encode_next(read: Future[pa.RecordBatch | None]) -> Chunk | None:
        batch = read.result()
        return None if batch is None else encode(batch)

    with (
        ThreadPoolExecutor(1, thread_name_prefix="result-reader") as reader,
        ThreadPoolExecutor(ENCODERS, thread_name_prefix="result-encoder") as encoders,
    ):

        def start_next() -> Future[Chunk | None]:
            return encoders.submit(encode_next, reader.submit(next, batches, None))

        ahead = deque(start_next() for _ in range(ENCODERS + 1))
        while (rows := ahead.popleft().result()) is not None:
            ahead.append(start_next())
            if rows:
                yield rows


def _write_json_head(header: ResultHeader, schema: pa.Schema, row_count: int) -> bytes:
    head: dict[str, Any] = {
        "query_id": header.query_id,
        "query_name": header.query_name,
        "run_id": header.run_id,
        "status": header.status,
    }
    if header.error is not None:
        head["error"] = header.error
    head["columns"] = [{"name": column.name, "type": describe_type(column.type)} for column in schema]
    head["row_count"] = row_count
    head["max_rows"] = header.max_rows
    head["row_limit"] = header.max_rows
    head["timeout_seconds"] = header.timeout_seconds
    head["is_truncated"] = header.is_truncated
    return (dump(head)[:-1] + ',"data":[').encode()


def _drain(sink: io.BytesIO) -> bytes:
    chunk = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return chunk
