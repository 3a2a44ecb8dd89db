"""A chart is drawn once, in its run, and its pictures are kept with the results of the run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_pushmetrics.service.storage.clock import get_now
from tests.fakes.service_reports import sql
from tests.fakes.waiting import until
from tests.integration.service.conftest import Api

ROWS = sql("SELECT range AS n, range * 2 AS twice FROM range(9)")
ENCODING = {"x": {"field": "n", "type": "ordinal"}, "y": {"field": "twice", "type": "quantitative"}}
SPEC = {"mark": "bar", "encoding": ENCODING}


def chart(spec: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return ("chart", {"query": "rows", "spec": spec})


def list_pictures(api: Api, run_id: int) -> list[Path]:
    return sorted(api.parts.settings.results_dir.glob(f"run-{run_id}/*.zip"))


async def test_chart_is_drawn_in_its_run_and_not_again_for_a_page(api: Api) -> None:
    made = api.make_report(rows=ROWS, bars=chart(SPEC))
    outputs = await api.run(made.id)
    (kept,) = list_pictures(api, outputs["run_id"])
    base = f"/app/results/run/{outputs['run_id']}/{made.blocks['bars']}"
    light = await api.client.get(f"{base}/chart.svg")
    dark = await api.client.get(f"{base}/chart.svg", params={"is_dark": True})
    assert light.headers["content-type"] == "image/svg+xml"
    assert light.text.startswith("<svg")
    assert light.text != dark.text
    assert "sandbox" in light.headers["content-security-policy"]
    assert (await api.client.get(f"{base}/chart.svg", headers={"Authorization": ""})).status_code == 401
    spec = (await api.client.get(f"{base}/chart.json")).json()
    assert spec["data"] == {"values": [{"n": n, "twice": 2 * n} for n in range(9)]}
    assert (await api.client.get(f"{base}/rows")).status_code == 404, "pictures are not rows"
    whole = kept.read_bytes()
    kept.write_bytes(whole[:60] + bytes(100) + whole[160:])
    damaged = await api.client.get(f"{base}/chart.svg")
    assert (damaged.status_code, "damaged" in damaged.text) == (500, True), damaged.text
    kept.unlink()
    gone = await api.client.get(f"{base}/chart.svg")
    assert (gone.status_code, "no longer kept" in gone.text) == (404, True), gone.text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chart.json", "chart.svg", "chart.svg?is_dark=true"])
async def test_page_asks_each_time_for_a_chart_and_gets_it_only_if_it_has_not_got_it(
    api: Api, name: str
) -> None:
    made = api.make_report(rows=ROWS, bars=chart(SPEC))
    run_id = (await api.run(made.id))["run_id"]
    path = f"/app/results/run/{run_id}/{made.blocks['bars']}/{name}"
    first = await api.client.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    again = await api.client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await api.client.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)
    nobody = {"If-None-Match": first.headers["etag"], "Authorization": ""}
    assert (await api.client.get(path, headers=nobody)).status_code == 401


async def test_dates_that_are_drawn_as_time_are_days_of_the_place_where_they_are_drawn(api: Api) -> None:
    days = sql("SELECT DATE '2026-03-01' AS day, TIMESTAMP '2026-03-01 00:00:00' AS moment, 1 AS n")
    by_day = {
        "mark": "bar",
        "encoding": {"x": {"field": "day", "type": "temporal"}, "y": {"field": "moment", "type": "temporal"}},
    }
    made = api.make_report(rows=days, bars=chart(by_day))
    run_id = (await api.run(made.id))["run_id"]
    spec = (await api.client.get(f"/app/results/run/{run_id}/{made.blocks['bars']}/chart.json")).json()
    assert spec["data"] == {
        "values": [{"day": "2026-03-01", "moment": "2026-03-01T00:00:00", "n": 1}],
        "format": {"parse": {"day": "date:'%Y-%m-%d'"}},
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"mark": "no such mark"}, "the chart cannot be drawn: "),
        ({"mark": 7}, "the chart cannot be drawn: "),
        (
            {"mark": "bar", "encoding": {"x": {"field": "N"}}},
            "the field 'N' is not a column of the query 'rows'",
        ),
        ({"mark": "{{ 'image' }}", "encoding": ENCODING}, "charts load no images"),
        (
            {"mark": "bar", "encoding": {"x": {"field": "n"}, "fill": {"value": "url(http://127.0.0.1/a)"}}},
            "cannot refer to anything elsewhere",
        ),
        (
            {"mark": "point", "transform": [{"calculate": "sequence(1e10)", "as": "s"}, {"flatten": ["s"]}]},
            "chart",
        ),
    ],
)
async def test_chart_that_cannot_be_drawn_fails_its_block(api: Api, spec: dict[str, Any], fault: str) -> None:
    made = api.make_report(rows=ROWS, bars=chart(spec))
    outputs = await api.run(made.id)
    (block,) = [one for one in outputs["blocks"] if one["name"] == "bars"]
    assert (outputs["status"], block["status"], block["output"]) == ("failed", "failed", None)
    assert fault in block["error"]
    assert list_pictures(api, outputs["run_id"]) == []


async def test_chart_of_no_rows_is_drawn_and_its_fields_are_still_checked(api: Api) -> None:
    none = sql("SELECT 1 AS n, 2 AS twice WHERE false")
    wrong = {"mark": "bar", "encoding": {"x": {"field": "other"}}}
    made = api.make_report(rows=none, bars=chart(SPEC), wrong=chart(wrong))
    blocks = {one["name"]: one for one in (await api.run(made.id))["blocks"]}
    assert blocks["bars"]["status"] == "success"
    assert "which has: n, twice." in blocks["wrong"]["error"]


async def test_more_rows_than_a_chart_accepts_fail_it(api: Api) -> None:
    made = api.make_report(rows=sql("SELECT range AS n, 1 AS twice FROM range(10001)"), bars=chart(SPEC))
    blocks = {one["name"]: one for one in (await api.run(made.id))["blocks"]}
    assert "10001 rows are too many for a chart, which accepts 10000" in blocks["bars"]["error"]


async def test_pictures_are_deleted_with_the_results_of_their_run(api: Api) -> None:
    made = api.make_report(rows=ROWS, bars=chart(SPEC))
    run_id = (await api.run(made.id))["run_id"]
    assert len(list_pictures(api, run_id)) == 1
    assert api.parts.results.clean(get_now() + timedelta(days=1)) >= 2
    assert list_pictures(api, run_id) == []


@pytest.mark.slow
async def test_pictures_are_deleted_with_their_report(api: Api) -> None:
    made = api.make_report(rows=ROWS, bars=chart(SPEC))
    run_id = (await api.run(made.id))["run_id"]
    assert (await api.client.delete(f"/api/v1/report/{made.id}")).status_code == 200
    await until(lambda: not list_pictures(api, run_id))


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"encoding": ENCODING}, "spec draws nothing"),
        ({**SPEC, "data": {"url": "https://example.com/x.csv"}}, "data.url"),
        ({"layer": [{**SPEC, "data": {"url": "data.json"}}]}, "data.url"),
        ({**SPEC, "transform": [{"lookup": "n", "from": {"data": {"url": "x"}, "key": "n"}}]}, "data.url"),
        ({"hconcat": [{"mark": {"type": "image", "url": "x"}}]}, "image"),
        ({"mark": "image"}, "image"),
        ({"mark": "bar", "encoding": {**ENCODING, "href": {"field": "n"}}}, "href"),
        ({"mark": {"type": "bar", "href": "javascript:alert(1)"}}, "href"),
        ({"mark": "bar", "data": {"sequence": {"start": 0, "stop": 1e9}}}, "data.sequence"),
    ],
)
async def test_chart_that_draws_nothing_or_would_load_something_is_refused_when_it_is_saved(
    api: Api, spec: dict[str, Any], fault: str
) -> None:
    report = await api.client.post("/api/v1/report/", json={"name": "r"})
    body = {"type": "chart", "name": "x", "content": {"query": "rows", "spec": spec}}
    answer = await api.client.post("/api/v1/block/", json={**body, "report_id": report.json()["id"]})
    assert answer.status_code == 422, answer.text
    assert fault in answer.json()["message"]
