"""The demo's report, against figures computed from the CSV files without the service."""

from __future__ import annotations

import csv
import io
import logging
import shutil
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.demo_report import FLIGHTS_FILE, find_flights_data
from airflow_provider_pushmetrics.service.results.encoders.formats import FORMATS
from tests.integration.service.conftest import Api, open_client, run_parts

Flight = dict[str, str]

in_files = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
"""For what depends on the files, and not on the service's own database."""


@pytest.fixture(scope="module")
def flights() -> list[Flight]:
    with zipfile.ZipFile(find_flights_data() / "flights.csv.zip") as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("flights.csv"))))
    assert len(rows) == 336_776
    return rows


@pytest.fixture(scope="module")
def airlines() -> dict[str, str]:
    with open(find_flights_data() / "airlines.csv", encoding="utf-8") as file:
        return {row["carrier"]: row["name"] for row in csv.DictReader(file)}


def measure(flights: list[Flight], *keys: str) -> dict[tuple[str, ...], tuple[int, float | None]]:
    """Count flights and average their delays, by some columns."""
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for flight in flights:
        groups[tuple(flight[key] for key in keys)].append(flight["dep_delay"])
    measured = {}
    for group, texts in groups.items():
        delays = [int(text) for text in texts if text not in ("NA", "")]
        measured[group] = (len(texts), sum(delays) / len(delays) if delays else None)
    return measured


def check_by_carrier(rows: list[dict[str, Any]], flights: list[Flight], names: dict[str, str]) -> None:
    expected = measure(flights, "carrier")
    assert {row["carrier"]: row["flights"] for row in rows} == {key[0]: n for key, (n, _) in expected.items()}
    for row in rows:
        assert row["name"] == names[row["carrier"]]
        assert row["mean_dep_delay"] == pytest.approx(expected[(row["carrier"],)][1], abs=0.00501)
        assert row["mean_dep_delay"] == round(row["mean_dep_delay"], 2)
    order = [(-row["mean_dep_delay"], row["carrier"]) for row in rows]
    assert order == sorted(order)


def check_by_day(rows: list[dict[str, Any]], flights: list[Flight]) -> None:
    expected = {
        f"{int(year)}-{int(month):02}-{int(day):02}": figures
        for (year, month, day), figures in measure(flights, "year", "month", "day").items()
    }
    assert [row["day"] for row in rows] == sorted(expected)
    for row in rows:
        count, mean = expected[row["day"]]
        assert row["flights"] == count
        assert row["mean_dep_delay"] == pytest.approx(mean, abs=0.00501)


def check_worst(rows: list[dict[str, Any]], flights: list[Flight]) -> None:
    delays = sorted((int(f["dep_delay"]) for f in flights if f["dep_delay"] not in ("NA", "")), reverse=True)
    assert [row["dep_delay"] for row in rows] == delays[:50]
    known = {
        (int(f["month"]), int(f["day"]), f["carrier"], int(f["flight"]), f["tailnum"], f["origin"], f["dest"])
        for f in flights
    }
    for row in rows:
        _, month, day = (int(part) for part in row["day"].split("-"))
        assert (
            month, day, row["carrier"], row["flight"], row["tailnum"], row["origin"], row["dest"]
        ) in known  # fmt: skip


@pytest.mark.slow
@in_files
@pytest.mark.parametrize(
    ("body", "query"),
    [
        ({}, {}),
        ({"month": 2}, {"origin": "JFK"}),
        ({}, {"origin": "JFK", "month": "2"}),
        ({"origin": "LGA"}, {}),
    ],
    ids=["all", "number", "text", "origin"],
)
async def test_figures_are_those_of_the_files(
    api: Api, flights: list[Flight], airlines: dict[str, str], body: dict[str, Any], query: dict[str, str]
) -> None:
    given = {**query, **{name: str(value) for name, value in body.items()}}
    chosen = [flight for flight in flights if all(flight[name] == value for name, value in given.items())]
    outputs = await api.run(1, body, **query)
    assert outputs["report_name"] == "Departure delays"
    assert outputs["status"] == "success"
    assert [query["query_name"] for query in outputs["queries"]] == ["by_carrier", "by_day", "worst"]
    check_by_carrier(await api.fetch_rows(outputs, "by_carrier"), chosen, airlines)
    check_by_day(await api.fetch_rows(outputs, "by_day"), chosen)
    check_worst(await api.fetch_rows(outputs, "worst"), chosen)


@pytest.mark.slow
@in_files
@pytest.mark.parametrize("origin", ["JFK'; DROP TABLE flights; --", "' OR '1'='1", "jfk", "\\", "é"])
async def test_hostile_origin_is_harmless_and_gives_no_rows(api: Api, origin: str) -> None:
    outputs = await api.run(1, {"origin": origin})
    assert outputs["status"] == "success"
    assert [query["row_count"] for query in outputs["queries"]] == [0, 0, 0]
    again = await api.run(1, {"origin": "JFK", "month": 2})
    assert again["queries"][0]["row_count"] == 10


@in_files
@pytest.mark.parametrize("nothing", [None, "", "all"])
async def test_all_is_said_in_several_ways(api: Api, nothing: str | None) -> None:
    outputs = await api.run(1, {"origin": nothing, "month": nothing})
    assert [query["row_count"] for query in outputs["queries"]] == [16, 365, 50]


async def test_month_that_is_none_fails_with_the_databases_message(api: Api) -> None:
    outputs = await api.run(1, {"month": "May"})
    assert outputs["status"] == "failed"
    assert "Could not convert string 'May'" in outputs["queries"][0]["error"]


async def test_result_is_the_same_by_get_and_post_and_is_given_in_its_formats_only(api: Api) -> None:
    outputs = await api.run(1, {"month": 2})
    url = outputs["queries"][1]["query_result"]
    rows = (await api.client.get(url)).json()
    assert (rows["query_id"], rows["query_name"], rows["run_id"]) == (2, "by_day", outputs["run_id"])
    for media_type in FORMATS:
        got, posted = [
            await api.client.request(method, url, headers={"Accept": media_type})
            for method in ("GET", "POST")
        ]
        assert got.status_code == posted.status_code == 200
        assert got.headers["content-type"].split(";")[0] == media_type
        assert got.content == posted.content
    assert (await api.client.get(url, headers={"Accept": "text/html"})).status_code == 406


async def test_demo_is_loaded_once(api: Api) -> None:
    from airflow_provider_pushmetrics.service.demo_report import load_demo

    before = (await api.client.get("/api/v1/report/")).json()["count"]
    load_demo(api.parts.database, api.parts.cipher, api.parts.settings.data_dir / "sources")
    assert (await api.client.get("/api/v1/report/")).json()["count"] == before


@pytest.mark.slow
@pytest.mark.parametrize("change", ["renamed", "deleted", "deleted with its database"])
async def test_service_with_the_demo_starts_again_after_its_report_was_changed(
    change: str, database_url: str | None, flights_file: Path, tmp_path: Path
) -> None:
    settings = {"database_url": database_url, "demo": True}
    (tmp_path / "sources").mkdir()
    shutil.copy(flights_file, tmp_path / "sources")
    with run_parts(tmp_path, **settings) as parts:
        async with open_client(build_app(parts)) as client:
            if change == "renamed":
                answer = await client.put("/api/v1/report/1", json={"name": "Delays"})
            else:
                answer = await client.delete("/api/v1/report/1")
            assert answer.status_code == 200, answer.text
            if change.endswith("database"):
                assert (await client.delete("/api/v1/database/1")).status_code == 200
    expected = {"renamed": ["Delays"], "deleted": []}.get(change, ["Departure delays"])
    with run_parts(tmp_path, **settings) as parts:
        async with open_client(build_app(parts)) as client:
            reports = (await client.get("/api/v1/report/")).json()["result"]
            assert [report["name"] for report in reports] == expected


async def test_demo_leaves_a_database_of_its_name_alone_and_says_so(
    database_url: str | None, flights_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "sources").mkdir()
    shutil.copy(flights_file, tmp_path / "sources" / "own.duckdb")
    shutil.copy(flights_file, tmp_path / "sources" / FLIGHTS_FILE)
    with run_parts(tmp_path, database_url=database_url) as parts:
        async with open_client(build_app(parts)) as client:
            body = {"database_name": "flights", "sqlalchemy_uri": "duckdb:///own.duckdb"}
            assert (await client.post("/api/v1/database/", json=body)).status_code == 201
    with (
        caplog.at_level(logging.WARNING),
        run_parts(tmp_path, database_url=database_url, demo=True) as parts,
    ):
        async with open_client(build_app(parts)) as client:
            (row,) = (await client.get("/api/v1/database/")).json()["result"]
            assert row["database_name"] == "flights"
            assert (await client.get("/api/v1/report/")).json()["result"] == []
    assert "has a database 'flights' already" in caplog.text
