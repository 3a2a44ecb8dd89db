"""SQL is laid out, and nothing else of it is changed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_pushmetrics.service.datasources.formatting import (
    MAX_FORMATTED_DEPTH,
    MAX_FORMATTED_LENGTH,
    FormattingError,
    format_sql,
)

BACKENDS = ["duckdb", "sqlite", "postgresql", "mysql", "mariadb", "mssql", "oracle", "snowflake", "bigquery"]
PLACEHOLDER = re.compile(r"\{\{.*?\}\}", re.DOTALL)


@pytest.mark.parametrize("backend", BACKENDS)
def test_clauses_stand_in_lines_and_keywords_are_capitals(backend: str) -> None:
    sql = "select a,COUNT(*) as n from t where x={{ x }} and a is not null and b not in (1, 2) group by a"
    assert format_sql(sql, backend) == (
        "SELECT\n  a,\n  COUNT(*) AS n\nFROM t\nWHERE\n"
        "  x = {{ x }} AND a IS NOT NULL AND b NOT IN (1, 2)\nGROUP BY\n  a"
    )


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select 1 from ({{ q }})", "SELECT\n  1\nFROM (\n  {{ q }}\n)"),
        ("select '{{ a }} and {{ b }}'", "SELECT\n  '{{ a }} and {{ b }}'"),
        ("select {{ 'a}}b' }}", "SELECT\n  {{ 'a}}b' }}"),
        ("select {{ d }}::date", "SELECT\n  CAST({{ d }} AS DATE)"),
        ("select date '{{ d }}'", "SELECT\n  date '{{ d }}'"),
        ("select x - interval '{{ n }} days'", "SELECT\n  x - interval '{{ n }} days'"),
        ("select interval '1' day as d", "SELECT\n  interval '1' day AS d"),
        ("select a -- why {{ a }}\nfrom t", "SELECT\n  a /* why {{ a }} */\nFROM t"),
        ("select a {# why #} from t;\n", "SELECT\n  a /* {# why #} */\nFROM t"),
        ('select "Pm0z", pm0z', 'SELECT\n  "Pm0z",\n  pm0z'),
    ],
)
def test_placeholders_texts_and_comments_stay(sql: str, expected: str) -> None:
    assert format_sql(sql, "postgresql") == expected


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select 1 {% if x %} where x {% endif %}", "{% … %}"),
        ("select 1 from t limit{{ n }}", "put a blank between {{ n }} and"),
        ("select 1 from t {{ filter }}", "'{{ filter }}' would be replaced"),
        ("select ifnull(a, 1) from t", "'ifnull' would be replaced"),
        ("select a /*+ INDEX(t) */ from t", "hint"),
        ("select 1; drop table t", "a single query"),
        ("select from where", "the SQL cannot be formatted"),
        ("select 'open", "unclosed"),
        ("select {{ a", "cannot be told from the rest"),
        ("", "a single query"),
        (
            "select " + "(" * (MAX_FORMATTED_DEPTH + 1) + "1" + ")" * (MAX_FORMATTED_DEPTH + 1),
            "nested brackets",
        ),
        ("select " + "a" * MAX_FORMATTED_LENGTH, "characters"),
    ],
)
def test_what_cannot_be_laid_out_without_other_changes_is_refused(sql: str, reason: str) -> None:
    with pytest.raises(FormattingError, match=re.escape(reason)):
        format_sql(sql, "sqlite" if "ifnull" in sql else "duckdb")


def test_database_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(FormattingError, match="'access'"):
        format_sql("SELECT 1", "access")


VALUES = st.sampled_from(
    [
        "{{ a }}",
        "{{b}}",
        "{{ params.c }}",
        "{{ n | inclause }}",
        "'x {{ t }} y'",
        "1",
        "'it''s'",
        "pm0z",
        "col",
        "date '{{ d }}'",
        "f({{ a }}, 2)",
        "({{ q }})",
        "{{ a }}::int",
        "a.b",
        "NULL",
        '"Q {{ z }}"',
        "a - -1",
    ]
)
CONDITIONS = st.builds(
    "{} {} {}".format,
    VALUES,
    st.sampled_from(["=", "<>", "!=", "<", "and", "or", "is not", "in", "like", "||"]),
    VALUES,
)
REMARKS = st.sampled_from(["", " ", "\n", " -- {{ r }} * \n", " /* {{ s }} */ ", " {# t #} ", " --'\n"])
TEXTS = st.builds(
    "select{}{} as n,{}{} from{}{}{} where{}{}{} order by 1 desc{}".format,
    REMARKS.map(lambda text: text or " "),
    VALUES, REMARKS, CONDITIONS, REMARKS.map(lambda text: text or " "),
    st.sampled_from(["t", "t {{ q }}", "({{ q }}) as s", "t join u on {{ a }} = 1"]), REMARKS,
    REMARKS.map(lambda text: text or " "), CONDITIONS, REMARKS,
    st.sampled_from(["", " limit {{ n }}", " limit{{ n }}", ";"]),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.sampled_from(BACKENDS))
def test_any_formatted_text_has_the_placeholders_of_the_original_in_their_order(
    sql: str, backend: str
) -> None:
    try:
        formatted = format_sql(sql, backend)
    except FormattingError:
        return
    assert PLACEHOLDER.findall(formatted) == PLACEHOLDER.findall(sql)
    assert "pmq" not in formatted
