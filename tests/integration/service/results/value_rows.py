"""What each type of each database becomes for its readers, as the table of the documentation says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DUCKDB, SQLITE, POSTGRES, MARIADB = DATABASES = ("duckdb", "sqlite", "postgresql", "mariadb")


@dataclass(frozen=True)
class ValueRow:
    """
    A value, written by the databases that have its type.

    :param name: Names the blocks of the row.
    :param json: It as JSON, word for word.
    :param csv: It as a cell of CSV, on the page, and where a template writes it.
    :param arrow: The type in Arrow, or how it begins; None where the documentation leaves it open.
    :param sql: An expression for each database.
    """

    name: str
    json: str
    csv: str
    arrow: str | None
    sql: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_number(self) -> bool:
        """Whether JSON has a number for it."""
        return self.json[0] in "-0123456789"


def row(name: str, json: str, csv: str | None, arrow: str | None, **sql: str) -> ValueRow:
    """Make a row; the text is that of JSON without its quotes where nothing else is said."""
    return ValueRow(name, json, json.strip('"') if csv is None else csv, arrow, sql)


def on(names: str, expression: str) -> dict[str, str]:
    """Give the same expression to several databases, by their first letters."""
    return {name: expression for name in DATABASES if name[0] in names}


DIGITS_38 = "1" * 38
MOMENT = "2024-02-29 12:30:00"

ROWS = (
    # Integers
    row("int64", "9223372036854775807", None, "int64", **on("dspm", "9223372036854775807")),
    row("int64_low", "-9223372036854775807", None, "int64", **on("dspm", "-9223372036854775807")),
    row(
        "uint64", "18446744073709551615", None, "uint64",
        duckdb="18446744073709551615::ubigint", mariadb="cast(18446744073709551615 as unsigned)",
    ),
    row("hugeint", "170141183460469231731687303715884105727", None, "decimal",
        duckdb="170141183460469231731687303715884105727::hugeint"),
    row("uhugeint", "340282366920938463463374607431768211455", None, "decimal",
        duckdb="340282366920938463463374607431768211455::uhugeint"),
    row("bignum", "1" * 50, None, "decimal", duckdb=f"'{'1' * 50}'::bignum"),
    # Decimals
    row("scale", "0.10", None, "decimal128(10, 2)", **on("dp", "0.10::numeric(10, 2)"),
        mariadb="cast(0.10 as decimal(10, 2))"),
    row("money_sum", "12345678901234567.89", None, "decimal128(19, 2)",
        **on("dp", "12345678901234567.89::numeric(19, 2)"),
        mariadb="cast(12345678901234567.89 as decimal(19, 2))"),
    row("free_scale", "1.500", None, "decimal", postgresql="1.500::numeric"),
    row("long_decimal", f"{DIGITS_38}5.25", None, "decimal256", postgresql=f"{DIGITS_38}5.25::numeric(45, 2)",
        mariadb=f"cast({DIGITS_38}5.25 as decimal(45, 2))"),
    # Floats
    row("float4", "0.1", None, "float", **on("dp", "0.1::float4"), mariadb="cast(0.1 as float)"),
    row("float8", "0.1", None, "double", **on("dp", "0.1::float8"), sqlite="0.1", mariadb="0.1e0"),
    row("nan", "null", "NaN", "double", **on("dp", "'NaN'::float8")),
    row("infinite", "null", "-Infinity", "double", **on("dp", "'-Infinity'::float8")),
    row("yes", "true", None, "bool", **on("dp", "true")),
    # Dates and times
    row("day", '"2024-02-29"', None, "date32[day]", **on("dpm", "date '2024-02-29'")),
    row("late_day", '"+20000-01-01"', None, "date32[day]", **on("dp", "date '20000-01-01'")),
    row("early_day", '"-0043-03-15"', None, "date32[day]",
        duckdb="date '0044-03-15 (BC)'", postgresql="date '0044-03-15 BC'"),
    row("endless_day", '"infinity"', None, "date32[day]", **on("dp", "date 'infinity'")),
    row("moment", '"2024-02-29T12:30:00.500000"', None, "timestamp[us]",
        **on("dpm", f"timestamp '{MOMENT}.5'")),
    row("late_moment", '"+20000-01-01T00:00:00"', None, "timestamp[us]",
        **on("dp", "timestamp '20000-01-01 00:00:00'")),
    row("endless_moment", '"-infinity"', None, "timestamp[us]", **on("dp", "timestamp '-infinity'")),
    row("zoned", '"2024-02-29T10:30:00+00:00"', None, "timestamp[us, tz=UTC]",
        **on("dp", f"timestamptz '{MOMENT}+02'")),
    row("zoned_list", '["2024-02-29T10:30:00+00:00",null]', None, "list<",
        duckdb=f"[timestamptz '{MOMENT}+02', null]", postgresql=f"array[timestamptz '{MOMENT}+02', null]"),
    row("clock", '"12:30:00"', None, "time64[us]", **on("dp", "time '12:30:00'")),
    row("midnight", '"24:00:00"', None, "time64[us]", **on("dp", "time '24:00:00'")),
    row("zoned_clock", '"12:30:00+02"', None, "string",
        **on("dp", "'12:30:00+02'::timetz")),
    row("month", '"P1M"', None, "month_day_nano_interval", **on("dp", "interval '1 month'")),
    row("year_and_more", '"P1Y2M3DT4H5M6.5S"', None, "month_day_nano_interval",
        **on("dp", "interval '1 year 2 months 3 days 4 hours 5 minutes 6.5 seconds'")),
    row("long_time", '"PT838H59M59S"', None, "month_day_nano_interval", mariadb="cast('838:59:59' as time)"),
    # Texts
    row("empty", '""', "", "string", **on("dpsm", "''")),
    row("text", '"=1+1, \\"ü\\""', '=1+1, "ü"', "string", **on("dpsm", "'=1+1, \"ü\"'")),
    row("uuid", '"f47ac10b-58cc-4372-a567-0e02b2c3d479"', None, "string",
        **on("dp", "'f47ac10b-58cc-4372-a567-0e02b2c3d479'::uuid")),
    row("enum", '"b"', None, "string", duckdb="'b'::enum('a', 'b')"),
    row("bits", '"101"', None, "string", duckdb="'101'::bit", postgresql="b'101'"),
    row("network", '"10.0.0.1/24"', None, "string", postgresql="inet '10.0.0.1/24'"),
    row("int_range", '"[1,5)"', None, "string", postgresql="int4range(1, 5)"),
    row("blob", '"AP8="', None, "binary", duckdb="'\\x00\\xFF'::blob", postgresql="'\\x00ff'::bytea",
        **on("sm", "x'00ff'")),
    # JSON and nested types
    row("json", '{"a": 1.50, "b": ["x", 12345678901234567.89]}', None, "extension<arrow.json>",
        **on("dp", """'{"a": 1.50, "b": ["x", 12345678901234567.89]}'::json"""),
        mariadb="""json_extract('{"a": 1.50, "b": ["x", 12345678901234567.89]}', '$')"""),
    row("jsonb", '{"a": 1.50, "b": null}', None, "extension<arrow.json>",
        postgresql="""'{"b": null, "a": 1.50}'::jsonb"""),
    row("json_string", '"x"', '"x"', "extension<arrow.json>", **on("dp", """'"x"'::json"""),
        mariadb="""json_extract('["x"]', '$[0]')"""),
    row("decimal_list", "[1.50,null]", None, "list<",
        duckdb="[1.50::decimal(3, 2), null]", postgresql="array[1.50::numeric(3, 2), null]"),
    row("float_list", "[null,1.5]", None, "list<",
        duckdb="['NaN'::double, 1.5]", postgresql="array['NaN'::float8, 1.5]"),
    row("blob_list", '["AP8="]', None, "list<",
        duckdb="['\\x00\\xFF'::blob]", postgresql="array['\\x00ff'::bytea]"),
    row("struct", '{"a":1,"b":"x"}', None, "struct<", duckdb="{'a': 1, 'b': 'x'}"),
    row("map", '{"k":1.50}', None, "map<", duckdb="map {'k': 1.50::decimal(3, 2)}"),
    row("union", '{"number":1}', None, "extension<arrow.json>",
        duckdb="union_value(number := 1)::union(number int, word varchar)"),
)  # fmt: skip
