"""Results as tables in messages."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_pushmetrics.service.datasources.base import RowBatches
from airflow_provider_pushmetrics.service.notifications.tables import Extent, ResultTable, read_cells
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from tests.fakes.markup import HOSTILE, find_structure


def make_table(folder: Path, columns: dict[str, Any], *, is_truncated: bool = False) -> ResultTable:
    results = ResultStore(folder)
    batch = pa.record_batch(columns)
    results.write("run-1/q.parquet", RowBatches(batch.schema, iter([batch])))
    return ResultTable(
        lambda limit: read_cells(results, "run-1/q.parquet", limit), Extent(batch.num_rows, is_truncated)
    )


def test_values_are_written_as_in_every_format_and_numbers_stand_at_the_right(tmp_path: Path) -> None:
    table = make_table(
        tmp_path,
        {
            "name": pa.array(["a", None, "ü\nb"]),
            "amount": pa.array([Decimal("0.10"), Decimal("-12.50"), None]),
            "list": pa.array([[1, None], [], None]),
        },
    )
    assert str(table).splitlines() == [
        "name  amount  list",
        "----------------------",
        "a       0.10  [1,null]",
        "      -12.50  []",
        "ü b",
    ]
    html = table.embed().html
    assert '<th>name</th><th align="right">amount</th><th>list</th>' in html
    assert '<tr><td>a</td><td align="right">0.10</td><td>[1,null]</td></tr>' in html
    assert '<tr><td></td><td align="right">-12.50</td><td>[]</td></tr>' in html


@pytest.mark.parametrize(
    ("count", "is_truncated", "shown", "note"),
    [
        (5, False, 10, None),
        (5, False, 2, "First 2 of 5 rows."),
        (5, True, 10, "First 5 of more rows."),
        (5, True, 2, "First 2 of more than 5 rows."),
        (2345, False, 100, "First 100 of 2,345 rows."),
    ],
)
def test_table_says_which_rows_it_has(
    tmp_path: Path, count: int, is_truncated: bool, shown: int, note: str | None
) -> None:
    table = make_table(tmp_path, {"n": pa.array(range(count))}, is_truncated=is_truncated).head(shown)
    fragment = table.embed()
    assert fragment.html.count("<tr>") == 1 + min(count, shown)
    for text in (fragment.html, fragment.text):
        assert ("irst " in text, (note or "") in text) == (note is not None, True)


def test_result_without_rows_is_its_header(tmp_path: Path) -> None:
    assert str(make_table(tmp_path, {"n": pa.array([], pa.int64())})) == "n\n-"


@pytest.mark.parametrize("count", [0, -1, 1001, True, "5"])
def test_table_of_an_impossible_number_of_rows_is_refused(tmp_path: Path, count: Any) -> None:
    with pytest.raises(BlockTemplateError, match="a table shows from 1 to 1000 rows"):
        make_table(tmp_path, {"n": pa.array([1])}).head(count)


def test_no_value_and_no_name_of_a_column_becomes_markup(tmp_path: Path) -> None:
    harmless = find_structure(make_table(tmp_path / "a", {"x": pa.array(["y"] * len(HOSTILE))}).embed().html)
    for number, name in enumerate(HOSTILE):
        html = make_table(tmp_path / str(number), {name: pa.array(HOSTILE)}).embed().html
        assert find_structure(html) == harmless
