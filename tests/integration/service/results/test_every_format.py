"""Generated columns of every Arrow type, in every format, beside an oracle."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from airflow_provider_pushmetrics.service.datasources.base import RowBatches
from airflow_provider_pushmetrics.service.results.encoders.formats import (
    ResultHeader,
    write_arrow,
    write_csv,
    write_json,
    write_ndjson,
)
from airflow_provider_pushmetrics.service.results.encoders.xlsx import open_xlsx
from airflow_provider_pushmetrics.service.results.store import ResultStore, StoredResult
from airflow_provider_pushmetrics.service.results.values import write_json as write_value
from airflow_provider_pushmetrics.service.results.values import write_text
from airflow_provider_pushmetrics.service.web.block_results import read_rows
from tests.fakes.result_kinds import FLAT, Digits, Kind, kinds, load, same

HEADER = ResultHeader(query_id=2, query_name="q", run_id=1, status="success")


@st.composite
def columns(draw: st.DrawFn, kind: st.SearchStrategy[Kind] = kinds) -> tuple[Kind, list[Any]]:
    """A column of any type with some values."""
    chosen = draw(kind)
    return chosen, draw(st.lists(chosen.any_value, max_size=6))


@contextmanager
def store(kind: Kind, raws: list[Any]) -> Iterator[tuple[ResultStore, StoredResult]]:
    """Store a column in two batches, the second one a slice in the middle of a larger array."""
    whole = kind.build(kind.source, [*raws, *raws[:1], *raws])
    halves = [whole.slice(0, len(raws)), whole.slice(len(raws) + len(raws[:1]))]
    schema = pa.schema([pa.field("c", kind.source)])
    batches = [pa.RecordBatch.from_arrays([half], schema=schema) for half in halves]
    with tempfile.TemporaryDirectory() as folder:
        results = ResultStore(Path(folder))
        assert results.write("a.parquet", RowBatches(schema, iter(batches))) == 2 * len(raws)
        with results.open("a.parquet") as result:
            yield results, result


def tell(kind: Kind, raw: Any) -> Any:
    return None if raw is None else kind.tell(raw)


def read_cells(csv: str) -> list[tuple[str, bool]]:
    """Read CSV of one column; tell of each cell whether it was quoted."""
    cells: list[tuple[str, bool]] = []
    while csv:
        if not csv.startswith('"'):
            cell, _, csv = csv.partition("\r\n")
            cells.append((cell, False))
            continue
        end = 1
        while csv[end] != '"' or csv[end + 1] == '"':
            end += 2 if csv[end] == '"' else 1
        cells.append((csv[1:end].replace('""', '"'), True))
        assert csv[end + 1 : end + 3] == "\r\n"
        csv = csv[end + 3 :]
    return cells


def is_text_of(kind: Kind, told: Any, text: str) -> bool:
    """Tell whether a text for people says a value."""
    match told:
        case Digits():
            return same(told, load(text))
        case float():
            return text in {"NaN", "Infinity", "-Infinity"} and repr(told) == repr(float(text))
        case bool():
            return text == str(told).lower()
        case str():
            return text == told
        case _:
            return same(told, load(text))


def read_raws(array: pa.Array) -> list[Any]:
    """Read a column as integers and texts, which can be compared."""
    kind = array.type
    if len(array) == 0:
        return []
    if isinstance(kind, pa.JsonType):
        return read_raws(array.storage)
    if pa.types.is_temporal(kind) and kind != pa.month_day_nano_interval():
        return list(array.view(pa.int32() if kind.bit_width == 32 else pa.int64()).to_pylist())
    if pa.types.is_struct(kind):
        rows = zip(*(read_raws(array.field(at)) for at in range(kind.num_fields)), strict=True)
        return [row if ok else None for row, ok in zip(rows, array.is_valid().to_pylist(), strict=True)]
    if pa.types.is_union(kind):
        codes = array.type_codes.to_pylist()
        members = [read_raws(array.field(at)) for at in range(kind.num_fields)]
        return [(code, members[code][row]) for row, code in enumerate(codes)]
    if pa.types.is_map(kind):
        found = [array.slice(row, 1) for row in range(len(array))]
        return [
            None
            if not one[0].is_valid
            else list(
                zip(*(read_raws(part.slice(*bounds(one))) for part in (one.keys, one.items)), strict=True)
            )
            for one in found
        ]
    if pa.types.is_nested(kind):
        return [None if one.values is None else read_raws(one.values) for one in array]
    return [repr(one) if isinstance(one, float) else one for one in array.to_pylist()]


def bounds(array: pa.MapArray) -> tuple[int, int]:
    first, last = array.offsets.to_pylist()
    return first, last - first


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(columns())
def test_every_format_tells_the_same_value(column: tuple[Kind, list[Any]]) -> None:
    kind, raws = column
    told = [tell(kind, raw) for raw in raws] * 2
    with store(kind, raws) as (_, result):
        assert result.schema == pa.schema([pa.field("c", kind.final)])
        answer = load(b"".join(write_json(HEADER, result)))
        assert answer["row_count"] == Digits(str(len(told)))
        for wanted, row in zip(told, answer["data"], strict=True):
            assert same(wanted, row["c"]), row
        lines = b"".join(write_ndjson(result)).split(b"\n")
        assert lines.pop() == b""
        for wanted, line in zip(told, lines, strict=True):
            assert same(wanted, load(line)["c"]), line
        header, *cells = read_cells(b"".join(write_csv(result)).decode())
        assert header == ("c", False)
        check_cells(kind, told, [None if cell == ("", False) else cell[0] for cell in cells])
        check_cells(kind, told, [row[0] for row in read_rows(result, 0, 500)])


def check_cells(kind: Kind, told: list[Any], cells: list[str | None]) -> None:
    for wanted, cell in zip(told, cells, strict=True):
        if wanted is None:
            assert cell is None
        else:
            assert cell is not None
            assert is_text_of(kind, wanted, cell), (wanted, cell)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(columns())
def test_arrow_and_parquet_have_the_value_itself(column: tuple[Kind, list[Any]]) -> None:
    kind, raws = column
    wanted = read_raws(kind.build(kind.final, raws * 2))
    with store(kind, raws) as (results, result):
        table = pa.ipc.open_stream(b"".join(write_arrow(result))).read_all()
        assert table.schema.types == [kind.final]
        assert [one for chunk in table["c"].chunks for one in read_raws(chunk)] == wanted
        path = results.find_path("a.parquet")
        assert path is not None
        at_rest = pq.read_table(path)
        if at_rest.schema.types == [kind.final]:
            assert [one for chunk in at_rest["c"].chunks for one in read_raws(chunk)] == wanted


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(columns())
def test_templates_see_the_value(column: tuple[Kind, list[Any]]) -> None:
    kind, raws = column
    told = [tell(kind, raw) for raw in raws] * 2
    with store(kind, raws) as (results, _):
        rows = results.read_rows("a.parquet")
    for wanted, row in zip(told, rows, strict=True):
        value = row["c"]
        assert same(wanted, load(write_value(value)), by_value=True), value
        if wanted is not None and not kind.is_document:
            assert is_text_of(kind, wanted, write_text(value)), value


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(columns(kinds | st.sampled_from(FLAT)))
def test_workbook_has_the_value(column: tuple[Kind, list[Any]]) -> None:
    kind, raws = column
    told = [tell(kind, raw) for raw in raws] * 2
    with store(kind, raws) as (results, result), open_xlsx(results, result) as file:
        sheet = openpyxl.load_workbook(io.BytesIO(file.read()))["Result"]
    cells = [row[0] for row in sheet.iter_rows(min_row=2, min_col=1, max_col=1)]
    cells += [None] * (len(told) - len(cells))  # rows of nothing at the end
    for wanted, cell in zip(told, cells, strict=True):
        value = None if cell is None else cell.value
        match value:
            case None:
                assert wanted is None
            case bool():
                assert wanted is value
            case int() | float():
                assert Decimal(wanted.text) == Decimal(repr(value)), (wanted, value)
            case datetime() if pa.types.is_date(kind.final):
                assert value.date().isoformat() == wanted
            case str():
                assert cell is not None
                assert cell.data_type == "s"
                assert is_text_of(kind, wanted, unescape(value)), (wanted, value)
            case _:
                assert value.isoformat() == wanted


@pytest.mark.parametrize("kind", FLAT, ids=[str(kind.source) for kind in FLAT])
def test_column_without_rows_and_of_nulls_has_the_same_schema(kind: Kind) -> None:
    for raws in ([], [None, None]):
        with store(kind, raws) as (_, result):
            assert result.schema == pa.schema([pa.field("c", kind.final)])
            assert load(b"".join(write_json(HEADER, result)))["data"] == [{"c": None}] * 2 * len(raws)
            assert b"".join(write_csv(result)) == b"c\r\n" + b"\r\n" * 2 * len(raws)
