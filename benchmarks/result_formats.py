"""The encoders of results beside well-kept engines: ``python -m benchmarks.result_formats``."""

from __future__ import annotations

import importlib
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as arrow_csv
from rich.console import Console
from rich.table import Table

from airflow_provider_pushmetrics.service.results.encoders import csv_rows, json_rows
from benchmarks.service import WIDE

BATCH_ROWS = 16_384
ROUNDS = 3


def main(console: Console | None = None) -> None:
    """Print the speed of each encoder in one thread, by time of the processor."""
    table = duckdb.sql(WIDE).to_arrow_table().combine_chunks()
    batches = table.to_batches(BATCH_ROWS)
    shown = Table("rows of int64, double, text and date", "MB/s of one core")
    for name, write in _list_writers(table):
        seconds, size = _measure(write, batches)
        shown.add_row(name, f"{size / 1e6 / seconds:.0f}")
    (console or Console()).print(shown)


def _list_writers(table: pa.Table) -> list[tuple[str, Callable[[Sequence[pa.RecordBatch]], int]]]:
    polars: Any = importlib.import_module("polars")
    writers: list[tuple[str, Callable[[Sequence[pa.RecordBatch]], int]]] = [
        ("NDJSON, this service", _each(lambda batch: json_rows.encode_rows(batch, after="\n"))),
        ("NDJSON, polars", _each(lambda batch: polars.from_arrow(batch).write_ndjson().encode())),
        ("NDJSON, DuckDB", lambda batches: _copy(table, "json")),
        ("CSV, this service", _each(csv_rows.encode_rows)),
        ("CSV, pyarrow", _each(_write_arrow_csv)),
        ("CSV, polars", _each(lambda batch: polars.from_arrow(batch).write_csv().encode())),
        ("CSV, DuckDB", lambda batches: _copy(table, "csv")),
    ]
    try:
        orjson: Any = importlib.import_module("orjson")
    except ImportError:
        return writers
    return [*writers, ("NDJSON, orjson", _each(lambda batch: orjson.dumps(batch.to_pylist())))]


def _each(write: Callable[[pa.RecordBatch], bytes]) -> Callable[[Sequence[pa.RecordBatch]], int]:
    return lambda batches: sum(len(write(batch)) for batch in batches)


def _write_arrow_csv(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    arrow_csv.write_csv(batch, sink, arrow_csv.WriteOptions(include_header=False))
    return bytes(memoryview(sink.getvalue()))


def _copy(table: pa.Table, kind: str) -> int:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        path = Path(folder) / f"rows.{kind}"
        connection.execute("SET threads = 1")
        connection.execute(f"COPY (SELECT * FROM \"table\") TO '{path}' (FORMAT {kind})")
        return path.stat().st_size


def _measure(
    write: Callable[[Sequence[pa.RecordBatch]], int], batches: Sequence[pa.RecordBatch]
) -> tuple[float, int]:
    best, size = float("inf"), 0
    for _ in range(ROUNDS):
        began = time.process_time()
        size = write(batches)
        best = min(best, time.process_time() - began)
    return best, size


if __name__ == "__main__":
    main()
