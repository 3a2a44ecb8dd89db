"""Templates: what they refer to, and that no value gets into SQL text."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.dialects import DUCKDB
from airflow_provider_pushmetrics.service.templates.rendering import (
    TemplateQuery,
    check_sql_template,
    find_references,
    render_sql,
    render_text,
)

HOSTILE = "JFK'; DROP TABLE flights; --"


def write(sql: str, **names: Any) -> tuple[str, tuple[Any, ...]]:
    bound = render_sql(sql, names, DUCKDB)
    return bound.write(lambda number: f"${number}"), bound.values


def test_value_is_bound_and_not_in_the_text() -> None:
    assert write("SELECT * FROM f WHERE origin = {{ origin }}", origin=HOSTILE) == (
        "SELECT * FROM f WHERE origin = $1",
        (HOSTILE,),
    )


@pytest.mark.parametrize(
    "expression",
    [
        "v | safe",
        "v | tojson",
        "v | e",
        "v | escape | safe",
        "[v] | join",
        "v ~ ''",
        "v | forceescape",
        "v | replace('x', 'y')",
    ],
)
def test_no_filter_splices_a_value_into_the_text(expression: str) -> None:
    text, values = write(f"SELECT {{{{ {expression} }}}}", v=HOSTILE)
    assert text == "SELECT $1"
    assert len(values) == 1
    assert type(values[0]) is str


VALUES = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"]))


@given(VALUES | st.lists(VALUES))
def test_whatever_a_value_is_the_text_stays_the_same(value: Any) -> None:
    if "\x00" in repr(value).replace("\\x00", "\x00"):
        with pytest.raises(BlockTemplateError, match="NUL"):
            write("SELECT {{ v }} AS x", v=value)
    else:
        assert write("SELECT {{ v }} AS x", v=value) == ("SELECT $1 AS x", (value,))


def test_text_with_half_a_character_is_refused() -> None:
    with pytest.raises(BlockTemplateError, match="lone surrogate"):
        write("SELECT {{ v }}", v="\ud800")


def test_values_keep_their_types() -> None:
    values = (1, 1.5, True, "a", [1, 2], date(2024, 1, 2), Decimal("0.10"), b"x")
    text = " ".join(f"{{{{ v[{index}] }}}}" for index in range(len(values)))
    assert write(text, v=values)[1] == values


def test_values_in_a_loop_are_bound_each() -> None:
    text, values = write("{% for v in vs %}({{ v }}){% endfor %}", vs=["a", "b"])
    assert (text, values) == ("($1)($2)", ("a", "b"))


def test_value_that_looks_like_a_placeholder_is_refused() -> None:
    with pytest.raises(BlockTemplateError, match="NUL"):
        write("SELECT {{ a }}, {{ b }}", a="\x001\x00", b=HOSTILE)


def test_number_that_is_too_large_for_a_float_fails_the_template() -> None:
    with pytest.raises(BlockTemplateError, match="the template failed"):
        write("SELECT {{ 1e999 }}")


def test_sql_with_a_nul_is_refused() -> None:
    with pytest.raises(BlockTemplateError, match="NUL"):
        write("SELECT \x000\x00")


@pytest.mark.parametrize("values", [[], "text", 3, {"a": 1}])
def test_inclause_refuses_what_is_no_list_of_values(values: Any) -> None:
    with pytest.raises(BlockTemplateError, match="inclause needs"):
        write("IN {{ vs | inclause }}", vs=values)


def test_identifier_is_quoted() -> None:
    assert write("{{ c | identifier }}", c='a"; DROP TABLE x; --') == ('"a""; DROP TABLE x; --"', ())


def test_query_is_composed_of_another_with_its_values_bound() -> None:
    inner = TemplateQuery("SELECT * FROM f WHERE o = {{ origin }}", list)
    assert write("SELECT count(*) FROM ({{ q }}) WHERE m = {{ m }}", q=inner, origin=HOSTILE, m=2) == (
        "SELECT count(*) FROM (SELECT * FROM f WHERE o = $1) WHERE m = $2",
        (HOSTILE, 2),
    )


@pytest.mark.parametrize(
    ("sql", "composed", "sent"),
    [
        ("{{ q }} limit 10", "SELECT 1 -- one", "SELECT 1\n limit 10"),
        ("({{ q }}) s", "SELECT 1;", "(SELECT 1\n) s"),
        ("SELECT 2 -- {{ q }}\nLIMIT 1", "SELECT\n1", "SELECT 2 --  \nLIMIT 1"),
        ("SELECT '{{ q }}'", "SELECT\n1 -- one", "SELECT 'SELECT\n1 -- one'"),
        ("{{ q }}", "", ""),
    ],
)
def test_composed_query_ends_where_its_sql_does(sql: str, composed: str, sent: str) -> None:
    assert write(sql, q=TemplateQuery(composed, list)) == (sent, ())


@pytest.mark.parametrize(
    ("sql", "composed", "sentence"),
    [
        ("{{ q }}'b'", "SELECT 'a'", "would join the text beside it"),
        ("{{ q }}* x */ 1", "SELECT 1 /", "would join the text beside it"),
        ("SELECT '{{ q }}'", "SELECT 'a'", "contains ' or a backslash"),
        ('SELECT "{{ q }}"', "SELECT 1", "without the quotes"),
        ("SELECT 1, {{ q }}", "'open", "unclosed '"),
    ],
)
def test_composed_query_that_would_change_the_sql_beside_it_is_refused(
    sql: str, composed: str, sentence: str
) -> None:
    with pytest.raises(BlockTemplateError, match=sentence):
        write(sql, q=TemplateQuery(composed, list))


def test_endless_composition_is_refused() -> None:
    with pytest.raises(BlockTemplateError, match="more than 16 deep"):
        write("{{ q }}", q=TemplateQuery("{{ q }}", list))


def test_rows_of_a_query_are_data() -> None:
    rows = TemplateQuery("SELECT 1", lambda: [{"n": 7}])
    assert write("SELECT {{ q.data[0].n }} + {{ q.data | length }}", q=rows)[1] == (7, 1)


def test_undefined_name_is_an_error_that_names_it() -> None:
    with pytest.raises(BlockTemplateError, match="'nope' is undefined"):
        write("SELECT {{ nope }}")
    with pytest.raises(BlockTemplateError, match="'nope' is undefined"):
        render_text("Hello {{ nope }}", {})


def test_default_still_works_for_an_undefined_name() -> None:
    assert write("SELECT {{ nope | default(3) }}") == ("SELECT $1", (3,))


@pytest.mark.parametrize(
    "expression",
    ["v.__class__", "v.__class__.__mro__", "(lambda: 1)()", "v.append(1)", "range(10**9) | list"],
)
def test_sandbox_holds(expression: str) -> None:
    with pytest.raises(BlockTemplateError, match="template failed"):
        render_text(f"{{{{ {expression} }}}}", {"v": []})


def test_text_shows_values_and_query_texts() -> None:
    query = TemplateQuery("SELECT 1", list)
    assert render_text("{{ origin }}: {{ q }}", {"origin": "JFK", "q": query}) == "JFK: SELECT 1"


def test_too_deep_a_template_is_an_error_and_no_crash() -> None:
    deep = "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}"
    with pytest.raises(BlockTemplateError):
        render_text(deep, {})
    with pytest.raises(BlockTemplateError):
        find_references(deep)


def test_references_tell_outputs_from_texts_and_parameters() -> None:
    found = find_references(
        "{{ a.data }} {{ b }} {{ params.c }} {{ params['d'] }} {{ webhook.parameters.e }}"
    )
    assert found.outputs == {"a", "webhook"}
    assert found.texts == {"b", "c", "d"}


def test_names_that_a_template_makes_itself_are_no_references() -> None:
    found = find_references(
        "{% for row in q.data %}{{ row.x }}{{ loop.index }}{% endfor %}{% set y = 1 %}{{ y }}"
    )
    assert found.outputs == {"q"}
    assert not found.texts


SPLICING = [
    "{% filter replace('X', v) %}SELECT X{% endfilter %}",
    "{% filter upper %}SELECT {{ v }}{% endfilter %}",
    "{% set x %}SELECT {{ v }}{% endset %}{{ x }}",
    "{% set x | replace('X', v) %}SELECT X{% endset %}{{ x }}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(v) }}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ v }}{% endcall %}",
    "{% call v() %}{% endcall %}",
    "{% include v %}",
    "{% import v as x %}",
    "{% from v import x %}",
    "{% extends v %}",
    "{% block a %}{{ v }}{% endblock %}",
    "{% autoescape true %}{{ v }}{% endautoescape %}",
    "{% for x in [[1]] recursive %}{{ x if x is number else loop(x) }}{% endfor %}",
    "{% if 1 %}{% for x in [1] %}{% filter replace('X', v) %}X{% endfilter %}{% endfor %}{% endif %}",
]


@pytest.mark.parametrize("sql", SPLICING)
def test_construct_that_makes_text_of_values_is_refused_in_sql(sql: str) -> None:
    with pytest.raises(BlockTemplateError, match=r"SQL cannot have \{% .*: values would get into its text"):
        check_sql_template(sql)
    with pytest.raises(BlockTemplateError, match="SQL cannot have"):
        render_sql(sql, {"v": HOSTILE}, DUCKDB)
    with pytest.raises(BlockTemplateError, match="SQL cannot have"):
        render_sql("{{ q }}", {"v": HOSTILE, "q": TemplateQuery(sql, list)}, DUCKDB)


@pytest.mark.parametrize("sql", ["SELECT {{ v }}", "{% for a in b %}{{ a }}{% endfor %}", ""])
def test_other_sql_is_left_to_be_rendered(sql: str) -> None:
    check_sql_template(sql)


BINDING = [
    "{{ v }}",
    "{{ v | safe }} {{ v | e }} {{ v | forceescape }} {{ v | tojson }} {{ v | upper | lower }}",
    "{{ v ~ 'a' }} {{ 'X' | replace('X', v) }} {{ '%s' % v }} {{ '%s' | format(v) }}",
    "{{ '{}'.format(v) }} {{ '{a}'.format(a=v) }} {{ [v, v] | join(v) }} {{ v + v }} {{ v * 2 }}",
    "{% set x = v %}{{ x }}{% set x = v ~ x %}{{ x }}{% set y, z = v, [v] %}{{ y }}{{ z }}",
    "{% set n = namespace(x=v) %}{% for i in [1, 2] %}{% set n.x = n.x ~ v %}{{ n.x }}{% endfor %}",
    "{% for c in v %}{{ c }}{% else %}nothing{% endfor %}",
    "{{ v | list | inclause if v else 1 }} {{ [v] | inclause }}",
    "{% if v %}{{ v[0] }}{{ v[-1] }}{{ v[::-1] }}{% endif %}",
    "{% with x = v %}{{ x }}{% endwith %}{{ v if v else v }}{{ {'a': v}.a }}{{ (v, v) }}",
    "{{ (v | identifier).name if v else v }} {{ q }} {{ q.source ~ v }}",
    "{% raw %}{{ v }}{% endraw %} {{ v | wordcount }} {{ [v] | map('upper') | list }} {{ v | xmlattr if 0 }}",
]
MARK = "ß"
"""Stands in no template, so that its places in the text would come from the value."""


@pytest.mark.parametrize("sql", BINDING)
@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20))
def test_no_value_gets_into_the_text_whatever_a_template_does_with_it(sql: str, value: str) -> None:
    hostile = f"{MARK}{value}'; DROP TABLE flights; --{MARK}"
    inner = TemplateQuery("(SELECT {{ v }})", list)
    text, values = write(sql, v=hostile, q=inner)
    assert MARK not in text
    assert MARK.upper() not in text
    assert "DROP" not in text.upper()
    assert values or "raw" in sql


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{{ v | uper }}", "there is no filter 'uper': did you mean 'upper'?"),
        ("{{ v is odder }}", "there is no test 'odder': did you mean 'odd'?"),
        ("{{ v | map('uper') }}", "there is no filter 'uper'"),
        ("{{ v | selectattr('a', 'greater') }}", "there is no test 'greater'"),
        ("{% if v | inclauses %}{% endif %}", "there is no filter 'inclauses': did you mean 'inclause'?"),
        ("{{ v ", "not a template"),
    ],
)
def test_misspelled_filter_is_refused_by_its_name(source: str, sentence: str) -> None:
    with pytest.raises(BlockTemplateError, match=re.escape(sentence)):
        check_sql_template(source)
    with pytest.raises(BlockTemplateError, match=re.escape(sentence)):
        find_references(source)


def test_filters_that_write_sql_are_known_and_refused_in_a_text() -> None:
    assert find_references("{{ v | inclause }} {{ w | identifier }}").texts == {"v", "w"}
    with pytest.raises(BlockTemplateError, match="can be used in SQL only"):
        render_text("{{ v | inclause }}", {"v": [1]})


def test_names_that_a_template_can_do_without_are_optional() -> None:
    found = find_references(
        "{{ a | default(1) }}{% if b is defined %}{{ params.c | d('') }}{% endif %}{{ e }}"
    )
    assert found.optional == {"a", "b", "c"}


def test_globals_of_templates_are_no_references() -> None:
    assert not find_references("{{ range(3) }}{% set n = namespace(x=1) %}").texts


def test_template_is_rendered_anew_each_time() -> None:
    source = "SELECT {{ 'a' }}, {{ 1 + 1 }}, {{ v }}, {{ ['a'] | inclause }}"
    for value in (1, "b"):
        assert write(source, v=value) == ("SELECT $1, $2, $3, ($4)", ("a", 2, value, "a"))
