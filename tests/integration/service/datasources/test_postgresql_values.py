"""What each type of PostgreSQL becomes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.drivers.postgresql import PostgresSource
from tests.fakes.datasources import fetch_rows, fetch_table

pytestmark = pytest.mark.postgres

NUMBERS = pa.decimal128(38, 2)
JSON = pa.json_()


@pytest.fixture(scope="session")
def types(postgres: PostgresSource, postgres_server_url: str) -> None:
    """Make the types that a database does not have of itself."""
    url = make_url(postgres_server_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')")
        connection.execute("CREATE TYPE pair AS (a int, b text)")
        connection.execute("CREATE DOMAIN small AS int CHECK (value < 10)")
        # In another schema, the name of a type can be that of a built-in one.
        connection.execute("CREATE SCHEMA odd")
        connection.execute("CREATE TYPE odd.date AS ENUM ('today')")


@pytest.mark.usefixtures("types")
@pytest.mark.parametrize(
    ("expression", "type_", "value"),
    [
        ("1::int2", pa.int16(), 1),
        ("1::int4", pa.int32(), 1),
        ("4294967295::oid", pa.int64(), 4294967295),
        ("0.10::numeric", NUMBERS, Decimal("0.10")),
        ("12345::numeric(3, -2)", pa.decimal128(5, 0), Decimal("12300")),
        ("0.00012::numeric(2, 5)", pa.decimal128(5, 5), Decimal("0.00012")),
        ("1::numeric(50, 20)", pa.decimal256(50, 20), Decimal("1.00000000000000000000")),
        ("repeat('9', 50)::numeric", pa.decimal256(76, 0), Decimal("9" * 50)),
        ("repeat('9', 90)::numeric", pa.string(), "9" * 90),
        ("'NaN'::numeric", pa.string(), "NaN"),
        ("'-Infinity'::numeric", pa.string(), "-Infinity"),
        ("'Infinity'::float8", pa.float64(), math.inf),
        ("interval '-1 month'", pa.month_day_nano_interval(), (-1, 0, 0)),
        ("'192.168.0.1'::inet", pa.string(), "192.168.0.1"),
        ("'192.168.0.0/24'::cidr", pa.string(), "192.168.0.0/24"),
        ("'08:00:2b:01:02:03'::macaddr", pa.string(), "08:00:2b:01:02:03"),
        ("1.5::numeric::money", pa.string(), "$1.50"),
        ("b'101'::varbit", pa.string(), "101"),
        ("'(1,2)'::point", pa.string(), "(1,2)"),
        ("'{[1,2)}'::int4multirange", pa.string(), "{[1,2)}"),
        ("row(1, 'x')::pair", pa.string(), "(1,x)"),
        ("row(1, 'x')", pa.string(), "(1,x)"),
        ("'happy'::mood", pa.string(), "happy"),
        ("'today'::odd.date", pa.string(), "today"),
        ("5::small", pa.int32(), 5),
        ("'a cat'::tsvector", pa.string(), "'a' 'cat'"),
        ("'pg_class'::regclass", pa.string(), "pg_class"),
        ("'a'::char(3)", pa.string(), "a  "),
        ("'a'::name", pa.string(), "a"),
        ("'a'::\"char\"", pa.string(), "a"),
        ("null", pa.string(), None),
        ("""'{"a":1.0, "a": 2}'::json""", JSON, '{"a":1.0, "a": 2}'),
        ("""'{"a":12345678901234567890.10}'::jsonb""", JSON, '{"a": 12345678901234567890.10}'),
        ("'\"text\"'::jsonb", JSON, '"text"'),
        ("array[1, null, 2]", pa.list_(pa.int32()), [1, None, 2]),
        ("array[]::int[]", pa.list_(pa.int32()), []),
        ("null::int[]", pa.list_(pa.int32()), None),
        ("array[[1, 2], [3, 4]]", pa.list_(pa.list_(pa.int32())), [[1, 2], [3, 4]]),
        ("array[[[1], [2]]]", pa.list_(pa.list_(pa.list_(pa.int32()))), [[[1], [2]]]),
        ("'[2:3]={1,2}'::int[]", pa.list_(pa.int32()), [1, 2]),
        ("'[0:1][5:6]={{1,2},{3,4}}'::int[]", pa.list_(pa.list_(pa.int32())), [[1, 2], [3, 4]]),
        ("array[0.10, 1.5]", pa.list_(NUMBERS), [Decimal("0.10"), Decimal("1.50")]),
        (r"array['\x00'::bytea]", pa.list_(pa.binary()), [b"\x00"]),
        ("array['x', null]", pa.list_(pa.string()), ["x", None]),
        ("""array['{"a":1}'::jsonb]""", pa.list_(JSON), ['{"a": 1}']),
        ("array['[1,2)'::int4range]", pa.list_(pa.string()), ["[1,2)"]),
        ("array['192.168.0.1'::inet]", pa.list_(pa.string()), ["192.168.0.1"]),
        ("array['12:00+01'::timetz]", pa.list_(pa.string()), ["12:00:00+01"]),
        ("array[row(1, 'x')::pair]", pa.list_(pa.string()), ["(1,x)"]),
        ("array[4294967295::oid]", pa.list_(pa.int64()), [4294967295]),
        ("array[interval '1 day']", pa.list_(pa.month_day_nano_interval()), [(0, 1, 0)]),
    ],
)
def test_value_has_its_type_and_arrives_exactly(
    postgres: PostgresSource, expression: str, type_: pa.DataType, value: Any
) -> None:
    table = fetch_table(postgres, f"SELECT {expression} AS v")
    assert table.schema.field("v").type == type_
    assert table.column("v").to_pylist() == [value]


@pytest.mark.parametrize(
    ("expression", "number"),
    [
        ("'-infinity'::date", -(2**31) + 1),
        ("'infinity'::timestamp", 2**63 - 1),
        ("'-infinity'::timestamptz", -(2**63) + 1),
    ],
)
def test_infinity_keeps_its_number(postgres: PostgresSource, expression: str, number: int) -> None:
    found = fetch_table(postgres, f"SELECT {expression} AS v").column("v").combine_chunks()
    counter = pa.int32() if pa.types.is_date(found.type) else pa.int64()
    assert found.view(counter).to_pylist() == [number]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("'294276-12-31 23:59:59'::timestamp", "column 'v', row 1: the timestamp is after the year 294246"),
        (
            "'NaN'::numeric(5, 2)",
            r"column 'v', row 1: 'nan' does not fit decimal128\(5, 2\): cast it to text",
        ),
        ("interval '5000000 hours'", "column 'v' has an interval of more than 2,562,046 hours"),
    ],
)
def test_what_arrow_cannot_hold_is_refused_with_its_column(
    postgres: PostgresSource, expression: str, problem: str
) -> None:
    with pytest.raises(SourceError, match=problem):
        fetch_table(postgres, f"SELECT {expression} AS v")


def test_numbers_of_several_scales_get_the_largest(postgres: PostgresSource) -> None:
    table = fetch_table(postgres, "SELECT v FROM (VALUES (1.5), (2), (10.125), (null)) q(v)")
    assert table.schema.field("v").type == pa.decimal128(38, 3)
    assert table.column("v").to_pylist() == [Decimal("1.500"), Decimal("2.000"), Decimal("10.125"), None]


def test_nan_of_floats_in_arrays_arrives(postgres: PostgresSource) -> None:
    (found,) = fetch_rows(postgres, "SELECT array['NaN'::float8, 1] AS v")
    assert math.isnan(found["v"][0])
    assert found["v"][1] == 1


def test_arrays_of_several_dimensions_may_be_null_and_empty(postgres: PostgresSource) -> None:
    rows = fetch_rows(
        postgres, "SELECT v FROM (VALUES (array[[1, 2]]), (null), ('{}'), (array[[3], [4]])) q(v)"
    )
    assert [row["v"] for row in rows] == [[[1, 2]], None, [], [[3], [4]]]


def test_arrays_of_different_dimensions_in_one_column_are_refused(postgres: PostgresSource) -> None:
    with pytest.raises(SourceError, match=r"column 'v', row 1: the array has 1 dimension\(s\), others 2"):
        fetch_table(postgres, "SELECT v FROM (VALUES (array[1]), (array[[1, 2]])) q(v)")


def test_result_without_rows_has_the_types_of_one_with_rows(postgres: PostgresSource) -> None:
    sql = (
        "SELECT 1::int8 a, 1::numeric(9, 1) b, now() c, '1'::jsonb d, array[1] e, 'x'::bytea f, 'x'::text g,"
        " interval '1 day' h, gen_random_uuid() i, current_date j WHERE {}"
    )
    full, empty = (fetch_table(postgres, sql.format(condition)) for condition in ("true", "false"))
    assert full.schema == empty.schema
    assert (full.num_rows, empty.num_rows) == (1, 0)


def test_order_of_rows_is_that_of_the_query(postgres: PostgresSource) -> None:
    sql = "SELECT g::text AS v FROM generate_series(1, 100000) g ORDER BY md5(g::text)"
    found = fetch_table(postgres, sql).column("v").to_pylist()
    assert len(found) == 100_000
    (row,) = fetch_rows(postgres, f"SELECT array_agg(v) AS v FROM ({sql}) q")
    assert row["v"] == found


@pytest.mark.parametrize(
    ("value", "cast", "found"),
    [
        ("it's \\' -- $1 /*", "text", "it's \\' -- $1 /*"),
        (-(2**63), "bigint", -(2**63)),
        (-(2**31), "integer", -(2**31)),
        (True, "boolean", True),
        (b"\x00'\\", "bytea", b"\x00'\\"),
        (date(2024, 1, 2), "date", date(2024, 1, 2)),
        (["a'", None, 'b"\\'], "text[]", ["a'", None, 'b"\\']),
    ],
)
def test_bound_value_comes_back(postgres: PostgresSource, value: Any, cast: str, found: Any) -> None:
    assert fetch_rows(postgres, f"SELECT CAST({{}} AS {cast}) AS v", value) == [{"v": found}]


def test_bound_number_is_no_position_of_a_column(postgres: PostgresSource) -> None:
    rows = fetch_rows(postgres, "SELECT a, b FROM (VALUES (1, 2), (2, 1)) q(a, b) ORDER BY {}", 2)
    assert len(rows) == 2


@pytest.mark.parametrize(
    "sql", ["SELECT 1 AS v;", "SELECT 1 AS v ; -- end", "SELECT 1 AS v -- end", "VALUES (1)"]
)
def test_statement_may_end_with_a_semicolon_or_a_comment(postgres: PostgresSource, sql: str) -> None:
    assert [list(row.values()) for row in fetch_rows(postgres, sql)] == [[1]]


def test_plans_and_settings_are_shown(postgres: PostgresSource) -> None:
    assert fetch_rows(postgres, "SHOW TimeZone", time_zone="Asia/Tokyo") == [{"TimeZone": "Asia/Tokyo"}]
    assert "Result" in fetch_rows(postgres, "EXPLAIN SELECT 1")[0]["QUERY PLAN"]


@pytest.fixture
def latin1_url(postgres_server_url: str) -> Iterator[str]:
    server = make_url(postgres_server_url).set(drivername="postgresql")
    with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(
            "CREATE DATABASE in_latin1 TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
        try:
            yield server.set(database="in_latin1").render_as_string(hide_password=False)
        finally:
            connection.execute("DROP DATABASE in_latin1 WITH (FORCE)")


def test_texts_of_a_database_in_latin1_are_exact(latin1_url: str, temp_dir: Path) -> None:
    source = PostgresSource(make_url(latin1_url), temp_dir)
    try:
        rows = fetch_rows(source, "select chr(233) as a, length({}) as n", "é")
    finally:
        source.close()
    assert rows == [{"a": "é", "n": 1}]
