"""Results in six formats, chosen by ``Accept``."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_pushmetrics.service.datasources.base import RowBatches
from airflow_provider_pushmetrics.service.results.encoders.formats import (
    ARROW,
    CSV,
    JSON,
    NDJSON,
    PARQUET,
    XLSX,
    CsvOptions,
    ResultHeader,
    choose_format,
    write_arrow,
    write_csv,
    write_empty_json,
    write_json,
    write_ndjson,
)
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import Completeness, ResultError, StoredResult

HEADER = ResultHeader(query_id=2, query_name="q", run_id=1, status="success")


WHOLE = Completeness()


@contextmanager
def open_table(table: pa.Table, truncation: Completeness = WHOLE) -> Iterator[StoredResult]:
    """Store a table, and open it."""
    with tempfile.TemporaryDirectory() as folder:
        results = ResultStore(Path(folder))
        results.write("a.parquet", RowBatches(table.schema, iter(table.to_batches())), lambda: truncation)
        with results.open("a.parquet") as result:
            yield result


def read_json(table: pa.Table) -> Any:
    with open_table(table) as file:
        return json.loads(b"".join(write_json(HEADER, file)))


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/*", JSON),
        ("text/*", CSV),
        ("TEXT/CSV", CSV),
        ("text/csv;q=0.5, application/x-ndjson", NDJSON),
        ("application/json;q=0, */*", NDJSON),
        ("application/vnd.apache.arrow.stream", ARROW),
        ("text/html, application/vnd.apache.parquet;q=0.1", PARQUET),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", XLSX),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=nan", None),
        ("application/json;q=abc", None),
        (";;,,", None),
    ],
)
def test_format_follows_accept(accept: str | None, expected: str | None) -> None:
    assert choose_format(accept) == expected


def test_json_has_the_documented_keys_in_their_order() -> None:
    answer = read_json(pa.table({"a": [1, 2]}))
    fixed = ["query_id", "query_name", "run_id", "status", "columns", "row_count"]
    added = ["max_rows", "row_limit", "timeout_seconds", "is_truncated"]
    assert list(answer) == [*fixed, *added, "data"]
    assert answer["columns"] == [{"name": "a", "type": "int64"}]
    assert (answer["row_count"], answer["data"]) == (2, [{"a": 1}, {"a": 2}])


@pytest.mark.parametrize("count", [0, 1, 16_384, 16_385, 40_000])
def test_every_row_is_written_whatever_the_batches(count: int) -> None:
    table = pa.table({"n": pa.array(range(count), pa.int64()), "s": pa.array(["x"] * count, pa.string())})
    assert [row["n"] for row in read_json(table)["data"]] == list(range(count))
    with open_table(table) as file:
        lines = b"".join(write_ndjson(file)).splitlines()
        assert [json.loads(line)["n"] for line in lines] == list(range(count))
        rows = list(csv.reader(io.StringIO(b"".join(write_csv(file)).decode())))
        assert rows[0] == ["n", "s"]
        assert [int(row[0]) for row in rows[1:]] == list(range(count))
        assert pa.ipc.open_stream(b"".join(write_arrow(file))).read_all() == table


def test_failed_query_has_its_message_and_no_rows() -> None:
    header = ResultHeader(query_id=2, query_name="q", run_id=1, status="failed", error="no such column")
    query = {"query_id": 2, "query_name": "q", "run_id": 1, "status": "failed", "error": "no such column"}
    limits = {"max_rows": None, "row_limit": None, "timeout_seconds": None, "is_truncated": False}
    rows: dict[str, Any] = {"columns": [], "row_count": 0, "data": []}
    assert json.loads(write_empty_json(header)) == {**query, **limits, **rows}


def write_whole_csv(table: pa.Table, **options: bool) -> str:
    with open_table(table) as result:
        return b"".join(write_csv(result, CsvOptions(**options))).decode()


def test_csv_for_people_begins_with_a_mark() -> None:
    assert write_whole_csv(pa.table({"a": [1]}), bom=True) == "\ufeffa\r\n1\r\n"


def test_guard_stands_before_formulas_and_not_before_numbers() -> None:
    texts = ["=1+1", "+a", "-a", "@a", "\ta", "\ra", "a=1", "-5", "+1.5", "-5+1", None, ""]
    numbers = [float(-number) for number in range(len(texts))]
    csv_text = write_whole_csv(pa.table({"=t": texts, "n": numbers}), guard=True)
    rows = list(csv.reader(io.StringIO(csv_text, newline="")))
    assert [row[0] for row in rows] == [
        "'=t", "'=1+1", "'+a", "'-a", "'@a", "'\ta", "'\ra", "a=1", "-5", "+1.5", "'-5+1", "", "",
    ]  # fmt: skip
    assert [row[1] for row in rows][1:4] == ["0", "-1", "-2"]
    assert "=1+1" in write_whole_csv(pa.table({"t": texts}))


def test_arrow_says_whether_rows_were_cut_off() -> None:
    for truncation, told in ((Completeness(True, 2), b"true"), (Completeness(False, 2), b"false")):
        with open_table(pa.table({"a": [1, 2]}), truncation) as result:
            schema = pa.ipc.open_stream(b"".join(write_arrow(result))).schema
        assert schema.metadata == {b"pushmetrics.truncated": told, b"pushmetrics.row_limit": b"2"}


def test_result_without_columns_has_no_rows() -> None:
    schema = pa.schema([])
    rows = pa.RecordBatch.from_struct_array(pa.array([{}, {}], pa.struct([])))
    with tempfile.TemporaryDirectory() as folder:
        results = ResultStore(Path(folder))
        assert results.write("a.parquet", RowBatches(schema, iter([rows]))) == 0
        with results.open("a.parquet") as result:
            answer = json.loads(b"".join(write_json(HEADER, result)))
            assert (answer["columns"], answer["row_count"], answer["data"]) == ([], 0, [])
            assert b"".join(write_ndjson(result)) == b""
            assert b"".join(write_csv(result)) == b""
            assert pa.ipc.open_stream(b"".join(write_arrow(result))).read_all().num_rows == 0


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(["1", '{"a":NaN}'])),
            "column 'c' has a value in rows 3 to 4 that no format can represent: NaN is not JSON",
        ),
        (
            pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(["1", "[" * 100_000])),
            "nested too deeply",
        ),
        (
            pa.StringArray.from_buffers(
                2, pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer(b"a\xff")
            ),
            "rows 3 to 4 that no format can represent: Invalid UTF8",
        ),
        (pa.array([0, -1]).view(pa.time64("us")), "not between 00:00:00 and 24:00:00"),
        (pa.array([0, 2**62]).view(pa.timestamp("s")), "overflow"),
    ],
    ids=["NaN in JSON", "deep JSON", "UTF-8", "time", "timestamp"],
)
def test_what_cannot_be_served_is_refused_when_it_is_stored(column: pa.Array, message: str) -> None:
    schema = pa.schema([pa.field("c", column.type)])
    good = pa.RecordBatch.from_arrays([pa.nulls(2, column.type)], schema=schema)
    bad = pa.RecordBatch.from_arrays([column], schema=schema)
    with tempfile.TemporaryDirectory() as folder, pytest.raises(ResultError, match=message):
        ResultStore(Path(folder)).write("a.parquet", RowBatches(schema, iter([good, bad])))


@pytest.mark.parametrize(
    "kind",
    [pa.struct([]), pa.struct([("a", pa.int8()), ("a", pa.int8())]), pa.list_(pa.struct([]))],
    ids=["no fields", "same fields", "in a list"],
)
def test_type_that_no_format_has_is_refused_with_its_column(kind: pa.DataType) -> None:
    schema = pa.schema([pa.field("c", kind)])
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.raises(ResultError, match="column 'c' has values with"),
    ):
        ResultStore(Path(folder)).write("a.parquet", RowBatches(schema, iter([])))
