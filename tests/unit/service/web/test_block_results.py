"""Some rows of a result, wherever they are in it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_pushmetrics.service.results.stored_result import StoredResult
from airflow_provider_pushmetrics.service.web.block_results import (
    MAX_PAGE_CELL_LENGTH,
    MAX_PAGE_ROWS,
    write_rows,
)

TOTAL = 2_345


@pytest.fixture(name="numbers", scope="module")
def write_numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result in row groups of 1,000."""
    path = tmp_path_factory.mktemp("results") / "numbers.parquet"
    pq.write_table(pa.table({"n": list(range(TOTAL))}), path, row_group_size=1_000)
    return path


def read(path: Path, offset: int, limit: int) -> list[list[Any]]:
    with StoredResult(path) as result:
        return list(write_rows(result.read_slice(offset, limit)))


@pytest.mark.parametrize("limit", [1, 50, MAX_PAGE_ROWS])
@pytest.mark.parametrize("offset", [0, 1, 499, 500, 999, 1_000, 1_001, 1_999, 2_300, TOTAL, TOTAL + 1])
def test_page_has_the_rows_that_stand_there(numbers: Path, offset: int, limit: int) -> None:
    assert read(numbers, offset, limit) == [[str(n)] for n in range(TOTAL)[offset : offset + limit]]


def test_result_without_rows_has_an_empty_page(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": pa.array([], pa.int64())}), tmp_path / "empty.parquet")
    assert read(tmp_path / "empty.parquet", 0, 50) == []


def test_cells_are_texts_in_which_no_digit_is_lost(tmp_path: Path) -> None:
    row = {
        "exact": 2**53 - 1,
        "large": 2**53,
        "text": "x" * (MAX_PAGE_CELL_LENGTH + 1),
        "day": date(2026, 3, 1),
        "price": Decimal("9.50"),
        "nan": float("nan"),
        "empty": "",
        "nothing": None,
        "list": [1, None],
        "yes": True,
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "cells.parquet")
    [cells] = read(tmp_path / "cells.parquet", 0, 1)
    shown = "x" * MAX_PAGE_CELL_LENGTH + "… (2,001 characters)"
    assert cells == [
        str(2**53 - 1), str(2**53), shown, "2026-03-01", "9.50", "NaN", "", None, "[1,null]", "true",
    ]  # fmt: skip
