"""What of SQL is refused when it is saved."""

from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.checking import check_sql
from airflow_provider_pushmetrics.service.templates.dialects import DUCKDB, MYSQL, SQLITE, Dialect


@pytest.mark.parametrize(
    ("dialect", "sql", "sentence"),
    [
        (DUCKDB, 'select "{{ c }}"', "use {{ name"),
        (MYSQL, "select `{{ c }}`", "use {{ name"),
        (SQLITE, "select [{{ c }}]", "use {{ name"),
        (DUCKDB, "select '{{ c | identifier }}'", "remove the quotes"),
        (SQLITE, "select date '{{ c }}'", "write date"),
        (DUCKDB, "{% if a %}select '{{ c }}{% else %}select '{{ d }}{% endif %}", "unclosed"),
        (DUCKDB, "select {{ c | uper }}", "no filter 'uper'"),
        (None, "select {{ c | uper }}", "no filter 'uper'"),
    ],
)
def test_sql_that_can_never_be_sent_is_refused(dialect: Dialect | None, sql: str, sentence: str) -> None:
    with pytest.raises(BlockTemplateError, match=sentence):
        check_sql(sql, dialect)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from ({{ query_1 }}) where c in {{ names | inclause }} and {{ column | identifier }} = 1",
        "select 'a {{ b }}' -- {{ c }}",
        "select 1 {% if a %}where c = '{% endif %}x{% if a %}'{% endif %}",
        "select {% for a in b %}{{ a }}{{ ',' if not loop.last }}{% endfor %}",
        "{% set a = 1 %}{% with b = 2 %}select {{ a }}, {{ b }}{% endwith %}",
        "select {{ (a | inclause) if a else 1 }}",
        "select '{% if a %}{{ b }}{% endif %}'",
    ],
)
def test_sql_that_may_be_sent_is_accepted(sql: str) -> None:
    check_sql(sql, DUCKDB)


def test_nothing_is_said_of_a_database_whose_dialect_is_not_known() -> None:
    check_sql('select "{{ c }}"', None)
