"""Pages that stay up to date by themselves, in a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Page, Request, expect

from tests.fakes.browser import Visit
from tests.fakes.saved_reports import save_report, start_run
from tests.fakes.service_process import ServiceProcess, run_ready_service, run_service
from tests.fakes.service_reports import ENDLESS
from tests.fakes.waiting import LIMIT_SECONDS

HIDE = """state => {
    Object.defineProperty(document, 'hidden', {configurable: true, get: () => state});
    document.dispatchEvent(new Event('visibilitychange'));
}"""


def call_trigger(service: ServiceProcess) -> int:
    """Call the trigger of the demo's report."""
    url = f"{service.client.base_url}/api/v1/report/1/webhook"
    answer = httpx.post(url, params={"token": service.find_trigger_token()}, timeout=LIMIT_SECONDS)
    return int(answer.raise_for_status().json()["run_id"])


def mark(page: Page) -> None:
    """Mark the document: a page that was loaded again has no mark."""
    page.evaluate("window.isSame = true")


@pytest.mark.parametrize("path", ["app/runs", "app/reports/1/runs"])
def test_idle_list_shows_the_run_of_a_trigger_until_it_has_ended(
    service: ServiceProcess, visit: Visit, path: str
) -> None:
    call_trigger(service)
    page = visit.enter(path)
    expect(page.get_by_role("row").nth(1)).to_contain_text("success")
    mark(page)
    run_id = call_trigger(service)
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=f"Run {run_id}", exact=True))
    expect(row).to_contain_text("webhook")
    expect(row).to_contain_text("success")
    assert page.evaluate("window.isSame")


def test_redrawn_list_keeps_the_focus_and_the_scroll_position(service: ServiceProcess, visit: Visit) -> None:
    for _ in range(20):
        last = call_trigger(service)
    page = visit.enter("app/reports/1/runs")
    link = page.get_by_role("link", name=f"Run {last - 12}", exact=True)
    link.focus()
    box = page.locator("main .scroll")
    box.evaluate("element => element.scrollTop = 120")
    new = call_trigger(service)
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=f"Run {new}", exact=True))
    expect(row).to_contain_text("success")
    expect(link).to_be_focused()
    assert box.evaluate("element => element.scrollTop") > 0


def test_page_of_a_run_shows_what_runs_and_what_failed_first(service: ServiceProcess, visit: Visit) -> None:
    report = save_report(
        service,
        "Parallel",
        ("sql", "typo", {"database_id": 1, "sql": "SELECT no_such_column FROM flights"}),
        ("text", "after", {"text": "{{ typo.data }}"}),
        ("sql", "endless", {"database_id": 1, "sql": ENDLESS}),
        ("sql", "last", {"database_id": 1, "sql": "SELECT '{{ endless.data }}' AS x"}),
    )
    run_id = start_run(service, report)
    page = visit.enter(f"app/reports/{report}/runs/{run_id}")
    mark(page)
    expect(page.get_by_label("Block endless")).to_contain_text(re.compile(r"running\s*\d+ s"))
    expect(page.get_by_label("Block last")).to_contain_text("pending")
    expect(page.locator(".first-failed")).to_contain_text("Failed first: typo")
    visit.take_picture("running")
    page.locator(".first-failed").get_by_role("link", name="typo").click()
    expect(page.get_by_label("Block typo")).to_be_focused()

    service.client.post(f"/api/v1/noteflow_run/{run_id}/cancel").raise_for_status()
    expect(page.locator("dl.facts")).to_contain_text("cancelled")
    expect(page.get_by_label("Block endless")).to_contain_text("cancelled")
    expect(page.get_by_label("Block endless")).to_contain_text("because the run was cancelled")
    expect(page.get_by_label("Block typo")).to_be_focused()
    assert page.evaluate("window.isSame")


def test_run_form_has_the_defaults_and_refuses_wrong_values(service: ServiceProcess, visit: Visit) -> None:
    visit.expected = ["status of 422"]
    report = save_report(
        service,
        "Typed",
        ("parameter", "top", {"type": "integer", "default": 12}),
        ("parameter", "day", {"type": "date", "default": "2026-03-01"}),
        ("parameter", "names", {"type": "text", "multiple": True, "default": ["a", "b"]}),
        ("parameter", "color", {"type": "text", "choices": ["red", "blue"], "default": "red"}),
        ("text", "words", {"text": "{{ top }} {{ day }} {{ names }} {{ color }}"}),
    )
    page = visit.enter(f"app/reports/{report}")
    visit.press("Run")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("top")).to_have_value("12")
    expect(dialog.get_by_label("day")).to_have_value("2026-03-01")
    expect(dialog.get_by_label("names")).to_have_value("a, b")
    expect(dialog.get_by_label("color")).to_have_value("red")
    visit.fill("top", "seven")
    visit.press("Run")
    expect(dialog.get_by_role("alert")).to_have_text("Some values are not valid. They are marked.")
    expect(dialog.get_by_label("top")).to_have_accessible_description(
        "integer, default 12 top must be a whole number, such as 12. “seven” is not."
    )
    expect(dialog.get_by_label("top")).to_be_focused()
    expect(dialog.get_by_label("top")).to_have_attribute("aria-invalid", "true")
    visit.take_picture("run-form")
    visit.fill("top", "7")
    dialog.get_by_label("color").select_option("blue")
    visit.press("Run")
    expect(page.get_by_label("Block words")).to_contain_text("7 2026-03-01")
    run_id = int(page.url.rpartition("/")[2])
    run = service.client.get(f"/api/v1/noteflow_run/{run_id}").json()["result"]
    assert run["parameters"] == {"top": "7", "day": "2026-03-01", "names": ["a", "b"], "color": "blue"}

    # Its values are in the form of the next run; what only the service can refuse stands in the form too.
    row = service.client.get("/api/v1/block/", params={"q": "(page_size:100)"}).json()["result"]
    block = next(one for one in row if one["report_id"] == report and one["name"] == "color")
    content = {"type": "text", "choices": ["red", "green"], "default": "red"}
    changed = service.client.put(f"/api/v1/block/{block['uid']}", json={"content_json": json.dumps(content)})
    assert changed.is_success, changed.text
    visit.press("Run again with changes")
    expect(dialog.get_by_label("top")).to_have_value("7")
    expect(dialog.get_by_label("color")).to_have_value("blue")
    visit.fill("top", "8")
    visit.press("Run")
    expect(dialog.get_by_role("alert")).to_contain_text("it must be one of 'red', 'green'")
    expect(dialog.get_by_label("top")).to_have_value("8")
    dialog.get_by_label("color").select_option("green")
    visit.press("Run")
    page.wait_for_url(lambda url: not url.endswith(f"/{run_id}"))
    expect(page.get_by_label("Block words")).to_contain_text("8 2026-03-01")


def test_list_of_reports_shows_their_runs_and_is_in_the_address(
    service: ServiceProcess, visit: Visit
) -> None:
    made = service.client.post(
        "/api/v1/report/",
        json={
            "name": "Warehouse",
            "folder": "Logistics",
            "blocks": [
                {"type": "sql", "name": "q", "content": {"database_id": 1, "sql": "SELECT 42 AS stock"}}
            ],
        },
    ).raise_for_status()
    call_trigger(service)
    page = visit.enter("app/reports")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Departure delays"))
    expect(row.get_by_role("img", name=re.compile("^Last "))).to_be_visible()
    expect(row.get_by_role("link", name="success")).to_be_visible()
    visit.take_picture("reports-list")

    # A run that a trigger starts is there by itself.
    other = page.get_by_role("row").filter(has=page.get_by_role("link", name="Warehouse"))
    start_run(service, made.json()["id"])
    expect(other.get_by_role("link", name="success")).to_be_visible()
    expect(other.get_by_role("img", name="Last run: success")).to_be_visible()

    page.get_by_role("button", name="Name", exact=False).click()
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_role("button", name="Name")).to_be_focused()
    assert page.url.endswith("?order=name")
    visit.follow("Logistics")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_label("Search names, folders, owners and SQL").fill("42 as STOCK")
    expect(page).to_have_url(re.compile(r"search=42\+as\+STOCK"))
    expect(other).to_be_visible()
    visit.follow("Warehouse")
    expect(page.get_by_role("heading", name="Warehouse")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Search names, folders, owners and SQL")).to_have_value("42 as STOCK")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_label("Search names, folders, owners and SQL").fill("no such thing")
    expect(page.get_by_text("No matching report")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Search names, folders, owners and SQL")).to_have_value("")
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")


def test_rows_of_a_result_are_sorted_searched_and_copied(service: ServiceProcess, visit: Visit) -> None:
    rows = (
        "SELECT * FROM (VALUES (9, 0.10, 'a\nb'), (10, 12345678901234567.89, NULL), (2, 100.00, ''))"
        " AS t (n, amount, word) UNION ALL SELECT range + 100, 1.5, 'more' FROM range(60)"
    )
    report = save_report(service, "Rows", ("sql", "numbers", {"database_id": 1, "sql": rows}))
    run_id = start_run(service, report)
    page = visit.enter(f"app/reports/{report}/runs/{run_id}")
    block = page.get_by_label("Block numbers")
    cells = block.locator("tbody td:first-child")
    expect(cells).to_have_count(50)
    block.get_by_role("button", name="amount").click()
    heading = block.get_by_role("columnheader", name="amount")
    expect(heading).to_have_attribute("aria-sort", "ascending")
    expect(cells.first).to_have_text("9")
    block.get_by_role("button", name="amount").click()
    expect(cells.first).to_have_text("10")
    expect(block.get_by_role("button", name="amount")).to_be_focused()
    expect(heading).to_have_attribute("aria-sort", "descending")
    expect(block.locator("tbody tr").first).to_contain_text("12345678901234567.89")
    block.get_by_role("button", name="Next").click()
    expect(cells.last).to_have_text("9")
    block.get_by_label("Search rows").fill("MORE")
    expect(block).to_contain_text("Rows 1 to 50 of 60 (63 rows in all)")
    block.get_by_label("Search rows").fill("1234")
    expect(cells).to_have_text(["10"])
    expect(block.get_by_label("Search rows")).to_be_focused()
    block.get_by_label("Search rows").fill("0.10")
    expect(cells).to_have_text(["9"])
    visit.press("Copy rows")
    visit.wait_for_notice("Rows 1 to 1 of 1 copied")
    assert page.evaluate("navigator.clipboard.readText()") == 'n\tamount\tword\n9\t0.10\t"a\nb"\n'
    # On plain http a page has no clipboard.
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    block.get_by_label("Search rows").fill("100.00")
    expect(cells).to_have_text(["2"])
    visit.press("Copy rows")
    visit.wait_for_notice("Rows 1 to 1 of 1 copied")
    paste = page.get_by_label("Search rows")
    paste.fill("")
    paste.press("Control+v")
    expect(paste).to_have_value(re.compile("100.00"))
    block.get_by_label("Search rows").fill("no such")
    expect(block).to_contain_text("No matching rows (63 rows in all)")
    visit.take_picture("rows")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_small_screen(
    service: ServiceProcess, visit: Visit, scheme: Literal["light", "dark"]
) -> None:
    name = "Long " + "x" * 150
    report = save_report(
        service,
        name + scheme,
        (
            "sql",
            "n" * 60,
            {"database_id": 1, "sql": "SELECT range AS n, repeat('w', 300) AS word FROM range(60)"},
        ),
        ("sql", "typo", {"database_id": 1, "sql": "SELECT no_such_column"}),
    )
    run_id = start_run(service, report)
    visit.page.set_viewport_size({"width": 360, "height": 740})
    visit.page.emulate_media(color_scheme=scheme)
    page = visit.enter("app/reports")
    expect(page.get_by_role("heading", name="Reports")).to_be_visible()
    paths = ("app/reports", "app/runs", f"app/reports/{report}/runs", f"app/reports/{report}/runs/{run_id}")
    for number, path in enumerate(paths):
        visit.open(path)
        expect(page.locator("tbody tr").first).to_be_visible()
        if path == paths[-1]:
            expect(page.locator(".first-failed")).to_be_visible()
        wide = page.evaluate(
            "[...document.querySelectorAll('main :not(.scroll *)')]"
            ".filter(one => one.getBoundingClientRect().right > innerWidth)"
            ".map(one => one.outerHTML.slice(0, 80))"
        )
        assert (path, wide) == (path, [])
        visit.take_picture(f"small-{scheme}-{number}")


def test_hidden_tab_has_no_connection_and_is_up_to_date_when_it_is_shown(
    service: ServiceProcess, visit: Visit
) -> None:
    page = visit.enter("app/runs")
    with page.expect_request("**/app/changes"):
        expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/app/changes")):
        page.evaluate(HIDE, True)
    run_id = call_trigger(service)
    link = page.get_by_role("link", name=f"Run {run_id}", exact=True)
    visit.follow("Runs")  # a page that is loaded while the tab is hidden waits too
    expect(link).to_be_visible()
    with page.expect_request("**/app/changes"):
        page.evaluate(HIDE, False)
    later = call_trigger(service)
    expect(page.get_by_role("link", name=f"Run {later}", exact=True)).to_be_visible()


def test_page_has_one_connection_after_others_were_shown(service: ServiceProcess, visit: Visit) -> None:
    page = visit.enter("app/runs")
    open_now: list[Request] = []

    def begin(request: Request) -> None:
        if request.url.endswith("/app/changes"):
            open_now.append(request)

    def end(request: Request) -> None:
        if request in open_now:
            open_now.remove(request)

    page.on("request", begin)
    page.on("requestfailed", end)
    page.on("requestfinished", end)
    for name in ("Reports", "Departure delays", "Runs"):
        visit.follow(name)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    run_id = call_trigger(service)
    expect(page.get_by_role("link", name=f"Run {run_id}", exact=True)).to_be_visible()
    for _ in range(100):  # that a request was cancelled may be told later
        if len(open_now) > 1:
            page.wait_for_timeout(50)
    assert len(open_now) == 1


def test_service_that_was_away_is_said_and_found_again(visit: Visit, tmp_path: Path) -> None:
    visit.expected = ["ERR_", "Failed to load"]
    with run_ready_service(tmp_path / "data", "--demo") as service:
        visit.base_url = str(service.client.base_url).rstrip("/")
        page = visit.enter("app/runs")
        expect(page.get_by_text("There are no runs here")).to_be_visible()
        port = service.port
        service.stop()
        expect(page.get_by_text("The service does not respond")).to_be_visible()
        visit.take_picture("away")
    with run_service(tmp_path / "data", "--port", str(port)) as again:
        again.client.base_url = visit.base_url
        again.wait_until_ready()
        run_id = call_trigger(again)
        expect(page.get_by_role("link", name=f"Run {run_id}", exact=True)).to_be_visible()
        expect(page.get_by_text("The service does not respond")).to_be_hidden()
