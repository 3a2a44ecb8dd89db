"""Data frames tell the values of a table: nothing is rounded, cut or missing."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.hooks.frames import build_pandas, build_polars

DAY_20000 = 6_585_322
DAY_US = 86_400 * 10**6

CASES: list[tuple[pa.Array, list[Any]]] = [
    (pa.array([2**63 - 1, None]), [2**63 - 1, None]),
    (pa.array([2**64 - 1, None], pa.uint64()), [2**64 - 1, None]),
    (pa.array([Decimal("0.10"), None]), [Decimal("0.10"), None]),
    (pa.array([pa.MonthDayNano((14, 1, 0)), None]), ["P1Y2M1D", None]),
    (pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(['{"a":1.50}'])), ['{"a":1.50}']),
    (pa.array([date(2024, 2, 29), None]), [date(2024, 2, 29), None]),
    (
        pa.array([DAY_20000, 2**31 - 1, -(2**31) + 1, None], pa.int32()).view(pa.date32()),
        ["+20000-01-01", "infinity", "-infinity", None],
    ),
    (
        pa.array([DAY_20000 * DAY_US, 2**63 - 1], pa.int64()).view(pa.timestamp("us", "UTC")),
        ["+20000-01-01T00:00:00+00:00", "infinity"],
    ),
    (pa.array([DAY_US, 0], pa.int64()).view(pa.time64("us")), ["24:00:00", "00:00:00"]),
    (pa.array([1_000_000, None], pa.int64()).view(pa.time64("us")), [time(0, 0, 1), None]),
    (pa.array([10**9, None], pa.int64()).view(pa.time64("ns")), [time(0, 0, 1), None]),
    (pa.array([10**9 + 1, 0], pa.int64()).view(pa.time64("ns")), ["00:00:01.000000001", "00:00:00"]),
    (pa.array([b"\x00\xff", None]), [b"\x00\xff", None]),
]


@pytest.mark.parametrize(
    ("column", "values"), CASES, ids=[str(case[0].type) + str(len(case[0])) for case in CASES]
)
def test_frames_tell_the_values(column: pa.Array, values: list[Any]) -> None:
    import pandas

    table = pa.table({"c": column})
    assert build_polars(table)["c"].to_list() == values
    found = [None if pandas.isna(value) else value for value in build_pandas(table)["c"]]
    assert found == values


def test_decimal_of_more_digits_than_polars_has_is_text() -> None:
    table = pa.table({"c": pa.array([Decimal("1" * 60 + ".50")], pa.decimal256(70, 2))})
    assert build_polars(table)["c"].to_list() == ["1" * 60 + ".50"]
    assert build_pandas(table)["c"].to_list() == [Decimal("1" * 60 + ".50")]


@pytest.mark.parametrize("wrap", ["list", "struct", "map"])
@pytest.mark.parametrize(
    "moment", [pa.array([2**63 - 1], pa.timestamp("us")), pa.array([1], pa.time64("ns"))], ids=str
)
def test_moment_inside_another_type_that_python_has_not_is_refused_with_its_column(
    wrap: str, moment: pa.Array
) -> None:
    columns = {
        "list": pa.ListArray.from_arrays([0, 1], moment),
        "struct": pa.StructArray.from_arrays([moment], ["m"]),
        "map": pa.MapArray.from_arrays([0, 1], pa.array(["k"]), moment),
    }
    for build in (build_pandas, build_polars):
        with pytest.raises(PushMetricsParameterError, match="column 'c' has a date or a time inside"):
            build(pa.table({"c": columns[wrap]}))


def test_moments_inside_other_types_stay_as_they_are() -> None:
    days = pa.array([[date(2024, 2, 29), None], None, []])
    assert build_polars(pa.table({"c": days}))["c"].to_list() == [[date(2024, 2, 29), None], None, []]


def test_union_is_refused_with_its_column() -> None:
    members = [pa.array([1, None]), pa.array([None, "a"])]
    union = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), members, ["x", "y"])
    for build in (build_pandas, build_polars):
        with pytest.raises(PushMetricsParameterError, match="column 'c' has the type sparse_union"):
            build(pa.table({"c": union}))
