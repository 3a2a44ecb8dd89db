"""Results in five formats, chosen by ``Accept``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_pushmetrics.service.results.formats import (
    ARROW,
    CSV,
    JSON,
    NDJSON,
    PARQUET,
    ResultHeader,
    choose_format,
    write_arrow,
    write_csv,
    write_empty_json,
    write_json,
    write_ndjson,
)

HEADER = ResultHeader(query_id=2, query_name="q", run_id=1, status="success")


@contextmanager
def open_table(table: pa.Table) -> Iterator[pq.ParquetFile]:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    with pq.ParquetFile(io.BytesIO(sink.getvalue())) as file:
        yield file


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
    assert list(answer) == [*fixed, "max_rows", "timeout_seconds", "is_truncated", "data"]
    assert answer["columns"] == [{"name": "a", "type": "int64"}]
    assert (answer["row_count"], answer["data"]) == (2, [{"a": 1}, {"a": 2}])


def test_values_that_json_lacks_become_what_it_has() -> None:
    table = pa.table(
        {
            "f": [float("nan"), float("inf"), 1.5],
            "m": pa.array([Decimal("1.50"), Decimal("2"), None], pa.decimal128(10, 2)),
            "d": [date(2013, 1, 1), None, None],
            "t": pa.array([datetime(2013, 1, 1, 5, tzinfo=UTC), None, None], pa.timestamp("us", "UTC")),
            "o": [time(1, 2, 3), None, None],
            "i": pa.array([timedelta(seconds=90), None, None], pa.duration("us")),
            "b": [b"\x01\xff", None, None],
            "s": [{"x": float("nan"), "y": [date(2013, 1, 2)]}, None, None],
            "u": ['é"\n', None, None],
        }
    )
    rows = read_json(table)["data"]
    assert rows[0] == {
        "f": None,
        "m": 1.5,
        "d": "2013-01-01",
        "t": "2013-01-01T05:00:00+00:00",
        "o": "01:02:03",
        "i": 90.0,
        "b": "01ff",
        "s": {"x": None, "y": ["2013-01-02"]},
        "u": 'é"\n',
    }
    assert [row["f"] for row in rows] == [None, None, 1.5]
    assert [row["m"] for row in rows] == [1.5, 2, None]


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


def test_csv_quotes_and_writes_nested_values_as_json() -> None:
    table = pa.table({"a": ['x,"y"\nz'], "b": [[1, 2]], "c": [True], "d": pa.array([None], pa.int64())})
    with open_table(table) as file:
        assert b"".join(write_csv(file)).decode() == 'a,b,c,d\r\n"x,""y""\nz","[1,2]",true,\r\n'


def test_failed_query_has_its_message_and_no_rows() -> None:
    header = ResultHeader(query_id=2, query_name="q", run_id=1, status="failed", error="no such column")
    assert json.loads(write_empty_json(header)) == {
        "query_id": 2,
        "query_name": "q",
        "run_id": 1,
        "status": "failed",
        "error": "no such column",
        "columns": [],
        "row_count": 0,
        "max_rows": None,
        "timeout_seconds": None,
        "is_truncated": False,
        "data": [],
    }
