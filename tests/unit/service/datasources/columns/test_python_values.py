"""Columns of drivers that do not describe them get the narrowest type that loses nothing."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.columns.python_values import list_columns, read_batches
from airflow_provider_pushmetrics.service.datasources.columns.row_batches import convert_batches

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**30), max_value=10**30),
    st.text(),
    st.binary(),
)


def build(values: list[Any], temp_dir: Path) -> pa.ChunkedArray:
    batches = read_batches(["v"], ([value] for value in values))
    with convert_batches(list_columns(["v"]), batches, max_rows=10**6, temp_dir=temp_dir) as rows:
        return pa.Table.from_batches(rows.batches, rows.schema).column("v")


@given(st.lists(VALUES, max_size=20))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_value_is_lost_whatever_else_is_in_its_column(tmp_path: Path, values: list[Any]) -> None:
    found = build(values, tmp_path).to_pylist()
    assert len(found) == len(values)
    for given_value, value in zip(values, found, strict=True):
        assert is_same(given_value, value), (given_value, value)


def is_same(given_value: Any, found: Any) -> bool:
    if given_value is None or found is None:
        return given_value is found
    if isinstance(found, bytes):
        if isinstance(given_value, bytes):
            return given_value == found
        found = found.decode()
    if isinstance(given_value, str):
        return bool(given_value == found)
    if isinstance(given_value, float):
        return bool(float(found) == given_value)
    return bool(Decimal(found) == given_value)


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1, None], pa.int64()),
        ([True], pa.bool_()),
        ([2**64], pa.decimal128(38, 0)),
        ([Decimal("1.50"), 2], pa.decimal128(38, 2)),
        ([math.inf, 2**60], pa.string()),
        ([date(2024, 1, 1)], pa.date32()),
        ([datetime(2024, 1, 1)], pa.timestamp("us")),
        ([datetime(2024, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        ([], pa.string()),
    ],
)
def test_type_is_the_narrowest(tmp_path: Path, values: list[Any], type_: pa.DataType) -> None:
    assert build(values, tmp_path).type == type_


def test_values_that_no_type_holds_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="column 'v', rows 1 to 2: it contains values of several types"):
        build([date(2024, 1, 1), "text"], tmp_path)


def test_rows_behind_the_limit_are_not_read(tmp_path: Path) -> None:
    rows = ([number] for number in iter(int, 1))  # endless
    with convert_batches(
        list_columns(["v"]), read_batches(["v"], rows), max_rows=25_000, temp_dir=tmp_path
    ) as found:
        assert sum(batch.num_rows for batch in found.batches) == 25_001
