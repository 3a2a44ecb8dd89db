"""
Results in the formats that ``Accept`` can ask for, made row group by row group.

Arrow reads in the thread that sends: threads of its own make nothing faster here, and keep 20 MiB more
(``python -m benchmarks.service``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_pushmetrics.service.results.json_rows import dump, encode_rows, make_plain
from airflow_provider_pushmetrics.service.results.store import READ_ROWS

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"

FORMATS = (JSON, NDJSON, CSV, ARROW, PARQUET)
"""The best one that is acceptable is taken; of equal ones, the first."""


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


def choose_format(accept: str | None) -> str | None:
    """Choose what to send by an ``Accept`` header; None if nothing that there is would be accepted."""
    if not accept or not accept.strip():
        return JSON
    weights = [_parse_range(part) for part in accept.split(",", 64)[:64]]
    best, best_weight = None, 0.0
    for media_type in FORMATS:
        weight = _find_weight(media_type, weights)
        if weight > best_weight:
            best, best_weight = media_type, weight
    return best


def write_json(header: ResultHeader, file: pq.ParquetFile) -> Iterator[bytes]:
    """Write one JSON object with the rows in ``data``."""
    yield _write_json_head(header, file.schema_arrow, file.metadata.num_rows)
    is_first = True
    for batch in file.iter_batches(READ_ROWS, use_threads=False):
        if rows := encode_rows(batch, before=","):
            yield rows[1:] if is_first else rows
            is_first = False
    yield b"]}"


def write_empty_json(header: ResultHeader) -> bytes:
    """Write the JSON object of a query that gave no rows because it failed."""
    return _write_json_head(header, pa.schema([]), 0) + b"]}"


def write_ndjson(file: pq.ParquetFile) -> Iterator[bytes]:
    """Write one JSON object a line."""
    for batch in file.iter_batches(READ_ROWS, use_threads=False):
        yield encode_rows(batch, after="\n")


def write_csv(file: pq.ParquetFile) -> Iterator[bytes]:
    """Write CSV by RFC 4180, with a header row; lists and objects as JSON, null as nothing."""
    names = file.schema_arrow.names
    yield _write_csv_rows([names])
    for rows in _read_rows(file):
        yield _write_csv_rows([[_write_cell(row[name]) for name in names] for row in rows])


def write_arrow(file: pq.ParquetFile) -> Iterator[bytes]:
    """Write an Arrow IPC stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, file.schema_arrow) as writer:
        for batch in file.iter_batches(READ_ROWS, use_threads=False):
            writer.write_batch(batch)
            yield _drain(sink)
    yield _drain(sink)


def _write_json_head(header: ResultHeader, schema: pa.Schema, row_count: int) -> bytes:
    head: dict[str, Any] = {
        "query_id": header.query_id,
        "query_name": header.query_name,
        "run_id": header.run_id,
        "status": header.status,
    }
    if header.error is not None:
        head["error"] = header.error
    head["columns"] = [{"name": column.name, "type": str(column.type)} for column in schema]
    head["row_count"] = row_count
    head["max_rows"] = header.max_rows
    head["timeout_seconds"] = header.timeout_seconds
    head["is_truncated"] = header.is_truncated
    return (dump(head)[:-1] + ',"data":[').encode()


def _read_rows(file: pq.ParquetFile) -> Iterator[list[dict[str, Any]]]:
    names = file.schema_arrow.names
    for batch in file.iter_batches(READ_ROWS, use_threads=False):
        columns = [_make_plain_column(column) for column in batch.columns]
        yield [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _make_plain_column(column: pa.Array) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if (
        pa.types.is_integer(column.type)
        or pa.types.is_string(column.type)
        or pa.types.is_boolean(column.type)
    ):
        return values
    return [make_plain(value) for value in values]


def _write_csv_rows(rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _write_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return dump(value) if isinstance(value, dict | list) else value


def _drain(sink: io.BytesIO) -> bytes:
    chunk = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return chunk


def _parse_range(part: str) -> tuple[str, float]:
    media_range, *options = (piece.strip().lower() for piece in part.split(";"))
    for option in options:
        if option.startswith("q="):
            try:
                weight = float(option[2:])
            except ValueError:
                return media_range, 0.0
            return media_range, weight if 0 <= weight <= 1 else 0.0
    return media_range, 1.0


def _find_weight(media_type: str, weights: list[tuple[str, float]]) -> float:
    """Find the weight of the most specific range that a type falls in."""
    family = media_type.split("/")[0] + "/*"
    for wanted in (media_type, family, "*/*"):
        for media_range, weight in weights:
            if media_range == wanted:
                return weight
    return 0.0
