"""What databases hold, asked by the API: DuckDB, folders of files, SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.integration.service.conftest import Api

SHOP = """\
CREATE TABLE customer (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer (id), "a ""b" TEXT);
CREATE UNIQUE INDEX by_name ON customer (name);
CREATE VIEW latest AS SELECT * FROM orders;
"""


class Shop:
    """A database of the service's, and what the API says of it."""

    def __init__(self, api: Api, reference: str) -> None:
        self.api, self.reference = api, reference

    async def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = await self.api.client.get(f"/api/v1/database/{self.reference}/{path}", params=query)
        assert answer.status_code == status, answer.text
        body = answer.json()
        return body.get("result", body)


async def add(api: Api, url: str, **query: Any) -> Shop:
    return Shop(api, (await api.add_database(url, **query))["uid"])


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def shop(request: pytest.FixtureRequest, api: Api, tmp_path: Path) -> tuple[Shop, str]:
    if request.param == "sqlite":
        with sqlite3.connect(tmp_path / "shop.sqlite") as connection:
            connection.executescript(SHOP)
        return await add(api, f"sqlite:///{tmp_path}/shop.sqlite"), "main"
    url: str = request.getfixturevalue("postgres_url")
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(SHOP.encode())
        connection.execute(b"COMMENT ON TABLE customer IS 'Who buys'")
    return await add(api, url), "public"


async def test_sql_database_is_described_down_to_its_columns(shop: tuple[Shop, str]) -> None:
    database, schema = shop
    assert schema in await database.get("schemas/", q="(force:!t)")
    tables = await database.get(f"schema/{schema}/", action="tree")
    assert [(one["name"], one["type"]) for one in tables] == [
        ("customer", "table"),
        ("latest", "view"),
        ("orders", "table"),
    ]
    assert await database.get("schema/nowhere/") == []
    table = await database.get(f"table/orders/{schema}/")
    assert [column["name"] for column in table["columns"]] == ["id", "customer_id", 'a "b']
    assert table["columns"][0]["keys"][0]["type"] == "pk"
    assert table["primaryKey"]["column_names"] == ["id"]
    key = table["foreignKeys"][0]
    assert (key["column_names"], key["referred_table"], key["referred_columns"]) == (
        ["customer_id"],
        "customer",
        ["id"],
    )
    customer = await database.get(f"table/customer/{schema}/")
    assert customer["columns"][1]["longType"] == "VARCHAR(40)"
    assert {"name": "by_name", "column_names": ["name"], "unique": True} in customer["indexes"]
    assert customer["comment"] == (None if schema == "main" else "Who buys")


async def test_tables_are_found_by_name_and_by_a_part_of_it(shop: tuple[Shop, str]) -> None:
    database, schema = shop
    there = {"exists": True, "type": "table", "resolved_name": "orders"}
    assert await database.get(f"table_exists/ORDERS/{schema}/") == there
    assert (await database.get(f"table_exists/nope/{schema}/"))["exists"] is False
    found = await database.get("search_tables/", pattern="ER")
    assert [one["name"] for one in found["results"]] == ["customer", "orders"]
    assert (await database.get("search_tables/", pattern="er", schema="nowhere"))["count"] == 0
    await database.get(f"table/nope/{schema}/", status=404)


async def test_sql_for_the_first_rows_runs_as_it_is_written(shop: tuple[Shop, str]) -> None:
    database, schema = shop
    written = await database.get(f"select_star_sql/customer/{schema}/", limit=5)
    assert written.split()[:2] == ["SELECT", "*"]
    assert "LIMIT 5" in written
    await database.get(f"select_star_sql/customer/{schema}/", status=422, limit=0)


async def test_functions_are_listed_by_a_part_of_their_name(shop: tuple[Shop, str]) -> None:
    database, _ = shop
    found = await database.get("function_names/", filter="UPPER", limit=1)
    assert len(found["functions"]) == 1
    assert "upper" in found["functions"][0]
    assert (found["count"], found["filter"], found["total"] >= 1) == (1, "UPPER", True)


async def test_duckdb_file_is_described(api: Api) -> None:
    flights = Shop(api, "1")
    assert await flights.get("schemas/") == ["main"]
    assert {one["name"] for one in await flights.get("schema/main/")} >= {"flights", "airlines"}
    table = await flights.get("table/flights/main/")
    assert ("carrier", "VARCHAR") in [(one["name"], one["type"]) for one in table["columns"]]
    assert table["selectStar"] == "SELECT *\nFROM main.flights\nLIMIT 100"
    assert "lower" in (await flights.get("function_names/", filter="lower", limit=500))["functions"]


async def test_folder_of_files_is_described(api: Api, tmp_path: Path) -> None:
    (tmp_path / "My cities.csv").write_text("id,name\n1,Berlin\n")
    folder = await add(api, f"duckdb:///{tmp_path}")
    assert [one["name"] for one in await folder.get("schema/main/")] == ["My cities"]
    table = await folder.get("table/My cities/main/")
    assert [one["longType"] for one in table["columns"]] == ["BIGINT", "VARCHAR"]
    assert 'FROM main."My cities"' in table["selectStar"]


async def test_database_that_does_not_answer_says_so_in_its_words(api: Api) -> None:
    gone = await add(api, "duckdb:///gone.duckdb", skip_test=True)
    assert "'gone.duckdb' does not exist" in (await gone.get("schemas/", status=422))["message"]
