"""What becomes of a ``{{ … }}`` where it stands, in each dialect."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.dialects import UnknownDialectError, get_dialect
from airflow_provider_pushmetrics.service.templates.rendering import render_sql

NAMES: dict[str, Any] = {
    "x": "it's",
    "n": 3,
    "minus": -5,
    "d": date(2024, 1, 2),
    "none": None,
    "some": [1, None, 3],
    "empty": [],
    "dotted": "sales.orders",
}
FOUR = ("duckdb", "sqlite", "postgresql", "mysql")


def write(dialect: str, sql: str, **names: Any) -> tuple[str, tuple[Any, ...]]:
    bound = render_sql(sql, {**NAMES, **names}, get_dialect(dialect))
    return bound.write(lambda number: f"<{number}>"), bound.values


@pytest.mark.parametrize("gap", ["/**/", "--\n", " "])
def test_unit_of_an_interval_is_looked_for_in_linear_time(gap: str) -> None:
    """Exponential time would never end."""
    with pytest.raises(BlockTemplateError, match="cannot be bound"):
        write("postgresql", f"select interval '{{{{ n }}}}' {gap * 1000}day")
    _, values = write("postgresql", f"select interval '{{{{ n }}}} days' {gap * 1000}, 1")
    assert values == ("3 days",)


@pytest.mark.parametrize(
    ("dialect", "sql", "sent", "values"),
    [
        # A plain position, glued or not.
        ("duckdb", "a={{ x }}and b", "a= <1> and b", ("it's",)),
        ("duckdb", "limit{{ n }}", "limit <1>", (3,)),
        ("duckdb", "a[1:{{ n }}]", "a[1: <1> ]", (3,)),
        ("duckdb", "f({{ n }},{{ n }})", "f(<1>,<2>)", (3, 3)),
        ("duckdb", "{{ n }}{{ n }}", "<1> <2>", (3, 3)),
        ("postgresql", "limit{{ n }}", "limit CAST(<1> AS integer)", (3,)),
        ("mysql", "-{{ minus }}", "- (<1>)", (-5,)),
        ("mysql", "a {{ x }}", "a (<1>)", ("it's",)),
        ("duckdb", "interval {{ n }} day", "interval (<1>) day", (3,)),
        ("mysql", "interval {{ n }} day", "interval <1> day", (3,)),
        # In a text.
        ("duckdb", "like '%{{ x }}%'", "like <1>", ("%it's%",)),
        ("sqlite", "'{{ d }}'", "<1>", ("2024-01-02",)),
        ("postgresql", "'12:30:0{{ n }}'", "CAST(<1> AS text)", ("12:30:03",)),
        ("duckdb", "'2024-0{{ n }}-01'", "<1>", ("2024-03-01",)),
        ("duckdb", "'it''s {{ x }}'", "<1>", ("it's it's",)),
        ("mysql", r"'a\'\\\n\%{{ x }}'", "(<1>)", ("a'\\\n\\%it's",)),
        ("mysql", '"a""b\'{{ x }}"', "(<1>)", ("a\"b'it's",)),
        ("mysql", "separator '{{ x }}')", "separator <1>)", ("it's",)),
        ("postgresql", r"E'\u0061\t{{ x }}'", "CAST(<1> AS text)", ("a\tit's",)),
        ("postgresql", r"'\n{{ x }}'", "CAST(<1> AS text)", (r"\nit's",)),
        ("postgresql", "$$ '{{ x }} $$", "CAST(<1> AS text)", (" 'it's ",)),
        ("postgresql", "N'{{ x }}'", "CAST(<1> AS text)", ("it's",)),
        ("oracle", "q'[{{ x }}']'", "<1>", ("it's'",)),
        ("mssql", "N'{{ x }}'", "(<1>)", ("it's",)),
        ("duckdb", "'{{ none }}'", "NULL", ()),
        # In a typed text.
        ("postgresql", "interval '{{ n }} days'", "CAST(CAST(<1> AS text) AS interval)", ("3 days",)),
        ("postgresql", "+ date '{{ d }}')", "+ CAST(CAST(<1> AS text) AS date))", ("2024-01-02",)),
        (
            "postgresql",
            "timestamp (3) with time zone '{{ d }}'",
            "CAST(CAST(<1> AS text) AS timestamp (3) with time zone)",
            ("2024-01-02",),
        ),
        ("postgresql", "numeric(9, 2)'{{ n }}'", "CAST(CAST(<1> AS text) AS numeric(9, 2))", ("3",)),
        ("duckdb", "interval '{{ n }} days'", "CAST(<1> AS interval)", ("3 days",)),
        ("duckdb", "date '{{ none }}'", "NULL", ()),
        ("mysql", "date '{{ d }}'", "DATE <1>", ("2024-01-02",)),
        ("mysql", "interval '{{ n }}' day", "interval (<1>) day", ("3",)),
        ("oracle", "date '{{ d }}'", "TO_DATE(<1>, 'YYYY-MM-DD')", ("2024-01-02",)),
        ("postgresql", "at time zone '{{ x }}'", "at time zone CAST(<1> AS text)", ("it's",)),
        # In a comment.
        ("duckdb", "1 -- it's {{ x }}\n+ {{ n }}", "1 -- it's  \n+ <1>", (3,)),
        ("duckdb", "/* /* {{ x }} */ ' */ {{ n }}", "/* /*   */ ' */ <1>", (3,)),
        ("mysql", "# {{ x }}\n{{ n }}", "#  \n<1>", (3,)),
        ("sqlite", "/* *{{ x }}/ {{ x }} */ {{ n }}", "/* * /   */ <1>", (3,)),
        # Filters that write SQL.
        ("duckdb", "in {{ some | inclause }}", "in (<1>, NULL, <2>)", (1, 3)),
        ("duckdb", "{{ dotted | identifier }}", '"sales"."orders"', ()),
        ("sqlite", "s.{{ dotted | identifier }}", "s.`sales`.`orders`", ()),
        ("mysql", "{{ 'a`b' | identifier }}", "`a``b`", ()),
        ("mssql", "{{ 'a]b' | identifier }}", "[a]]b]", ()),
        ("bigquery", "{{ 'a`\\\\b' | identifier }}", r"`a\`\\b`", ()),
        ("duckdb", "{{ ['a.b', 'c'] | identifier }}", '"a.b"."c"', ()),
        ("duckdb", "-- {{ dotted | identifier }}\n1 = {{ n }}", "--  \n1 = <1>", (3,)),
        # Nulls and lists.
        ("postgresql", "({{ none }} is null or c = {{ none }})", "(NULL is null or c = NULL)", ()),
        ("postgresql", "{{ x }} is null", "CAST(<1> AS text) is null", ("it's",)),
        ("postgresql", "any({{ some }})", "any(CAST(<1> AS integer[]))", ([1, None, 3],)),
        ("postgresql", "any({{ empty }})", "any('{}')", ()),
        ("duckdb", "any({{ some }})", "any(<1>)", ([1, None, 3],)),
    ],
)
def test_value_is_bound_where_it_stands(dialect: str, sql: str, sent: str, values: tuple[Any, ...]) -> None:
    assert write(dialect, sql) == (sent, values)


@pytest.mark.parametrize(
    ("dialects", "sql", "sentence"),
    [
        (
            ("duckdb", "sqlite", "postgresql"),
            'a "{{ x }}"',
            r"quoted name, '\"{{ … }}\"': use {{ name \| identifier",
        ),
        (("sqlite", "mysql", "duckdb"), "`{{ x }}`", r"use {{ name \| identifier"),
        (("sqlite", "mssql"), "[{{ x }}]", r"use {{ name \| identifier"),
        (FOUR, "'{{ dotted | identifier }}'", "remove the quotes"),
        (FOUR, "'{{ some | inclause }}'", "remove the quotes"),
        (FOUR, "in {{ empty | inclause }}", "the list is empty"),
        (FOUR, "'a{{ none }}'", "inside a text literal is null"),
        (FOUR, "'{{ some }}'", "is a list: it must be a text"),
        (FOUR, "'a' '{{ x }}'", "put an operator between"),
        (FOUR, "'{{ x }}' /* */ 'a'", "put an operator between"),
        (FOUR, "'{{ x }}", "unclosed"),
        (FOUR, "select /*+ {{ x }} */ 1", "hint"),
        (("postgresql", "duckdb", "mysql"), "X'{{ x }}'", "remove the quotes around it"),
        (("postgresql",), "U&'{{ x }}'", "remove the quotes around it"),
        (("postgresql", "duckdb"), "interval '{{ n }}' day", r"write {{ … }} \* INTERVAL '1 day'"),
        (
            ("postgresql", "duckdb"),
            "date /* */ '{{ d }}'",
            "a comment is between 'date' and its text",
        ),
        (("sqlite",), "date '{{ d }}'", r"write date\('…'\)"),
        (("sqlite",), "interval '{{ n }} days'", r"write date\(d, {{ … }} \|\| ' days'\)"),
        (("mysql",), "_latin1'{{ x }}'", r"follows '_latin1'"),
        (("mysql",), r"'\{{ x }}'", "a backslash precedes"),
        (("postgresql",), r"E'\x41{{ x }}'", r"has the escape \\x"),
        (("mysql",), "--{{ n }}", "0 placeholders for 1 values"),
        (("mysql",), "/*! 1 */ {{ n }}", "runs or skips by its version"),
        (("postgresql",), "$1 + {{ n }}", "the SQL has '\\$1', which PostgreSQL reads as a placeholder"),
        (("duckdb", "sqlite"), "? + {{ n }}", "the SQL has '\\?'"),
        (("sqlite",), ":a + {{ n }}", "the SQL has ':a'"),
        (("sqlite", "mysql"), "any({{ some }})", r"lists to bind: write c IN {{ name \| inclause }}"),
        (FOUR, "{{ {'a': 1} }}", "gives a dict"),
    ],
)
def test_place_where_nothing_can_be_bound_is_refused(
    dialects: tuple[str, ...], sql: str, sentence: str
) -> None:
    for dialect in dialects:
        with pytest.raises(BlockTemplateError, match=sentence):
            write(dialect, sql)


MOMENT = datetime(2024, 1, 2, 3, 4, 5, 600000, UTC)


@pytest.mark.parametrize(
    ("dialect", "value", "sent", "bound"),
    [
        ("postgresql", True, "CAST(<1> AS boolean)", True),
        ("postgresql", 2**31, "CAST(<1> AS bigint)", 2**31),
        ("postgresql", 2**70, "CAST(<1> AS numeric)", str(2**70)),
        ("postgresql", Decimal("1E+2"), "CAST(<1> AS numeric)", "100"),
        ("postgresql", Decimal("0.10"), "CAST(<1> AS numeric)", "0.10"),
        ("postgresql", 0.5, "CAST(<1> AS double precision)", 0.5),
        ("postgresql", b"x", "CAST(<1> AS bytea)", b"x"),
        ("postgresql", MOMENT, "CAST(<1> AS timestamptz)", MOMENT),
        ("postgresql", time(1), "CAST(<1> AS time)", time(1)),
        ("postgresql", [1, 2**40], "CAST(<1> AS bigint[])", [1, 2**40]),
        ("postgresql", [1, 0.5], "CAST(<1> AS double precision[])", [1, 0.5]),
        ("postgresql", [Decimal("0.10"), 0.5], "CAST(<1> AS numeric[])", ["0.10", "0.5"]),
        ("sqlite", True, "<1>", 1),
        ("sqlite", Decimal("0.10"), "<1>", 0.1),
        ("sqlite", Decimal("3.00"), "<1>", 3),
        ("sqlite", MOMENT, "<1>", "2024-01-02 03:04:05.600000+00:00"),
        ("sqlite", date(2024, 1, 2), "<1>", "2024-01-02"),
        ("mysql", date(2024, 1, 2), "DATE <1>", "2024-01-02"),
        (
            "mysql",
            MOMENT,
            "CONVERT_TZ(TIMESTAMP <1>, '+00:00', @@session.time_zone)",
            "2024-01-02 03:04:05.600000",
        ),
        ("mysql", Decimal("-0.10"), "(<1>)", Decimal("-0.10")),
        ("mssql", Decimal("0.10"), "CAST(<1> AS decimal(38, 2))", "0.10"),
    ],
)
def test_value_is_bound_with_its_type(dialect: str, value: Any, sent: str, bound: Any) -> None:
    assert write(dialect, "{{ v }}", v=value) == (sent, (bound,))


@pytest.mark.parametrize(
    ("dialect", "value"),
    [
        ("sqlite", Decimal("12345678901234567.89")),
        ("sqlite", 2**63),
        ("sqlite", float("nan")),
        ("mysql", float("inf")),
        ("mysql", Decimal("NaN")),
        ("duckdb", 10**38),
        ("duckdb", Decimal(1).scaleb(-39)),
        ("postgresql", [1, "a"]),
        ("postgresql", [[1]]),
    ],
)
def test_value_that_a_database_cannot_hold_is_refused(dialect: str, value: Any) -> None:
    with pytest.raises(BlockTemplateError):
        write(dialect, "{{ v }}", v=value)


@pytest.mark.parametrize("name", ["", ".", "a.", None, 3, [], ["a", ""], "a\x00b", "\ud800"])
def test_identifier_refuses_what_is_no_name(name: Any) -> None:
    with pytest.raises(BlockTemplateError, match="identifier needs a name"):
        write("duckdb", "{{ c | identifier }}", c=name)


def test_dialect_that_is_not_known_is_refused() -> None:
    assert get_dialect("mariadb").name == "mysql"
    with pytest.raises(UnknownDialectError, match="'trino'"):
        get_dialect("trino")
