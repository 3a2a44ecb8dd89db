"""A value in place of a column: found where SQL lists columns, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.checking import check_sql
from airflow_provider_pushmetrics.service.templates.constant_items import ConstantItemError
from airflow_provider_pushmetrics.service.templates.dialects import DIALECTS, DUCKDB, get_dialect
from airflow_provider_pushmetrics.service.templates.rendering import render_sql

NAMES: dict[str, Any] = {"x": "delay", "n": 2, "b": True, "xs": [1, 2]}

CONSTANT = [
    "order by {{ x }}",
    "order  /* c */ by {{ x }} desc limit 2",
    "ORDER BY a, {{ x }}",
    "order by {{ x }}, a",
    "group by {{ x }}",
    "group by a, {{ n }} having 1",
    "order by 1 + {{ n }}",
    "order by -{{ n }}",
    "order by ({{ x }})",
    "order by '{{ x }}'",
    "order by cast({{ x }} as double precision) desc nulls last",
    "order by {{ x }}::timestamp with time zone",
    "order by {{ x }}::time",
    "order by {{x}} collate nocase",
    "select sum(a) over (partition by {{ x }} order by a) from t",
    "select sum(a) over (partition by a order by {{ x }} rows between 1 preceding and current row) from t",
    "select percentile_cont({{ n }}) within group (order by {{ n }}) from t",
    "select group_concat(a order by {{ x }} separator ',') from t",
    "select distinct on ({{ x }}) a from t",
    "order by {{ xs | inclause }}",
    "order by a limit 3) x group by {{ x }}",
    "select * from (select a from t order by {{ x }}) q order by a",
    "order by case when {{ x }} = 'a' then 1 else 2 end",
    "order by a; select 1 order by {{ x }};",
    "order by lower({{ x }})",
    "order by {{ x }} limit {{ n }} offset {{ n }}",
    "group by rollup({{ x }})",
    "order by a desc, {{ x }} asc nulls first",
]
COLUMNS = [
    "order by a limit {{ n }}",
    "order by a limit {{ n }}, {{ n }}",
    "order by a offset {{ n }} rows fetch first {{ n }} rows only",
    "order by case when a = {{ x }} then 1 else 2 end",
    "order by case when {{ b }} then a else b end",
    "order by a + {{ n }}",
    "order by {{ x | identifier }}",
    "order by {{ x | identifier }} desc, a limit {{ n }}",
    "select ntile({{ n }}) over (order by a) from t where b = {{ x }}",
    "select percentile_cont({{ n }}) within group (order by a) from t",
    "order by rand({{ n }})",
    "order by a in {{ xs | inclause }}",
    "order by field(a, {{ x }}, {{ x }})",
    "group by date_trunc({{ x }}, ts)",
    "select {{ x }} as l, a from t where a in (1,{{ n }}) group by a having sum(a) > {{ n }}",
    "order by 1, 2",
    "select sum(a) over (order by b rows between {{ n }} preceding and current row) from t",
    "select sum(a) over (partition by a), {{ n }} from t",
    "order by a -- {{ x }}",
    "select group_concat(a order by a separator '{{ x }}') from t",
    "order by range, a limit {{ n }}",
    "select * from t where order_by = {{ x }} and x.by = {{ n }}",
    "order by a->>{{ x }}",
    "order by (select {{ x }} from t)",
    "order by abs(a - {{ n }})",
    "select * from t order by a union all select {{ n }}, b from t",
    "order by coalesce(a, {{ n }})",
    "order by (select r.a from r where r.id = t.id order by r.day desc limit {{ n }})",
    "order by coalesce((select b from o where o.id = t.id order by day limit {{ n }}), 0)",
    "order by time > {{ x }}",
    "order by t.{{ x | identifier }}",
    "order by a at time zone {{ x }}",
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("sql", CONSTANT)
def test_value_in_place_of_a_column_is_refused(dialect: str, sql: str) -> None:
    with pytest.raises(ConstantItemError, match=r"write \{\{ name \| identifier \}\}"):
        check_sql(sql, get_dialect(dialect))
    with pytest.raises(ConstantItemError):
        render_sql(sql, NAMES, get_dialect(dialect))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("sql", COLUMNS)
def test_value_beside_a_column_is_bound(dialect: str, sql: str) -> None:
    check_sql(sql, get_dialect(dialect))
    render_sql(sql, NAMES, get_dialect(dialect))


@pytest.mark.parametrize(
    "sql",
    [
        "{% set c = x | identifier %}select 1 order by {{ c }}",
        "select 1 order by {{ (x | identifier) if b else ('y' | identifier) }}",
        "{% for c in xs | map('identifier') %}order by {{ c }}{% endfor %}",
        "select 1 order by {% for c in xs %}{{ c | identifier }}, {% endfor %}a",
    ],
)
def test_name_that_is_known_only_when_it_runs_is_accepted(sql: str) -> None:
    check_sql(sql, DUCKDB)


def test_value_in_a_branch_is_refused_when_it_is_saved() -> None:
    with pytest.raises(ConstantItemError, match="after ORDER BY"):
        check_sql("select 1 {% if x %}order by {{ x }}{% endif %}", DUCKDB)


def test_query_that_is_inserted_after_order_by_is_accepted() -> None:
    check_sql("select 1 order by {{ q }}", DUCKDB, blocks={"q"})
    with pytest.raises(ConstantItemError, match="after ORDER BY"):
        check_sql("select 1 order by {{ x }}", DUCKDB, blocks={"q"})


@pytest.mark.parametrize(("value", "kind"), [(None, "null"), ([1], "a list")])
def test_what_no_text_can_be_made_of_is_named(value: Any, kind: str) -> None:
    with pytest.raises(BlockTemplateError, match=f"makes a text of what is {kind}"):
        render_sql("select 1 {% if x | lower != 'all' %}where a = {{ x }}{% endif %}", {"x": value}, DUCKDB)
