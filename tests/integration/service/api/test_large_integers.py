"""Integers in queries that no column of a database can store are refused, by every route."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from tests.integration.service.conftest import Api

TOO_LARGE = (2**63, 10**20, 10**400)


def list_integers(dependant: Dependant) -> Iterator[str]:
    """List the parameters of a query that are integers, also those of what a route depends on."""
    for one in dependant.query_params:
        if "int" in re.split(r"\W+", str(one.field_info.annotation)):
            yield one.alias
    for other in dependant.dependencies:
        yield from list_integers(other)


@pytest.mark.parametrize("number", TOO_LARGE, ids=["2^63", "10^20", "10^400"])
async def test_every_integer_of_a_query_is_refused_if_no_column_can_store_it(api: Api, number: int) -> None:
    routes = [route for route in api.client._transport.app.routes if isinstance(route, APIRoute)]  # type: ignore[attr-defined]
    found = [(route, name) for route in routes for name in list_integers(route.dependant)]
    assert {"report", "offset", "limit", "column"} <= {name for _, name in found}
    for route, name in found:
        path = re.sub(r"{\w+}", "1", route.path)
        path = path.replace("/app/results/1/", "/app/results/run/")
        answer = await api.client.request(next(iter(route.methods)), path, params={name: str(number)})
        assert answer.status_code == 422, (path, name, answer.text)


@pytest.mark.parametrize("number", TOO_LARGE, ids=["2^63", "10^20", "10^400"])
@pytest.mark.parametrize(
    "query", ["(page:{0})", "(page_size:{0})", "(filters:!((col:id,opr:eq,value:{0})))", '{{"page":{0}}}']
)
async def test_lists_refuse_them_in_their_query(api: Api, number: int, query: str) -> None:
    for resource in ("report", "noteflow_run", "webhook", "webhook_subscription", "database", "user"):
        answer = await api.client.get(f"/api/v1/{resource}/", params={"q": query.format(number)})
        assert 400 <= answer.status_code < 500, (resource, answer.text)


async def test_largest_page_is_empty(api: Api) -> None:
    """Its first row has a number that is stored in no column, too."""
    answer = await api.client.get("/api/v1/report/", params={"q": f"(page:{2**62},page_size:100)"})
    assert answer.status_code in (200, 400), answer.text


@pytest.mark.parametrize("number", TOO_LARGE, ids=["2^63", "10^20", "10^400"])
async def test_rows_from_them_on_are_refused_and_from_the_largest_offset_on_there_are_none(
    api: Api, number: int
) -> None:
    made = await api.run(1)
    blocks = (await api.client.get("/api/v1/report/1")).json()["result"]["blocks"]
    uid = next(block["uid"] for block in blocks if block["name"] == "worst")
    path = f"/app/results/run/{made['run_id']}/{uid}/rows"
    for name in ("offset", "column"):
        assert (await api.client.get(path, params={name: str(number)})).status_code == 422
    empty = await api.client.get(path, params={"offset": 2**53 - 1})
    assert (empty.status_code, empty.json()["rows"]) == (200, [])
    searched = await api.client.get(path, params={"offset": 2**53 - 1, "column": 1})
    assert (searched.status_code, searched.json()["rows"]) == (200, [])
