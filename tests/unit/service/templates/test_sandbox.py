"""That no template holds up the service, and that ordinary ones are not in the way of the bounds."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

import pytest

from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError, Budget
from airflow_provider_pushmetrics.service.templates.dialects import DUCKDB
from airflow_provider_pushmetrics.service.templates.rendering import TemplateQuery, render_sql, render_text

ENOUGH_SECONDS = 20.0
"""Of the processor. Most take none to speak of; unbounded, each would take hours. Coverage slows it all."""

DOUBLING = "{% set ns = namespace(v=START) %}{% for i in range(60) %}{% set ns.v = STEP %}{% endfor %}USE"


def double(start: str, step: str, use: str = "") -> str:
    return DOUBLING.replace("START", start).replace("STEP", step).replace("USE", use)


HOSTILE = [
    "{{ 9**(9**9) }}",
    "{{ (9**9)**(9**9) }}",
    "{{ 'x' * 10**9 }}",
    "{{ 10**9 * 'x' }}",
    "{{ [0] * 10**9 }}",
    "{{ ('x' * 1000000) * 1000000 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%.1000000000f' % 1 }}",
    "{{ '%*d' % (10**9, 1) }}",
    "{{ '%(a(b))999999999d' % {'a(b)': 1} }}",
    "{{ '%999999999d' | format(1) }}",
    "{{ '{:>999999999}'.format(1) }}",
    "{{ '{:{}}'.format(1, 999999999) }}",
    "{{ ('{0}' * 100000).format('x' * 100000) }}",
    "{{ 'x' | center(10**9) }}",
    "{{ 'x'.center(10**9) }}",
    "{{ 'x'.zfill(10**9) }}",
    "{{ '\t'.expandtabs(10**9) }}",
    "{{ 'x' | indent(10**9, true) }}",
    "{{ ('\n' * 1000000) | indent('x' * 100000) }}",
    "{{ ('x ' * 1000000) | wordwrap(1) }}",
    "{{ 'x' | wordwrap(10**9) }}",
    "{{ [1] | batch(10**9, 0) | list }}",
    "{{ [1] | slice(10**9) | list }}",
    "{{ 1.5 | round(10**9, 'ceil') }}",
    "{{ range(99999) | join('x' * 1000000) }}",
    "{{ ('x' * 1000000).join('y' * 1000000) }}",
    "{{ ('x' * 100000).replace('x', 'y' * 100000) }}",
    "{{ ('x' * 100000) | replace('x', 'y' * 100000) }}",
    "{{ 'x'.translate({120: 'y' * 1000000}) }}",
    "{{ ('x' * 100000).encode('punycode') }}",
    "{{ 5 .to_bytes(10**9, 'big') }}",
    "{{ d.strftime('%999999999Y') }}",
    "{{ ('a@' + 'a.' * 500000) | urlize }}",
    "{{ ('<a>' * 500000) | striptags }}",
    "{{ ('b' + 'a' * 500000) in ('a' * 1000000).rpartition('b' + 'a' * 500000) }}",
    "{{ lipsum(n=10**9) }}",
    "{{ range(10**9) | list }}",
    "{{ ([range(99999)] * 99999) | map('list') | list }}",
    "{{ [[1] * 1000] * 1000000 }}",
    "{{ ([[1] * 3000] * 3000) | sum(start=[]) }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(99999) if range(99999) | sum < 0 %}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) %}" + "x" * 10_000 + "{% endfor %}{% endfor %}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% for a in [1] recursive %}{{ loop([1, 1]) }}{{ loop([1, 1]) }}{% endfor %}",
    "{% block a %}{{ self.a() }}{% endblock %}",
    double("'x'", "ns.v ~ ns.v"),
    double("'x'", "ns.v + ns.v"),
    double("2", "ns.v * ns.v"),
    double("[1]", "[ns.v, ns.v]", "{{ ns.v }}"),
    double("[1]", "(ns.v, ns.v)", "{{ {ns.v: 1} }}"),
    double("[1]", "{'a': ns.v, 'b': ns.v}", "{{ ns.v | tojson }}"),
    double("[1]", "cycler(ns.v, ns.v).items", "{{ ns.v == ns.v }}"),
    double("[1]", "dict(a=ns.v, b=ns.v)", "{{ ns.v | pprint }}"),
    "{% filter indent('x' * 100000) %}{% for a in range(99999) %}\n{% endfor %}{% endfilter %}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{% for a in x %}" * 30 + "{% endfor %}" * 30,
    "x" * 300_000,
]


@pytest.mark.parametrize("template", HOSTILE, ids=lambda template: template[:60])
def test_hostile_template_ends_soon(template: str) -> None:
    started = time.thread_time()
    with pytest.raises(BlockTemplateError):
        render_text(template, {"d": date(2020, 1, 2), "x": [1]})
    assert time.thread_time() - started < ENOUGH_SECONDS


@pytest.mark.parametrize("template", ["{{ 9**(9**9) }}", "{{ 'x' * 10**9 }}", HOSTILE[41]])
def test_hostile_sql_ends_soon_too(template: str) -> None:
    with pytest.raises(BlockTemplateError):
        render_sql(template, {}, DUCKDB)


def test_queries_that_double_each_other_end() -> None:
    names = {
        f"q{n}": TemplateQuery(f"{{{{ q{n + 1} }}}}{{{{ q{n + 1} }}}}" + " " * 900, list) for n in range(15)
    }
    with pytest.raises(BlockTemplateError, match=r"steps|longer"):
        render_sql("{{ q0 }}", {**names, "q15": TemplateQuery("1", list)}, DUCKDB)


ROWS = [{"n": n, "name": f"name {n}"} for n in range(3)]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (
            "{{ 2**10 }} {{ 7 // 2 }} {{ 7 % 4 }} {{ 1.5 * 10000000 }} {{ 10000000 * 1.5 }}",
            "1024 3 3 15000000.0 15000000.0",
        ),
        ("{{ '-' * 5 }}{{ 'a' ~ 1 ~ none }}{{ [1] + [2] }}", "-----a1None[1, 2]"),
        (
            "{{ '%05.2f|%s' % (1.234, 'x') }} {{ '%s!' | format('x') }} {{ '{:>6,.1f}'.format(1234.5) }}",
            "01.23|x x! 1,234.5",
        ),
        ("{{ rows | map(attribute='name') | join(', ') }}", "name 0, name 1, name 2"),
        ("{{ rows | selectattr('n', 'gt', 0) | map(attribute='n') | sum }}", "3"),
        (
            "{{ rows | rejectattr('n', 'odd') | list | length }} {{ (rows | first).n }} {{ rows[-1].n }}",
            "2 0 2",
        ),
        (
            "{% for r in rows if r.n %}{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last }}"
            "{% else %}-{% endfor %}",
            "1/2,2/2",
        ),
        ("{% for a in [[1, [2]]] recursive %}{{ a if a is number else loop(a) }}{% endfor %}", "12"),
        (
            "{% macro m(x, y=1) %}<{{ x }}{{ y }}>{% endmacro %}{{ m(1) }}"
            "{% macro n() %}{{ caller() }}{% endmacro %}{% call n() %}c{% endcall %}",
            "<11>c",
        ),
        (
            "{% set a, b = 1, 2 %}{% set t %}{{ a }}{{ b }}{% endset %}{{ t }}"
            "{% filter upper %}x{% endfilter %}",
            "12X",
        ),
        (
            "{{ 1 < 2 <= 3 }} {{ 'a' in ('a', 'b') }} {{ x is defined }} {{ x | default('d') }}",
            "True True False d",
        ),
        ("{{ 'a,b'.split(',') | batch(3, '-') | list }} {{ 'x' | center(3) }}.", "[['a', 'b', '-']]  x ."),
        (
            "{{ d.strftime('%Y-%m') }} {{ 'AbC'.lower().replace('b', '') }} {{ dict(self=1) }}",
            "2020-01 ac {'self': 1}",
        ),
        (
            "{% set ns = namespace(n=0) %}{% for r in rows %}{% set ns.n = ns.n + r.n %}"
            "{% endfor %}{{ ns.n }}",
            "3",
        ),
        (
            "{{ rows | tojson | length }} {{ 1234.567 | round(1) }} {{ rows | groupby('n') | length }}",
            "84 1234.6 3",
        ),
    ],
)
def test_ordinary_template_is_rendered_as_ever(template: str, text: str) -> None:
    assert render_text(template, {"rows": ROWS, "d": date(2020, 1, 2)}) == text


def test_as_many_rows_as_a_template_may_have_are_rendered() -> None:
    rows: list[dict[str, Any]] = [{"n": n, "name": "x" * 20} for n in range(100_000)]
    text = render_text(
        "{% for r in q.data %}{{ r.n }},{{ r.name }};{% endfor %}", {"q": TemplateQuery("", lambda: rows)}
    )
    assert text.count(";") == 100_000


def test_template_ends_when_its_time_is_over() -> None:
    now = [0.0]
    budget = Budget(lambda: now[0])
    assert budget.step()
    now[0] = 5.1
    with pytest.raises(BlockTemplateError, match="longer than 5 s: do this in a query"):
        budget.step()
