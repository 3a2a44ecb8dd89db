"""Databases that are changed or deleted while queries of them run."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.datasources.base import Stopper
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from tests.fakes.datasources import fetch_rows
from tests.fakes.flight_sql import FlightSqlServer
from tests.integration.service.conftest import Api

ROWS = 300_000


@pytest.fixture(scope="module")
def database_kind() -> str:
    """Run these tests on one kind of database of the service."""
    return "sqlite"


@pytest.fixture(params=[pytest.param("postgresql", marks=pytest.mark.postgres), "flightsql"])
def urls(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Give two URLs of one server."""
    if request.param == "flightsql":
        server: FlightSqlServer = request.getfixturevalue("flight_sql_server")
        url = f"flightsql://127.0.0.1:{server.port}"
        return url, f"{url}?dialect=duckdb"
    first = make_url(request.getfixturevalue("postgres_server_url"))
    second = first.update_query_dict({"application_name": "second"})
    return first.render_as_string(hide_password=False), second.render_as_string(hide_password=False)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_query_of_a_changed_or_deleted_database_and_those_of_others_succeed(
    api: Api, urls: tuple[str, str], *, is_deleted: bool
) -> None:
    row = await api.add_database(urls[0])
    path, sources = f"/api/v1/database/{row['id']}", api.parts.sources
    running = sources.open(row["id"])
    sql = BoundSql((f"SELECT g.* FROM generate_series(1, {ROWS}) AS g(n)",), ())
    with running.query(sql, Stopper(), limits=DEFAULT_LIMITS, time_zone="UTC") as rows:
        count = next(rows.batches).num_rows
        if is_deleted:
            answer = await api.client.delete(path)
        else:
            answer = await api.client.put(path, json={"sqlalchemy_uri": urls[1]})
        assert answer.status_code == 200
        other = await api.add_database(urls[0])
        for database in [other] if is_deleted else [other, row]:
            opened = sources.open(database["id"])
            assert opened is not running
            assert fetch_rows(opened, "SELECT 1 AS v") == [{"v": 1}]
        count += sum(batch.num_rows for batch in rows.batches)
    assert count == ROWS
