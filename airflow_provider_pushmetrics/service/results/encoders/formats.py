"""
Results in the formats that ``Accept`` can ask for, made batch by batch.

JSON and CSV are encoded by two threads while another sends: ``python -m benchmarks.service``.
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
from airflow_provider_pushmetrics.service.results.store import Completeness, StoredResult
from airflow_provider_pushmetrics.serving.headers import parse_accept

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

ENCODERS = 2
"""Arrow encodes outside of Python's lock, and one core makes a third of what can be sent."""

FORMATS = (JSON, NDJSON, CSV, ARROW, PARQUET, XLSX)
"""The best one that is acceptable is taken; of equal ones, the first."""


BOM = b"\xef\xbb\xbf"

Chunk: TypeAlias = bytes | memoryview
"""A piece of an answer; a view of Arrow's memory is not copied before it is sent."""


@dataclass(frozen=True)
class CsvOptions:
    """
    What spreadsheets need of CSV.

    :param bom: Begin with a byte order mark, by which Excel knows UTF-8.
    :param guard: Put ``'`` before texts that a spreadsheet would take for formulas.
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
    What a result in JSON says before its rows.

    :param max_rows: How many rows the query was allowed to give.
    :param timeout_seconds: How long it was allowed to take.
    :param is_truncated: Whether it had more rows, which were cut off.
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
        """Whether rows were cut off."""
        return Completeness(self.is_truncated, self.max_rows)


def choose_format(accept: str | None) -> str | None:
    """Choose what to send by an ``Accept`` header; None if nothing that there is would be accepted."""
    accepted = parse_accept(accept)
    if not accepted.weights:
        return JSON
    # Of equal weights, the first of the formats is chosen.
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
    """Write the JSON object of a query that gave no rows because it failed."""
    return _write_json_head(header, pa.schema([]), 0) + b"]}"


def write_ndjson(result: StoredResult) -> Iterator[Chunk]:
    """Write one JSON object a line."""
    yield from encode_ahead(result.read_batches(), lambda batch: encode_rows(batch, after="\n"))


def write_csv(result: StoredResult, options: CsvOptions = PLAIN_CSV) -> Iterator[Chunk]:
    """Write CSV by RFC 4180, with a header row; lists and objects as JSON, null as nothing."""
    guard = options.guard
    if options.bom:
        yield BOM
    if header := csv_rows.encode_header(result.schema.names, guard=guard):
        yield header
    yield from encode_ahead(result.read_batches(), lambda batch: csv_rows.encode_rows(batch, guard=guard))


def write_arrow(result: StoredResult) -> Iterator[Chunk]:
    """Write an Arrow IPC stream; the metadata of its schema says whether rows were cut off."""
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
    """Read and encode the next batches while one is sent, no more than three ahead; leave out empty ones."""

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
