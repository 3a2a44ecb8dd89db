"""Charts in a real browser: drawn by the page, edited in a form or as text, and unable to load anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from tests.fakes.browser import Visit, find_violations
from tests.fakes.service_process import ServiceProcess, run_ready_service
from tests.fakes.service_subscriber import listen
from tests.fakes.waiting import wait_until

HOSTILE = "</script><img src=x onerror='window.hacked=1'>"
SQL = f"SELECT 'group ' || (range % 3) AS kind, range AS n, $${HOSTILE}$$ AS hostile FROM range(6)"
SPEC: dict[str, Any] = {
    "title": HOSTILE,
    "width": 400,
    "height": 200,
    "mark": "bar",
    "encoding": {
        "x": {"field": "kind", "type": "nominal"},
        "y": {"aggregate": "sum", "field": "n", "type": "quantitative"},
        "detail": {"field": "hostile"},
    },
}


@pytest.fixture(scope="module", name="service")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with run_ready_service(tmp_path_factory.mktemp("charts") / "data", "--demo") as service:
        yield service


def save_report(service: ServiceProcess, name: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    """Save a report with the query ``rows``, and more blocks; return it."""
    rows = {"type": "sql", "name": "rows", "content": {"sql": SQL, "database_id": 1}}
    made = service.client.post("/api/v1/report/", json={"name": name, "blocks": [rows, *blocks]})
    made.raise_for_status()
    report: dict[str, Any] = made.json()["result"]
    return report


def chart(spec: dict[str, Any]) -> dict[str, Any]:
    return {"type": "chart", "name": "bars", "content": {"query": "rows", "spec": spec}}


def run(service: ServiceProcess, report: dict[str, Any]) -> str:
    """Run a report to its end, and return the path of its page."""
    started = service.client.post(f"/api/v1/report/{report['uid']}/run/noteflow")
    uid: str = started.json()["result"]["noteflow_run_uid"]

    def has_ended() -> bool:
        status = service.client.get(f"/api/v1/noteflow_run/{uid}").json()["result"]["status"]
        return status in ("success", "failed")

    wait_until(has_ended)
    return f"app/reports/{report['uid']}/runs/{uid}"


def watch_foreign_requests(page: Page, visit: Visit) -> list[str]:
    foreign: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((visit.base_url, "blob:", "data:")):
            foreign.append(request.url)

    page.on("request", note)
    return foreign


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_chart_is_drawn_by_the_page_in_its_colors_and_says_its_values(
    service: ServiceProcess, visit: Visit, scheme: Any
) -> None:
    path = run(service, save_report(service, f"drawn {scheme}", chart(SPEC)))
    page = visit.page
    page.emulate_media(color_scheme=scheme)
    foreign = watch_foreign_requests(page, visit)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    visit.enter("app/reports")
    expect(page.get_by_role("heading", name="Reports")).to_be_visible()
    assert not any("vendored/vega" in url for url in asked), "it is loaded only for a chart"
    visit.open(path)
    image = page.get_by_role("img", name="Chart bars")
    expect(image.locator("svg")).to_be_visible()
    assert any(url.endswith("/vendored/vega.js") for url in asked)
    expect(image.locator("svg")).to_contain_text("group 2")
    expect(image.locator("svg")).to_contain_text("</script>")
    image.locator(".mark-rect path").first.hover()
    tip = page.locator(".chart-tip")
    expect(tip).to_contain_text("group 0")
    expect(tip).to_contain_text(HOSTILE)
    assert tip.locator("img").count() == 0
    visit.take_picture(f"chart-{scheme}")
    assert find_violations(page) == []
    words = image.locator("svg text").first
    before = words.get_attribute("fill") or ""
    page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
    expect(words).not_to_have_attribute("fill", before)
    assert page.evaluate("window.hacked") is None
    assert foreign == []


LOADING: dict[str, dict[str, Any]] = {
    "data": {"mark": "bar", "data": {"url": "{url}data.json"}, "encoding": {"x": {"field": "a"}}},
    "lookup": {
        "mark": "bar",
        "data": {"values": [{"a": 1}]},
        "transform": [{"lookup": "a", "from": {"data": {"url": "{url}x.csv"}, "key": "a", "fields": ["b"]}}],
        "encoding": {"x": {"field": "b"}},
    },
    "image": {
        "mark": {"type": "image", "url": "{url}a.png", "width": 9, "height": 9},
        "data": {"values": [{"a": 1}]},
        "encoding": {"x": {"field": "a"}},
    },
    "options": {
        "mark": "bar",
        "usermeta": {"embedOptions": {"config": "{url}c.json", "ast": False, "loader": {"baseURL": "{url}"}}},
        "data": {"values": [{"a": 1}]},
        "encoding": {"x": {"field": "a"}},
    },
    "fill": {
        "mark": {"type": "bar", "fill": "url({url}paint)", "href": "javascript:window.hacked=1"},
        "data": {"values": [{"a": 1}]},
        "encoding": {"x": {"field": "a"}},
    },
    "controls": {
        "params": [
            {"name": "p", "value": 1, "bind": {"input": "password", "name": "API token", "element": "main"}}
        ],
        "mark": "bar",
        "data": {"values": [{"a": 1}]},
        "encoding": {"x": {"field": "a"}},
    },
    "expressions": {
        "mark": "bar",
        "data": {"values": [{"a": 1}]},
        "transform": [
            {"calculate": "datum.constructor.constructor('window.hacked=1')()", "as": "b"},
            {"calculate": "'</script><script>window.hacked=1</script>'", "as": "c"},
        ],
        "encoding": {"x": {"field": "b"}, "color": {"field": "c"}},
    },
}

DRAW = """async ([base, spec]) => {
    const { drawVega } = await import(`${base}/app/assets/charts/drawing.js`);
    const place = document.createElement("div");
    document.querySelector("main").append(place);
    try {
        await drawVega(place, spec);
        place.querySelector(".mark-rect path")?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
        return "drawn";
    } catch (error) {
        return error.message;
    }
}"""


@pytest.mark.parametrize("kind", LOADING)
def test_page_loads_and_runs_nothing_of_a_specification(visit: Visit, kind: str) -> None:
    """As if the service had let it pass, which refuses most of these when they are saved."""
    visit.expected = ["Content Security Policy"] if kind == "fill" else []
    page = visit.enter("app/reports")
    expect(page.get_by_role("heading", name="Reports")).to_be_visible()
    with listen() as server:
        spec = fill_url(LOADING[kind], server.url)
        foreign = watch_foreign_requests(page, visit)
        said = page.evaluate(DRAW, [visit.base_url, spec])
        page.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
        assert server.received == []
    assert foreign == [] or kind == "fill", "the policy of the page stops it before it is sent"
    if kind in ("data", "lookup", "image"):
        assert "charts load nothing" in said
    assert page.evaluate("window.hacked") is None
    assert page.locator("main input[type=password]").count() == 0


def fill_url(value: Any, url: str) -> Any:
    """Put the address of a server into a specification."""
    if isinstance(value, str):
        return value.replace("{url}", url)
    if isinstance(value, dict):
        return {key: fill_url(one, url) for key, one in value.items()}
    return [fill_url(one, url) for one in value] if isinstance(value, list) else value


def open_editor(visit: Visit, report: dict[str, Any], name: str) -> Page:
    page = visit.enter(f"app/reports/{report['uid']}")
    page.get_by_role("button", name=f"Edit {name}").click()
    return page


def read_saved_spec(service: ServiceProcess, report: dict[str, Any], name: str = "bars") -> Any:
    blocks = service.client.get(f"/api/v1/report/{report['uid']}").json()["result"]["blocks"]
    (uid,) = [one["uid"] for one in blocks if one["name"] == name]
    content = json.loads(service.client.get(f"/api/v1/block/{uid}").json()["result"]["content_json"])
    return content["spec"]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_chart_is_made_in_a_form_with_a_preview_and_without_json(
    service: ServiceProcess, visit: Visit, width: int, scheme: Any
) -> None:
    report = save_report(service, f"form {width}")
    run(service, report)
    page = visit.page
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    visit.enter(f"app/reports/{report['uid']}")
    visit.press("Chart")
    form = page.get_by_label("New Chart block")
    expect(form).to_contain_text("Choose the columns")
    form.get_by_label("Name").fill("bars")
    form.get_by_label("X", exact=True).select_option("kind")
    form.get_by_label("Aggregate").select_option(label="Sum")
    form.get_by_label("Y", exact=True).select_option("n")
    form.get_by_label("Sort").select_option(label="Largest first")
    form.get_by_label("Horizontal bars").check()
    preview = form.get_by_role("img", name="Preview of the chart of rows")
    expect(preview.locator("svg")).to_contain_text("group 2")
    expect(form).to_contain_text("Drawn of the 6 rows of the newest result")
    visit.take_picture(f"chart-form-{width}-{scheme}")
    assert find_violations(page) == []
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0

    form.get_by_label("Type", exact=True).select_option(label="Pie")
    expect(form.get_by_label("Slices", exact=True)).to_have_value("kind")
    expect(preview.locator("svg")).to_contain_text("group 2")
    visit.take_picture(f"chart-pie-{width}-{scheme}")
    form.get_by_label("Type", exact=True).select_option(label="Bar")
    expect(form.get_by_label("Horizontal bars")).to_be_checked()
    form.get_by_label("Sort").select_option(label="Largest first")
    visit.press("Add the block")
    visit.wait_for_notice("“bars” is saved")
    assert read_saved_spec(service, report) == {
        "width": 640,
        "height": 280,
        "mark": "bar",
        "encoding": {
            "y": {"field": "kind", "type": "nominal", "sort": "-x"},
            "x": {"aggregate": "sum", "field": "n", "type": "quantitative"},
        },
    }


def test_text_that_the_form_cannot_show_stays_text_and_nothing_is_lost(
    service: ServiceProcess, visit: Visit
) -> None:
    report = save_report(service, "text", chart(SPEC))
    run(service, report)
    page = open_editor(visit, report, "bars")
    block = page.get_by_label("Block bars")
    text = block.get_by_label("Vega-Lite specification")
    expect(block).to_contain_text("The form cannot show this specification")
    expect(block.get_by_role("img", name="Preview")).to_have_count(0)
    block.get_by_role("button", name="Draw it").click()
    expect(block.get_by_role("img", name="Preview").locator("svg")).to_contain_text("group 2")

    typed = '{"mark": "line", "encoding": {"x": {"field": "nothing"}}}'
    text.fill(typed)
    expect(block).to_contain_text("“nothing” is not a column of the query: kind, n, hostile.")
    block.get_by_role("button", name="Form", exact=True).click()
    expect(text).to_have_value(typed)
    text.fill("{")
    block.get_by_role("button", name="Form", exact=True).click()
    expect(block).to_contain_text("The text is not JSON")
    expect(text).to_have_value("{")
    visit.press("Save")
    expect(page.get_by_role("alert")).to_contain_text("not JSON")

    page.reload()  # a draft keeps what was typed, as text
    expect(text).to_have_value("{")
    text.fill('{"mark": "bar", "encoding": {"x": {"field": "kind", "type": "nominal"}}}')
    block.get_by_role("button", name="Form", exact=True).click()
    expect(block.get_by_label("X", exact=True)).to_have_value("kind")
    block.get_by_label("Aggregate").select_option(label="Number of rows")
    block.get_by_role("button", name="Vega-Lite text").click()
    expect(text).to_have_value(re.compile('"aggregate": "count"'))
    visit.press("Save")
    visit.wait_for_notice("“bars” is saved")
    assert read_saved_spec(service, report)["encoding"] == {
        "x": {"field": "kind", "type": "nominal"},
        "y": {"aggregate": "count", "type": "quantitative"},
    }


def test_numbers_of_a_specification_keep_their_digits_when_another_field_is_saved(
    service: ServiceProcess, visit: Visit
) -> None:
    spec = {"mark": "bar", "encoding": {"y": {"field": "n", "scale": {"domain": [1.0, 9007199254740993]}}}}
    report = save_report(service, "Digits", chart(spec))
    page = open_editor(visit, report, "bars")
    expect(page.get_by_label("Vega-Lite specification")).to_have_value(
        re.compile(r"1\.0,\s+9007199254740993")
    )
    page.get_by_label("Title", exact=True).fill("Bars")
    visit.press("Save")
    visit.wait_for_notice("“bars” is saved")
    uid = report["blocks"][-1]["uid"]
    saved = service.client.get(f"/api/v1/block/{uid}").json()["result"]
    assert (saved["verbose_name"], '"domain": [1.0, 9007199254740993]' in saved["content_json"]) == (
        "Bars",
        True,
    )


def test_chart_of_a_query_without_a_result_takes_typed_columns_or_runs_it(
    service: ServiceProcess, visit: Visit
) -> None:
    report = save_report(service, "never run")
    page = visit.enter(f"app/reports/{report['uid']}")
    visit.press("Chart")
    form = page.get_by_label("New Chart block")
    expect(form).to_contain_text("rows has no result yet")
    form.get_by_label("X", exact=True).fill("kind")
    form.get_by_label("Y", exact=True).fill("n")
    form.get_by_role("button", name="Run rows").click()
    expect(form.get_by_role("img", name="Preview").locator("svg")).to_contain_text("group 2")
    expect(form.get_by_label("X", exact=True)).to_have_value("kind")


def test_block_whose_database_or_query_was_deleted_stays_there_until_another_is_chosen(
    service: ServiceProcess, visit: Visit
) -> None:
    url = "postgresql://me:hunter22@127.0.0.1:1/shop"
    made = service.client.post(
        "/api/v1/database/?skip_test=true", json={"database_name": "gone", "sqlalchemy_uri": url}
    )
    made.raise_for_status()
    database = made.json()["result"]["uid"]
    lost = {"type": "sql", "name": "lost", "content": {"sql": "SELECT 1", "database_id": database}}
    other = {"type": "chart", "name": "bars", "content": {"query": "missing", "spec": {"mark": "bar"}}}
    report = save_report(service, "deleted", lost, other)
    service.client.delete(f"/api/v1/database/{database}").raise_for_status()
    visit.expected = ["status of 4"]
    page = open_editor(visit, report, "lost")
    choice = page.get_by_label("Block lost").get_by_label("Database")
    expect(choice.locator("option:checked")).to_have_text("(deleted)")
    visit.press("Save")
    expect(page.get_by_role("alert")).to_contain_text("database")
    choice.select_option(label="flights")
    visit.press("Save")
    visit.wait_for_notice("“lost” is saved")

    page.get_by_role("button", name="Edit bars").click()
    query = page.get_by_label("Block bars").get_by_label("Rows of")
    expect(query.locator("option:checked")).to_have_text("missing (deleted)")
    expect(query).to_have_value("missing")
