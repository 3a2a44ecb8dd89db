"""What the values of SQLite and the types of DuckDB become."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.drivers.sqlite import SqliteSource
from airflow_provider_pushmetrics.service.datasources.duckdb.source import DuckDbSource
from tests.fakes.datasources import fetch_rows, fetch_table

TENTH = Decimal("0.1000000000000000055511151231257827021181583404541015625")
HUGE = 340282366920938463463374607431768211455
INT38 = pa.decimal128(38, 0)
JSON = pa.json_()


@pytest.mark.parametrize(
    ("expressions", "type_", "values"),
    [
        (["1", "null"], pa.int64(), [1, None]),
        (["9223372036854775807"], pa.int64(), [2**63 - 1]),
        (["1", "1.5"], pa.float64(), [1.0, 1.5]),
        (["9007199254740993", "1.5"], pa.decimal128(38, 1), [Decimal(9007199254740993), Decimal("1.5")]),
        (["9007199254740993", "0.1"], pa.decimal256(76, 55), [Decimal(9007199254740993), TENTH]),
        (["9007199254740993", "1e300"], pa.string(), ["9007199254740993", "1e+300"]),
        (["9e999", "1.5"], pa.float64(), [math.inf, 1.5]),
        (["1.5", "'text'", "2"], pa.string(), ["1.5", "text", "2"]),
        (["'text'", "x'00ff'", "1"], pa.binary(), [b"text", b"\x00\xff", b"1"]),
        (["x'00'"], pa.binary(), [b"\x00"]),
        (["null"], pa.string(), [None]),
    ],
)
def test_column_of_sqlite_has_the_narrowest_type_of_all_its_values(
    sqlite: SqliteSource, expressions: list[str], type_: pa.DataType, values: list[Any]
) -> None:
    for order in (1, -1):
        sql = " UNION ALL ".join(f"SELECT {one} AS v" for one in expressions[::order])
        table = fetch_table(sqlite, sql)
        assert table.schema.field("v").type == type_
        assert table.column("v").to_pylist() == values[::order]


def test_last_row_of_many_can_change_the_type(sqlite: SqliteSource) -> None:
    numbers = "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a WHERE n < 25001) "
    for last, type_ in (("1.5", pa.float64()), ("'x'", pa.string()), ("1", pa.int64())):
        sql = f"{numbers} SELECT CASE WHEN n < 25001 THEN 1 ELSE {last} END AS v FROM a"
        table = fetch_table(sqlite, sql)
        assert table.schema.field("v").type == type_
        assert str(table.column("v")[-1]) == last.strip("'")


def test_bound_values_come_back_from_sqlite(sqlite: SqliteSource) -> None:
    (row,) = fetch_rows(sqlite, "SELECT {} AS a, {} AS b, {} AS c", "it's ?1", 2**62, b"\x00")
    assert row == {"a": "it's ?1", "b": 2**62, "c": b"\x00"}


@pytest.mark.parametrize(
    ("expression", "type_", "value"),
    [
        ("1::TINYINT", pa.int8(), 1),
        ("sum(1)", INT38, Decimal(1)),
        (f"{HUGE}::UHUGEINT", pa.decimal256(76, 0), Decimal(HUGE)),
        (f"{HUGE}0000::BIGNUM", pa.decimal256(76, 0), Decimal(f"{HUGE}0000")),
        ("(-170141183460469231731687303715884105728)::HUGEINT", pa.decimal256(76, 0), Decimal(-(2**127))),
        (
            "timestamptz '2024-01-02 03:04:05+02'",
            pa.timestamp("us", "UTC"),
            datetime(2024, 1, 2, 1, 4, 5, tzinfo=UTC),
        ),
        ("""'{"a": 1.0}'::JSON""", JSON, '{"a": 1.0}'),
        ("union_value(num := 2)", JSON, '{"num":2}'),
        ("[union_value(num := 2)]", JSON, '[{"num":2}]'),
        ("['{\"a\": 1.50}'::JSON, NULL, '\"x\"'::JSON]", JSON, '[{"a": 1.50},null,"x"]'),
        ("[]::JSON[]", JSON, "[]"),
        ("NULL::JSON[]", JSON, None),
        ('union_value("it\'s" := NULL::INTEGER)', JSON, '{"it\'s":null}'),
        ("NULL::UNION(a INTEGER)", JSON, None),
        ("null", pa.string(), None),
        ("[1::HUGEINT, null]", None, [Decimal(1), None]),
        ("array_value(1, 2)", None, [1, 2]),
        ("[timestamptz '2024-01-01 00:00:00+00']", None, [datetime(2024, 1, 1, tzinfo=UTC)]),
        ("{'a': 1::UHUGEINT, 'b': '1'::BIT}", None, {"a": Decimal(1), "b": "1"}),
        ("map {'a': 1::HUGEINT}", None, [("a", Decimal(1))]),
        ("['a'::ENUM('a')]", None, ["a"]),
        ("[[1], []]", None, [[1], []]),
    ],
)
def test_value_of_duckdb_has_its_type_and_arrives_exactly(
    duckdb_source: DuckDbSource, expression: str, type_: pa.DataType | None, value: Any
) -> None:
    table = fetch_table(duckdb_source, f"SELECT {expression} AS v", time_zone="Asia/Tokyo")
    assert type_ is None or table.schema.field("v").type == type_
    assert table.column("v").to_pylist() == [value]


def test_infinity_of_duckdb_keeps_its_number(duckdb_source: DuckDbSource) -> None:
    found = fetch_table(duckdb_source, "SELECT 'infinity'::TIMESTAMPTZ AS v").column("v").combine_chunks()
    assert found.view(pa.int64()).to_pylist() == [2**63 - 1]


def test_interval_of_duckdb_that_arrow_cannot_hold_is_refused(duckdb_source: DuckDbSource) -> None:
    with pytest.raises(SourceError, match="column 'v': an interval has more than 2,562,046 hours"):
        fetch_table(duckdb_source, "SELECT to_microseconds(9223372036854775807) AS v")


def test_result_of_duckdb_without_rows_has_the_types_of_one_with_rows(duckdb_source: DuckDbSource) -> None:
    sql = "SELECT 1 a, sum(1) b, now() c, [1] d, {'x': 1::HUGEINT} e, 'x' f, null g, '1'::JSON h"
    full, empty = (fetch_table(duckdb_source, f"{sql} HAVING {one}") for one in ("true", "false"))
    assert full.schema == empty.schema
    assert (full.num_rows, empty.num_rows) == (1, 0)


def test_columns_of_duckdb_whose_names_differ_in_case_keep_their_own_values(
    duckdb_source: DuckDbSource,
) -> None:
    sql = 'SELECT 1 AS a, 2 AS "A", 3::hugeint AS b, 4::hugeint AS "B"'
    assert fetch_rows(duckdb_source, sql) == [{"a": 1, "A": 2, "b": 3, "B": 4}]
