"""Generated columns of every Arrow type, in every format, beside an oracle."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Mapping
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
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import StoredResult
from airflow_provider_pushmetrics.service.results.values import write_json as write_value
from airflow_provider_pushmetrics.service.results.values import write_text
from airflow_provider_pushmetrics.service.web.block_results import write_rows
from tests.fakes.result_kinds import FLAT, Digits, Kind, kinds, load, same

NAMES = ("a", "b.c", 'x,"y"\\\n', "ü")
REPEATS = 5
"""Stored twice, each value is then at most one of ten."""

HEADER = ResultHeader(query_id=2, query_name="q", run_id=1, status="success")


@st.composite
def columns(draw: st.DrawFn, kind: st.SearchStrategy[Kind] = kinds) -> tuple[Kind, list[Any]]:
    """A column of any type with some values, or with a few that repeat, which are encoded in another way."""
    chosen = draw(kind)
    return chosen, draw(st.lists(chosen.any_value, max_size=6)) * draw(st.sampled_from([1, REPEATS]))


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[Kind, list[Any]]]:
    """Some columns of one length, each with values that repeat or not."""
    count = draw(st.integers(0, 6))
    found = []
    for chosen in draw(st.lists(kinds, min_size=1, max_size=len(NAMES))):
        few = draw(st.lists(chosen.any_value, min_size=count, max_size=count)) * REPEATS
        values = st.lists(chosen.any_value, min_size=len(few), max_size=len(few))
        found.append((chosen, few if draw(st.booleans()) else draw(values)))
    return found


@contextmanager
def store(kind: Kind, raws: list[Any]) -> Iterator[tuple[ResultStore, StoredResult]]:
    """Store one column, named ``c``."""
    with store_table({"c": (kind, raws)}) as (results, result):
        yield results, result


@contextmanager
def store_table(columns: Mapping[str, tuple[Kind, list[Any]]]) -> Iterator[tuple[ResultStore, StoredResult]]:
    """Store columns in two batches, the second one a slice in the middle of larger arrays."""
    arrays = [kind.build(kind.source, [*raws, *raws[:1], *raws]) for kind, raws in columns.values()]
    schema = pa.schema([pa.field(name, kind.source) for name, (kind, _) in columns.items()])
    whole = pa.RecordBatch.from_arrays(arrays, schema=schema)
    count = whole.num_rows // 2
    batches = [whole.slice(0, count), whole.slice(whole.num_rows - count)]
    with tempfile.TemporaryDirectory() as folder:
        results = ResultStore(Path(folder))
        assert results.write("a.parquet", RowBatches(schema, iter(batches))) == 2 * count
        with results.open("a.parquet") as result:
            yield results, result


def tell(kind: Kind, raw: Any) -> Any:
    return None if raw is None else kind.tell(raw)


def read_cells(csv: str) -> list[list[tuple[str, bool]]]:
    """Read the rows of CSV; tell of each cell whether it was quoted."""
    rows: list[list[tuple[str, bool]]] = []
    row: list[tuple[str, bool]] = []
    while csv:
        if csv.startswith('"'):
            end = 1
            while csv[end] != '"' or csv[end + 1] == '"':
                end += 2 if csv[end] == '"' else 1
            row.append((csv[1:end].replace('""', '"'), True))
            end += 1
        else:
            end = min(at for at in (csv.find(","), csv.find("\r\n")) if at >= 0)
            row.append((csv[:end], False))
        if csv[end] != ",":
            assert csv[end : end + 2] == "\r\n"
            rows.append(row)
            row, end = [], end + 1
        csv = csv[end + 1 :]
    return rows


def is_text_of(kind: Kind, told: Any, text: str) -> bool:
    """Return whether a text for people says a value."""
    match told:
        case Digits():
            return same(told, load(text))
        case float():
            return text in {"NaN", "Infinity", "-Infinity"} and repr(told) == repr(float(text))
        case bool():
            return text == str(told).lower()
        case str():
            return text == told
        case _:  # a number of a document in it may be written in another way
            return same(told, load(text), by_value=True)


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


@pytest.mark.slow
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
        header, *rows = read_cells(b"".join(write_csv(result)).decode())
        assert header == [("c", False)]
        check_cells(kind, told, [None if cell == ("", False) else cell[0] for (cell,) in rows])
        check_cells(kind, told, [row[0] for row in write_rows(result.read_slice(0, 500))])


@pytest.mark.slow
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_rows_of_several_columns_have_each_value_in_its_place(table: list[tuple[Kind, list[Any]]]) -> None:
    columns = dict(zip(NAMES, table, strict=False))
    told = [[tell(kind, raw) for raw in raws] * 2 for kind, raws in columns.values()]
    names = list(columns)
    with store_table(columns) as (_, result):
        data = load(b"".join(write_json(HEADER, result)))["data"]
        lines = [load(line) for line in b"".join(write_ndjson(result)).split(b"\n")[:-1]]
        header, *rows = read_cells(b"".join(write_csv(result)).decode())
    assert [cell for cell, _ in header] == names
    assert len(data) == len(lines) == len(rows) == len(told[0])
    for wanted, row, line in zip(zip(*told, strict=True), data, lines, strict=True):
        assert list(row) == list(line) == names
        assert all(map(same, wanted, row.values())), row
        assert all(map(same, wanted, line.values())), line
    for at, (kind, _) in enumerate(columns.values()):
        check_cells(kind, told[at], [None if row[at] == ("", False) else row[at][0] for row in rows])


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
        found = results.find("a.parquet")
        assert found is not None
        at_rest = pq.read_table(found.source)
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
