"""When charts are drawn, of which days, and when they are given up; and whose clock a page believes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.acceptance.test_service_charts import DRAW, read_saved_spec, run
from tests.fakes.browser import Visit, visit_service
from tests.fakes.service_process import ServiceProcess, run_ready_service
from tests.fakes.waiting import wait_until

SQL = "SELECT (DATE '2026-03-01' + INTERVAL (range) MONTH)::DATE AS day, range AS n FROM range(3)"
COUNT = {"aggregate": "count", "type": "quantitative"}
BY_MONTH: dict[str, Any] = {
    "width": 640,
    "height": 280,
    "mark": "bar",
    "encoding": {"x": {"field": "day", "type": "temporal", "timeUnit": "yearmonth"}, "y": COUNT},
}
FREE: dict[str, Any] = {
    "mark": {"type": "bar"},
    "encoding": {"x": {"field": "n", "type": "ordinal"}, "y": COUNT},
}
"""It is valid, and the form cannot show it."""


@pytest.fixture(scope="module", name="service")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with run_ready_service(tmp_path_factory.mktemp("drawing") / "data", "--demo") as service:
        yield service


def save(service: ServiceProcess, name: str) -> dict[str, Any]:
    """Save a report with the query ``rows``; return it."""
    rows = {"type": "sql", "name": "rows", "content": {"sql": SQL, "database_id": 1}}
    made = service.client.post("/api/v1/report/", json={"name": name, "blocks": [rows]})
    made.raise_for_status()
    report: dict[str, Any] = made.json()["result"]
    return report


def add_chart(service: ServiceProcess, report: dict[str, Any], spec: dict[str, Any]) -> None:
    block = {"type": "chart", "name": "bars", "content": {"query": "rows", "spec": spec}}
    service.client.post("/api/v1/block/", json={**block, "report_id": report["id"]}).raise_for_status()


def open_editor_of_new_chart(visit: Visit, service: ServiceProcess, name: str, spec: dict[str, Any]) -> Page:
    """Open the editor of a chart that has not run, while its query has."""
    report = save(service, name)
    run(service, report)
    add_chart(service, report, spec)
    page = visit.enter(f"app/reports/{report['uid']}")
    page.get_by_role("button", name="Edit bars").click()
    return page


def draw_another(visit: Visit) -> None:
    """Draw another chart to its end: whatever was being drawn before is drawn by then."""
    own = {**FREE, "data": {"values": [{"n": 1}]}}
    assert visit.page.evaluate(DRAW, [visit.base_url, own]) == "drawn"


def test_dates_are_their_own_days_west_of_utc_in_the_chart_and_in_its_preview(
    service: ServiceProcess, browser: Browser
) -> None:
    report = save(service, "dates")
    add_chart(service, report, BY_MONTH)
    path = run(service, report)
    with visit_service(browser, service, timezone="America/New_York") as visit:
        page = visit.enter(path)
        assert page.evaluate("new Date('2026-03-01').getDate()") == 28
        words = page.get_by_role("img", name="Chart bars").locator("svg")
        expect(words).to_contain_text("Mar 2026")
        expect(words).not_to_contain_text("Feb 2026")
        visit.open(f"app/reports/{report['uid']}")
        page.get_by_role("button", name="Edit bars").click()
        words = page.get_by_role("img", name="Preview").locator("svg")
        expect(words).to_contain_text("Mar 2026")
        expect(words).not_to_contain_text("Feb 2026")


def test_size_that_the_form_refuses_does_not_hold_text_back(service: ServiceProcess, visit: Visit) -> None:
    report = save(service, "sizes")
    add_chart(service, report, {**BY_MONTH, "width": 5000})
    page = visit.enter(f"app/reports/{report['uid']}")
    page.get_by_role("button", name="Edit bars").click()
    block = page.get_by_label("Block bars")
    expect(block.get_by_label("Width")).to_have_value("5000")
    block.get_by_label("Height").fill("-5")
    block.get_by_role("button", name="Vega-Lite text").click()
    block.get_by_label("Vega-Lite specification").fill('{"mark": "bar", "height": 90, "encoding": {}}')
    visit.press("Save")
    visit.wait_for_notice("“bars” is saved")
    assert read_saved_spec(service, report) == {"mark": "bar", "height": 90, "encoding": {}}


def test_large_size_of_a_chart_is_saved_by_the_form(service: ServiceProcess, visit: Visit) -> None:
    report = save(service, "large")
    add_chart(service, report, {**BY_MONTH, "width": 5000})
    page = visit.enter(f"app/reports/{report['uid']}")
    page.get_by_role("button", name="Edit bars").click()
    page.get_by_label("Block bars").get_by_label("Title in the chart").fill("Months")
    visit.press("Save")
    visit.wait_for_notice("“bars” is saved")
    assert read_saved_spec(service, report) == {**BY_MONTH, "width": 5000, "title": "Months"}


def test_what_others_wrote_as_text_is_read_and_drawn_only_on_demand(
    service: ServiceProcess, visit: Visit
) -> None:
    page = visit.page
    page.clock.install()
    downloads: list[str] = []

    def note(request: Request) -> None:
        if "/download" in request.url:
            downloads.append(request.url)

    page.on("request", note)
    with page.expect_response(re.compile(r"/rows\?limit=1$")):
        open_editor_of_new_chart(visit, service, "on demand", FREE)
    block = page.get_by_label("Block bars")
    expect(block).to_contain_text("drawn on demand")
    page.clock.run_for(5000)
    draw_another(visit)
    assert downloads == []
    expect(block.get_by_role("img", name="Preview")).to_have_count(0)
    block.get_by_role("button", name="Draw it").click()
    expect(block.get_by_role("img", name="Preview").locator("svg")).to_be_visible()
    expect(block).to_contain_text("Drawn of the 3 rows")


def find_chart(service: ServiceProcess, report: dict[str, Any], path: str) -> str:
    """Find where the page reads the chart of a run."""
    blocks = service.client.get(f"/api/v1/report/{report['uid']}").json()["result"]["blocks"]
    (uid,) = [one["uid"] for one in blocks if one["name"] == "bars"]
    run_uid = path.rpartition("/")[2]
    run_id = service.client.get(f"/api/v1/noteflow_run/{run_uid}").json()["result"]["id"]
    return f"app/results/run/{run_id}/{uid}"


SHOW_LATE = """async ([base, chart]) => {
    const assets = `${base}/app/assets`;
    const { makeChart } = await import(`${assets}/results/chart.js`);
    await import(`${assets}/vendored/vega.js`);
    const place = makeChart(chart, "late", { signal: new AbortController().signal });
    await fetch(`${base}/${chart}/chart.json`, { cache: "reload" });
    for (let frame = 0; frame < 20; frame += 1) await new Promise(requestAnimationFrame);
    document.querySelector("main").append(place);
}"""


def test_chart_that_is_ready_before_its_place_is_in_the_page_has_colors_and_a_width(
    service: ServiceProcess, visit: Visit
) -> None:
    report = save(service, "before")
    add_chart(service, report, {**BY_MONTH, "width": "container"})
    chart = find_chart(service, report, run(service, report))
    page = visit.page
    page.emulate_media(color_scheme="dark")
    visit.enter("app/reports")
    expect(page.get_by_role("heading", name="Reports")).to_be_visible()
    page.evaluate(SHOW_LATE, [visit.base_url, chart])
    svg = page.get_by_role("img", name="Chart late").locator("svg")
    expect(svg).to_be_visible()
    expect(svg.locator("text").first).to_have_attribute("fill", re.compile(r"^(rgb|color|oklch)"))
    assert float(svg.get_attribute("width") or 0) > 400


REPLACE = """async ([base, chart]) => {
    const { makeChart } = await import(`${base}/app/assets/results/chart.js`);
    const main = document.querySelector("main");
    const show = async (name) => {
        const place = makeChart(chart, name, { signal: new AbortController().signal });
        main.append(place);
        while (!place.querySelector("svg .mark-rect path")) await new Promise(requestAnimationFrame);
        return place;
    };
    let old = await show("old");
    window.old = new WeakRef(old);
    old.remove();
    old = null;
    await show("new");
}"""


def test_chart_that_was_replaced_is_forgotten(service: ServiceProcess, visit: Visit) -> None:
    report = save(service, "replaced")
    add_chart(service, report, BY_MONTH)
    chart = find_chart(service, report, run(service, report))
    page = visit.enter("app/reports")
    expect(page.get_by_role("heading", name="Reports")).to_be_visible()
    page.evaluate(REPLACE, [visit.base_url, chart])
    inspector = page.context.new_cdp_session(page)

    def is_forgotten() -> bool:
        inspector.send("HeapProfiler.collectGarbage")
        return bool(page.evaluate("window.old.deref() === undefined"))

    wait_until(is_forgotten)
    page.emulate_media(color_scheme="dark")
    expect(page.get_by_role("img", name="Chart new").locator("svg")).to_be_visible()


READ_CLOCK = """async (base) => {
    const { get } = await import(`${base}/app/assets/http/api.js`);
    const { getServerTime } = await import(`${base}/app/assets/http/server_time.js`);
    const differences = [];
    for (const path of ["kept", "fresh"]) {
        await get(`app/${path}`);
        differences.push(Math.round((getServerTime() - Date.now()) / 60000));
    }
    return differences;
}"""


def test_clock_of_the_service_is_not_read_from_answers_that_the_browser_kept(visit: Visit) -> None:
    page = visit.enter("app/reports")
    expect(page.get_by_role("heading", name="Reports")).to_be_visible()
    before = page.evaluate("new Date(Date.now() - 3600000).toUTCString()")
    headers = {"Date": before, "Content-Type": "application/json"}
    kept = {**headers, "Cache-Control": "private, max-age=3600"}
    page.route("**/app/kept", lambda route: route.fulfill(headers=kept, body="{}"))
    page.route("**/app/fresh", lambda route: route.fulfill(headers=headers, body="{}"))
    assert page.evaluate(READ_CLOCK, visit.base_url) == [0, -60]
