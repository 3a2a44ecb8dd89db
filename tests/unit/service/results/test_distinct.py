"""Columns that repeat few values."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.service.results.distinct import find_distinct

COPIES = 5


def decode(column: pa.Array) -> list[Any]:
    """Find the distinct values, and put them back in their rows."""
    found = find_distinct(column)
    assert found is not None
    assert found.indices.null_count == 0
    return list(found.dictionary.take(found.indices).to_pylist())


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 2, None], pa.int64()),
        pa.array(["a", "", None]),
        pa.array([b"\x00", b"", None]),
        pa.array([date(2024, 2, 29), None]),
        pa.array([1, None]).cast(pa.timestamp("ns", "UTC")),
        pa.array([86_400_000_000, None]).view(pa.time64("us")),
        pa.array([Decimal("0.10"), None]),
    ],
    ids=lambda values: str(values.type),
)
def test_values_stay_in_their_rows(values: pa.Array) -> None:
    column = pa.concat_arrays([values] * COPIES)
    assert decode(column) == column.to_pylist()
    assert decode(column.slice(1)) == column.slice(1).to_pylist()


@given(st.lists(st.none() | st.floats(width=32), min_size=1, max_size=6), st.sampled_from(["f", "d"]))
@example([0.0, -0.0], "d")
def test_floats_keep_their_bits(values: list[float | None], width: str) -> None:
    column = pa.array(values * COPIES, pa.float32() if width == "f" else pa.float64())
    assert list(map(repr, decode(column))) == list(map(repr, column.to_pylist()))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([], pa.int64()),
        pa.array([1]),
        pa.array(range(10_000)),
        pa.array([*[0] * 1024, *range(1024)]),
        pa.array([True] * 100),
        pa.array([[1]] * 100),
        pa.nulls(100),
        pa.array(["x" * 1000] * 100),
        pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(["1"] * 100)),
    ],
    ids=["empty", "one", "many", "many after few", "bool", "list", "null", "large", "JSON"],
)
def test_other_columns_are_left_as_they_are(column: pa.Array) -> None:
    assert find_distinct(column) is None
