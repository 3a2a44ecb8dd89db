"""Templates and parameters through saved reports and HTTP, on each database."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.models import DataSource
from tests.integration.service.conftest import Api

MONTH = " or 1=0 union select user,host from mysql.user -- "
HOSTILE = "it's \\' -- \"`$$ /* #;\n"
DATABASES = ("duckdb", "sqlite", "postgresql", "mysql")
MAKE_TABLE = (
    "create table sales (month integer, region varchar(20), price decimal(9, 2), sold date)",
    "insert into sales values (1, 'EMEA', 0.10, '2024-01-31'), (2, NULL, 2.50, '2024-02-29')",
)


@pytest.fixture(scope="module")
def database_kind() -> str:
    """Run these tests on one kind of database of the service: they are of those that blocks ask."""
    return "sqlite"


@pytest.fixture(params=DATABASES)
def dialect(request: pytest.FixtureRequest) -> str:
    """Name each dialect in turn."""
    name: str = request.param
    return name


@pytest.fixture
def database_id(dialect: str, request: pytest.FixtureRequest, api: Api, tmp_path: Path) -> int:
    """Give a database of this dialect with a table of sales."""
    if dialect == "duckdb":
        location = str(tmp_path / "sales.duckdb")
        with duckdb.connect(location) as connection:
            for statement in MAKE_TABLE:
                connection.execute(statement)
    elif dialect == "sqlite":
        location = f"sqlite:///{tmp_path}/sales.sqlite"
        with sqlite3.connect(tmp_path / "sales.sqlite") as file:
            for statement in MAKE_TABLE:
                file.execute(statement)
    else:
        location = request.getfixturevalue("mariadb_url" if dialect == "mysql" else "postgres_url")
        _fill_server(location)
    with api.parts.database.writing() as session:
        source = DataSource(
            workspace_id=1,
            name=f"sales {dialect} {tmp_path.name}",
            kind=dialect,
            location_encrypted=api.parts.cipher.encrypt(location),
        )
        session.add(source)
        session.flush()
        return source.id


def _fill_server(url: str) -> None:
    from sqlalchemy import create_engine

    engine = create_engine(make_url(url))
    with engine.begin() as connection:
        for statement in ("drop table if exists sales", *MAKE_TABLE):
            connection.exec_driver_sql(statement)
    engine.dispose()


PARAMETERS: dict[str, dict[str, Any]] = {
    "x": {"type": "text"},
    "n": {"type": "integer"},
    "d": {"type": "date"},
    "none": {"type": "date"},
    "price": {"type": "number"},
    "months": {"type": "integer", "multiple": True},
    "column": {"type": "text"},
    "month": {"type": "text"},
}
GIVEN = {
    "x": HOSTILE,
    "n": 2,
    "d": "2024-01-31",
    "none": "",
    "price": "0.10",
    "months": [1, 2],
    "column": "sales.region",
    "month": MONTH,
}


async def make(api: Api, database_id: int, parameters: dict[str, Any], **queries: str) -> int:
    """Make a report of parameters and queries that must be accepted."""
    blocks = [{"type": "parameter", "name": name, "content": content} for name, content in parameters.items()]
    blocks += [
        {"type": "sql", "name": name, "content": {"sql": sql, "database_id": database_id}}
        for name, sql in queries.items()
    ]
    report_id: int = (await api.create_report(*blocks))["id"]
    return report_id


async def run(api: Api, report_id: int, parameters: dict[str, Any]) -> dict[str, Any]:
    """Run a report by the API; give the rows of its queries, or their errors, by their names."""
    outputs = await api.run_by_api(report_id, parameters=parameters)
    errors = {block["name"]: block["error"] for block in outputs["blocks"]}
    return {
        one["query_name"]: errors[one["query_name"]] or await api.fetch_rows(outputs, one["query_name"])
        for one in outputs["queries"]
    }


QUERIES = {
    "plain": "select case when 1={{ 1 }}then{{ x }}end as v from sales where month ={{ n }}limit{{ 1 }}",
    "text": "select '{{ x }}' as a, 'a''{{ n }}' as b, '12:30:0{{ n }}' as c from sales limit 1",
    "like": "select region as v from sales where region like '%{{ column[:0] }}ME%'",
    "date_in_text": "select '2024-0{{ n }}-01' as v from sales limit 1",
    "comment": "select 1 as v -- it's {{ x }}\n/* {{ x }} ' */ from sales where month = {{ n }}",
    "identifier": "select {{ column | identifier }} as v from sales order by month",
    "inclause": "select count(*) as v from sales where month in {{ months | inclause }}",
    "inclause_null": "select count(*) as v from sales where month in {{ [1, none] | inclause }}",
    "null": "select count(*) as v from sales where ({{ none }} is null or sold = {{ none }})",
    "value_or_null": "select count(*) as v from sales where ({{ d }} is null or sold = {{ d }})",
    "number": "select count(*) as v from sales where price = {{ price }} or month = {{ n }} - 2",
    "injection": "select month as v, region from sales where region = '{{ month }} '",
}
ROWS: dict[str, list[dict[str, Any]]] = {
    "plain": [{"v": HOSTILE}],
    "text": [{"a": HOSTILE, "b": "a'2", "c": "12:30:02"}],
    "like": [{"v": "EMEA"}],
    "date_in_text": [{"v": "2024-02-01"}],
    "comment": [{"v": 1}],
    "identifier": [{"v": "EMEA"}, {"v": None}],
    "inclause": [{"v": 2}],
    "inclause_null": [{"v": 1}],
    "null": [{"v": 2}],
    "value_or_null": [{"v": 1}],
    "number": [{"v": 1}],
    "injection": [],
}
OWN_QUERIES = {
    "duckdb": {
        "interval": "select count(*) as v from sales where sold + interval '{{ n }} days' = '2024-02-02'",
        "days": "select count(*) as v from sales where sold + interval {{ n }} day = date '2024-02-02'",
        "typed": "select count(*) as v from sales where sold = date '{{ d }}'",
        "list": "select count(*) as v from sales where month = any({{ months }})",
    },
    "sqlite": {"days": "select count(*) as v from sales where date(sold, '{{ n }} days') = '2024-02-02'"},
    "postgresql": {
        "interval": "select count(*) as v from sales where sold + interval '{{ n }} days' = '2024-02-02'",
        "typed": "select count(*) as v from sales where sold = date '{{ d }}'",
        "added": "select count(*) as v from sales where {{ d }} + interval '2 days' = date '2024-02-02'",
        "list": "select count(*) as v from sales where month = any({{ months }})",
        "slice": "select array_to_string((array[1,2,3])[1:{{ n }}], ',') as v",
    },
    "mysql": {
        "days": "select count(*) as v from sales where sold + interval {{ n }} day = date '2024-02-02'",
        "typed": "select count(*) as v from sales where sold = date '{{ d }}'",
        "by_month": "select month as v, region from sales where month(sold) = '{{ month }} '",
    },
}
OWN_ROWS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("postgresql", "added"): [{"v": 2}],
    ("postgresql", "list"): [{"v": 2}],
    ("duckdb", "list"): [{"v": 2}],
    ("postgresql", "slice"): [{"v": "1,2"}],
    ("mysql", "by_month"): [],
}


async def test_each_place_of_a_value_gives_the_right_rows(api: Api, dialect: str, database_id: int) -> None:
    queries = {**QUERIES, **OWN_QUERIES[dialect]}
    report_id = await make(api, database_id, PARAMETERS, **queries)
    rows = await run(api, report_id, GIVEN)
    expected = {name: OWN_ROWS.get((dialect, name), [{"v": 1}]) for name in OWN_QUERIES[dialect]}
    assert rows == {**ROWS, **expected}


@pytest.mark.parametrize(
    ("sql", "dialects", "sentence"),
    [
        ("select {{ x | inclauses }}", DATABASES, "there is no filter 'inclauses': did you mean 'inclause'?"),
        ("select {{ x is odder }}", DATABASES, "there is no test 'odder'"),
        ("select '{{ x }}", DATABASES, "unclosed"),
        ('select "{{ x }}"', ("duckdb", "sqlite", "postgresql"), "use {{ name | identifier }}"),
        ("select `{{ x }}`", ("duckdb", "sqlite", "mysql"), "use {{ name | identifier }}"),
        ("select interval '{{ x }}' day", ("duckdb", "postgresql"), "write {{ … }} * INTERVAL '1 day'"),
        ("select date '{{ x }}'", ("sqlite",), "write date('…')"),
        ("{% set x %}{{ y }}{% endset %}", DATABASES, "SQL cannot have {% set %}"),
        ("select month from sales order by {{ x }} limit 2", DATABASES, "after ORDER BY is a value"),
        ("select 1 {% if x %}order by region, {{ x }}{% endif %}", DATABASES, "after ORDER BY is a value"),
        ("select count(*) from sales group by {{ x }}", DATABASES, "write {{ name | identifier }}"),
        ("select sum(month) over (partition by {{ x }}) from sales", DATABASES, "after PARTITION BY is a"),
        ("select distinct on ({{ x }}) month from sales", ("duckdb", "postgresql"), "after DISTINCT ON is"),
    ],
)
async def test_sql_that_cannot_be_sent_is_refused_when_it_is_saved(
    api: Api, dialect: str, database_id: int, sql: str, dialects: tuple[str, ...], sentence: str
) -> None:
    if dialect not in dialects:
        return
    content = {"sql": sql, "database_id": database_id}
    report_id = await make(api, database_id, {}, q="select 1 as v")
    added = {"report_id": report_id, "type": "sql", "name": "wrong", "content": content}
    block = (await api.client.get(f"/api/v1/report/{report_id}")).json()["result"]["blocks"][0]
    written = {"name": "q", "type": "sql", "content": content}
    document = json.dumps({"name": "R", "blocks": [written]}, ensure_ascii=False)  # YAML too
    yaml = {"content-type": "text/plain"}
    for answer in (
        await api.client.post("/api/v1/block/", json=added),
        await api.client.put(f"/api/v1/block/{block['id']}", json={"content": content}),
        await api.client.post("/api/v1/report/", json={"name": "R", "blocks": [added]}),
        await api.client.put(f"/api/v1/report/{report_id}/config", content=document, headers=yaml),
        await api.client.post(f"/api/v1/block/{block['id']}/run", json={"content_json": {"sql": sql}}),
    ):
        assert answer.status_code == 422, answer.text
        assert sentence in answer.json()["message"]


async def test_sorting_by_a_value_fails_and_by_the_name_of_a_column_sorts(
    api: Api, dialect: str, database_id: int
) -> None:
    months = "select month as v from sales"
    queries = {
        "by_value": f"{{% set c = column %}}{months} order by {{{{ c }}}}",
        "by_name": f"{{% set c = column | identifier %}}{months} order by {{{{ c }}}} desc limit {{{{ n }}}}",
        "by_case": f"{months} order by case when month = {{{{ n }}}} then 0 else 1 end, month",
        "by_sum": f"{months} order by {{{{ n }}}} - month",
        "in_window": "select {{ n }} * rank() over (order by month desc) as v from sales order by month",
    }
    report_id = await make(api, database_id, PARAMETERS, **queries)
    rows = await run(api, report_id, {**GIVEN, "column": "sales.month"})
    two_one, four_two = ([{"v": 2 * n}, {"v": n}] for n in (1, 2))
    assert "after ORDER BY is a value" in rows.pop("by_value")
    assert rows == {"by_name": two_one, "by_case": two_one, "by_sum": two_one, "in_window": four_two}


@pytest.mark.parametrize("end", [" -- all sales", " -- all\n/* of them */\n", ";"])
async def test_query_composed_of_one_that_ends_in_a_comment_is_whole(
    api: Api, dialect: str, database_id: int, end: str
) -> None:
    queries = {
        "every": f"select month as v from sales{end}",
        "one": "{{ every }} where month = {{ n }} limit 5",
        "first": "{{ every }} order by v limit 1",
        "count": "select count(*) as v from ({{ every }}) as s -- not {{ every }}\nwhere v > {{ n - 1 }}",
        "of_a_composed_one": "select v + 1 as v from ({{ one }}) as s",
    }
    report_id = await make(api, database_id, PARAMETERS, **queries)
    rows = await run(api, report_id, GIVEN)
    every = sorted(row["v"] for row in rows.pop("every"))
    assert (every, {name: [row["v"] for row in found] for name, found in rows.items()}) == (
        [1, 2],
        {"one": [2], "first": [1], "count": [1], "of_a_composed_one": [3]},
    )


async def test_sql_of_a_block_may_be_what_a_query_is_sorted_by(api: Api, database_id: int) -> None:
    assert await make(api, database_id, {}, by="v", q="select month as v from sales order by {{ by }}")


async def test_empty_list_fails_with_a_sentence(api: Api, database_id: int) -> None:
    report_id = await make(api, database_id, PARAMETERS, q="select 1 as v where 1 in {{ months | inclause }}")
    rows = await run(api, report_id, {**GIVEN, "months": []})
    assert "the list is empty" in rows["q"]


# --- parameters ---------------------------------------------------------------------------------------------

TYPED: dict[str, dict[str, Any]] = {
    "day": {"type": "date", "default": "2024-01-31"},
    "region": {"type": "text", "required": True, "choices": ["EMEA", "APAC"]},
    "price": {"type": "number"},
}


@pytest.mark.parametrize("dialect", ["duckdb"], indirect=True)
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"region": "EMEA", "day": "yesterday"}, "parameter 'day' is 'yesterday', which is no date"),
        ({"region": "EMEA", "price": [1]}, "parameter 'price' is [1], which is no number"),
        ({"region": "Mars"}, "parameter 'region' is 'Mars': it must be one of 'EMEA', 'APAC'"),
        ({}, "parameter 'region' is required"),
    ],
)
async def test_wrong_value_is_refused_before_there_is_a_run(
    api: Api, database_id: int, given: dict[str, Any], sentence: str
) -> None:
    report_id = await make(api, database_id, TYPED, q="select {{ day }} as v")
    made = await api.client.post("/api/v1/webhook/", json={"report_id": report_id})
    token = made.json()["result"]["token"]
    block = (await api.client.get(f"/api/v1/report/{report_id}")).json()["result"]["blocks"][-1]
    by_trigger = await api.client.post(
        f"/api/v1/report/{report_id}/webhook", params={"token": token}, json=given
    )
    by_api = await api.client.post(f"/api/v1/report/{report_id}/run/noteflow", json={"parameters": given})
    alone = await api.client.post(f"/api/v1/block/{block['id']}/run", json={"parameters": given})
    assert (by_trigger.status_code, by_api.status_code, alone.status_code) == (400, 422, 422)
    for answer in (by_trigger, by_api, alone):
        assert sentence in answer.json()["message"]
    runs = await api.client.get(
        "/api/v1/noteflow_run/", params={"q": f"(filters:!((col:report,opr:eq,value:{report_id})))"}
    )
    assert runs.json()["count"] == 0


@pytest.mark.parametrize("dialect", ["duckdb"], indirect=True)
async def test_parameters_have_their_types_in_templates(api: Api, database_id: int) -> None:
    sql = "select typeof({{ day }}) as d, {{ price }} + 1 as p, {{ price * 1.5 }} as t, {{ day.month }} as m"
    report_id = await make(api, database_id, TYPED, q=sql)
    rows = await run(api, report_id, {"region": "EMEA", "price": "0.10"})
    assert rows["q"] == [{"d": "DATE", "p": 1.10, "t": 0.150, "m": 1}]


@pytest.mark.parametrize("dialect", ["duckdb"], indirect=True)
@pytest.mark.parametrize(
    "content",
    [
        {"type": "date", "default": "x"},
        {"type": "color"},
        {"type": "integer", "choices": ["x"]},
        {"type": "integer", "choices": []},
        {"type": "integer", "choices": {"table": "x"}},
        {"type": "integer", "multiple": "yes"},
        {"type": "integer", "default": 3, "choices": [1, 2]},
    ],
)
async def test_parameter_block_that_is_wrong_is_refused(
    api: Api, database_id: int, content: dict[str, Any]
) -> None:
    block = {"type": "parameter", "name": "p", "content": content}
    answer = await api.client.post("/api/v1/report/", json={"name": "R", "blocks": [block]})
    assert answer.status_code == 422


@pytest.mark.parametrize("dialect", ["duckdb"], indirect=True)
async def test_choices_of_a_query_are_those_of_its_last_result(api: Api, database_id: int) -> None:
    parameters = {"p": {"type": "date", "choices": {"query": "q"}}, "f": {"choices": [1, "a"]}}
    report_id = await make(api, database_id, parameters, q="select sold from sales order by sold")
    blocks = (await api.client.get(f"/api/v1/report/{report_id}")).json()["result"]["blocks"]
    paths = [f"/api/v1/block/{block['id']}/choices" for block in blocks]
    assert (await api.client.get(paths[0])).json() == {"result": [], "is_complete": False}
    assert (await api.client.get(paths[1])).json() == {"result": [1, "a"], "is_complete": True}
    await run(api, report_id, {"f": 1})
    found = (await api.client.get(paths[0])).json()
    assert found == {"result": ["2024-01-31", "2024-02-29"], "is_complete": True}


# --- names and the time zone --------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["duckdb"], indirect=True)
async def test_name_that_nobody_defines_is_a_warning(api: Api, database_id: int) -> None:
    sql = "select {{ q2 }}, {{ regoin }}, {{ params.dya }}, {{ x | default(1) }}, {{ webhook.parameters.y }}"
    blocks = [
        {"type": "sql", "name": "q", "content": {"sql": sql, "database_id": database_id}},
        {"type": "sql", "name": "q2", "content": {"sql": "select 1 as v", "database_id": database_id}},
    ]
    made = (await api.client.post("/api/v1/report/", json={"name": "R", "blocks": blocks})).json()["result"]
    assert len(made["warnings"]) == 1
    assert "block 'q': no block of the report is called 'dya', 'regoin': runs fail" in made["warnings"][0]
    block = {"content": {"sql": "select {{ q2 }}", "database_id": database_id}}
    changed = await api.client.put(f"/api/v1/block/{made['blocks'][0]['id']}", json=block)
    assert changed.json()["result"]["warnings"] == []


@pytest.mark.parametrize("dialect", ["duckdb"], indirect=True)
async def test_time_zone_of_a_report_is_checked_kept_and_that_of_its_schedules(
    api: Api, database_id: int
) -> None:
    wanted = {"name": "R", "time_zone": "Europe/Berlin", "blocks": []}
    made = (await api.client.post("/api/v1/report/", json=wanted)).json()["result"]
    path = f"/api/v1/report/{made['id']}"
    assert made["time_zone"] == "Europe/Berlin"
    schedule = {"report_id": made["id"], "first_start": "2999-01-01T06:00:00"}
    planned = (await api.client.post("/api/v1/schedule/", json=schedule)).json()["result"]
    assert planned["time_zone"] == "Europe/Berlin"
    for answer in (
        await api.client.put(path, json={"time_zone": "Mars/Olympus"}),
        await api.client.post("/api/v1/report/", json={**wanted, "time_zone": "../etc/passwd"}),
        await api.client.put(f"{path}/config", content="name: R\ntime_zone: Mars\nblocks: []\n"),
    ):
        assert answer.status_code == 422
        assert "is not a time zone" in answer.json()["message"]
    document = (await api.client.get(f"{path}/config")).text
    assert "time_zone: Europe/Berlin" in document
    changed = await api.client.put(
        f"{path}/config",
        content=document.replace("Europe/Berlin", "Asia/Tokyo"),
        headers={"content-type": "text/plain"},
    )
    assert changed.json()["result"]["time_zone"] == "Asia/Tokyo"
    assert (await api.client.get(path)).json()["result"]["time_zone"] == "Asia/Tokyo"
