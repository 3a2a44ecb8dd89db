"""The SQL editor in a real browser, beside a real service and its databases."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.fakes.browser import Visit, find_violations
from tests.fakes.service_process import ServiceProcess, run_ready_service

FIRST = "SELECT carrier, 'a text', 12 -- a comment\nFROM flights\nWHERE carrier = {{ carrier }}"
MARKS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
FIND_PLACES = """pre => {
  const node = pre.lastChild;
  const range = document.createRange();
  return [...node.data].map((letter, index) => {
    range.setStart(node, index);
    range.setEnd(node, index + 1);
    return range.getBoundingClientRect().left;
  });
}"""


@pytest.fixture(scope="module", name="service")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with run_ready_service(tmp_path_factory.mktemp("editor") / "data", "--demo") as service:
        yield service


def make_report(service: ServiceProcess, name: str, sql: str = FIRST) -> dict[str, Any]:
    """Make a report with a parameter, a query `routes` and the query `worst`, by the API."""
    databases = service.client.get("/api/v1/database/").json()["result"]
    database_id = next(one["uid"] for one in databases if one["database_name"] == "flights")
    query = {"database_id": database_id, "sql": "SELECT origin, dest FROM flights"}
    blocks = [
        {"type": "parameter", "name": "carrier", "content": {"type": "text", "default": "UA"}},
        {"type": "sql", "name": "routes", "content": query},
        {"type": "sql", "name": "worst", "content": {**query, "sql": sql}},
    ]
    made = service.client.post("/api/v1/report/", json={"name": name, "blocks": blocks})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()["result"]
    return found


def read_sql(service: ServiceProcess, report: dict[str, Any]) -> str:
    """Read the saved text of the query `worst`."""
    block = next(one for one in report["blocks"] if one["name"] == "worst")
    row = service.client.get(f"/api/v1/block/{block['uid']}").json()["result"]
    return str(json.loads(row["content_json"])["sql"])


def get_editor(page: Page) -> Locator:
    return page.get_by_role("textbox", name="SQL editor")


def open_editor(visit: Visit, report: dict[str, Any]) -> Locator:
    page = visit.enter(f"app/reports/{report['id']}")
    page.get_by_role("button", name="Edit worst").click()
    editor = get_editor(page)
    expect(editor).to_be_visible()
    return editor


def read_lines(editor: Locator) -> list[str]:
    return editor.locator(".cm-line").all_inner_texts()


def test_what_is_typed_in_the_editor_is_saved(service: ServiceProcess, visit: Visit) -> None:
    report = make_report(service, "Typed")
    editor = open_editor(visit, report)
    assert read_lines(editor) == FIRST.split("\n")
    expect(visit.page.locator(".cm-lineNumbers .cm-gutterElement:visible")).to_have_text(["1", "2", "3"])
    editor.click()
    visit.page.keyboard.press("Control+End")
    visit.page.keyboard.type("\nLIMIT 3")
    visit.press("Save")
    visit.wait_for_notice("is saved")
    assert read_sql(service, report) == FIRST + "\nLIMIT 3"


def test_colors_tell_keywords_texts_comments_and_placeholders_apart_in_both_themes(
    service: ServiceProcess, visit: Visit
) -> None:
    editor = open_editor(visit, make_report(service, "Colors of SQL"))
    for scheme in ("light", "dark"):
        visit.page.emulate_media(color_scheme=scheme)
        parts = ["SELECT", "'a text'", "-- a comment", "carrier }}"]
        colors = {
            editor.get_by_text(part).last.evaluate("element => getComputedStyle(element).color")
            for part in parts
        }
        assert len(colors) == len(parts)
        assert find_violations(visit.page) == []
        visit.take_picture(f"sql-editor-{scheme}")


def test_textarea_of_the_form_and_the_editor_follow_each_other(service: ServiceProcess, visit: Visit) -> None:
    editor = open_editor(visit, make_report(service, "Both ways"))
    page = visit.page
    area = page.locator("textarea[name=sql]")
    area.evaluate("""area => {
        window.seen = [];
        area.form.addEventListener('input', event => window.seen.push(event.target.value));
    }""")
    editor.click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("ab")
    assert page.evaluate("window.seen") == ["a" + FIRST, "ab" + FIRST]

    area.evaluate("""area => {
        area.value = "SELECT 1\\nAS n";
        area.dispatchEvent(new Event("input", {bubbles: true}));
    }""")
    assert read_lines(editor) == ["SELECT 1", "AS n"]
    assert page.evaluate("window.seen.length") == 3  # the editor that follows says nothing of it
    area.fill("SELECT 2,\n  3")
    assert read_lines(editor) == ["SELECT 2,", "  3"]
    expect(area).to_have_value("SELECT 2,\n  3")
    expect(editor).to_be_focused()
    page.keyboard.press("Control+z")
    expect(area).to_have_value("SELECT 1\nAS n")


def test_tab_indents_and_escape_then_tab_leaves_the_editor(service: ServiceProcess, visit: Visit) -> None:
    editor = open_editor(visit, make_report(service, "Keyboard"))
    page = visit.page
    help_id = editor.get_attribute("aria-describedby")
    expect(page.locator(f"#{help_id}")).to_contain_text("Escape, then Tab")
    page.get_by_label("Database").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(editor).to_be_focused()
    page.keyboard.press("Control+Home")
    page.keyboard.press("Tab")
    assert read_lines(editor)[0].startswith("  SELECT")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Format")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(editor).to_be_focused()


def test_control_enter_tries_the_text_as_it_stands(service: ServiceProcess, visit: Visit) -> None:
    report = make_report(service, "Tried")
    editor = open_editor(visit, report)
    page = visit.page
    page.locator("textarea[name=sql]").fill("SELECT 42 AS answer")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_label("Block worst").locator(".result")).to_contain_text("42")
    assert read_lines(editor) == ["SELECT 42 AS answer"]
    assert read_sql(service, report) == FIRST


def test_empty_editor_says_that_it_must_be_filled(service: ServiceProcess, visit: Visit) -> None:
    report = make_report(service, "Empty")
    editor = open_editor(visit, report)
    editor.click()
    visit.page.keyboard.press("Control+a")
    visit.page.keyboard.press("Delete")
    visit.press("Save")
    expect(visit.page.locator(".field").get_by_role("alert")).to_be_visible()
    expect(editor).to_be_focused()
    assert read_sql(service, report) == FIRST


def test_plain_field_stays_usable_when_the_editor_cannot_load(service: ServiceProcess, visit: Visit) -> None:
    visit.expected = ["Failed to load resource", "net::ERR_FAILED"]
    report = make_report(service, "Plain")

    def refuse(route: Route) -> None:
        route.abort()

    visit.page.route("**/vendored/codemirror.js", refuse)
    page = visit.enter(f"app/reports/{report['id']}")
    page.get_by_role("button", name="Edit worst").click()
    expect(page.get_by_text("The SQL editor could not be loaded")).to_be_visible()
    area = page.get_by_role("textbox", name="SQL", exact=True)
    area.fill("SELECT 1 AS plain")
    visit.press("Save")
    visit.wait_for_notice("is saved")
    assert read_sql(service, report) == "SELECT 1 AS plain"


def test_editor_fits_a_telephone(service: ServiceProcess, visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 360, "height": 740})
    editor = open_editor(visit, make_report(service, "Narrow", f"SELECT '{'x' * 300}' AS long"))
    expect(editor).to_be_visible()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert find_violations(visit.page) == []
    visit.take_picture("sql-editor-narrow")


def list_proposals(page: Page) -> Locator:
    return page.locator(".cm-tooltip-autocomplete li .cm-completionLabel")


def test_names_of_the_database_and_of_the_report_are_proposed(service: ServiceProcess, visit: Visit) -> None:
    editor = open_editor(visit, make_report(service, "Proposals", "SELECT "))
    page = visit.page
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("f.dep_d FROM flights AS f")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Home")
    for _ in "SELECT f.dep_d":
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+Space")
    expect(list_proposals(page).first).to_have_text("dep_delay")
    visit.take_picture("sql-editor-proposals")
    assert find_violations(page) == []
    list_proposals(page).first.click()
    assert read_lines(editor) == ["SELECT f.dep_delay FROM flights AS f"]

    page.keyboard.press("Control+End")
    page.keyboard.type(" JOIN airl")
    expect(list_proposals(page).first).to_have_text("airlines")
    page.keyboard.press("Escape")
    page.keyboard.type(" WHERE x = {{ ")
    expect(list_proposals(page)).to_have_text(["carrier", "routes"])
    page.keyboard.type("car")
    expect(list_proposals(page)).to_have_text(["carrier"])
    page.locator(".cm-tooltip-autocomplete li").click()
    assert read_lines(editor)[0].endswith("WHERE x = {{ carrier}}")


def test_names_of_the_catalog_are_inserted_at_the_cursor(service: ServiceProcess, visit: Visit) -> None:
    editor = open_editor(visit, make_report(service, "Catalog", "SELECT  FROM "))
    page = visit.page
    for name in ("Contents", "main", "airlines"):
        page.get_by_text(name, exact=True).click()
    editor.click()
    page.keyboard.press("Control+End")
    page.get_by_role("button", name="Insert airlines").click()
    page.keyboard.press("Control+Home")
    for _ in "SELECT ":
        page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="carrier", exact=True).focus()
    page.keyboard.press("Enter")
    expect(editor).to_be_focused()
    expect(page.locator("textarea[name=sql]")).to_have_value("SELECT carrier FROM airlines")
    assert find_violations(page) == []


def test_error_of_the_database_stands_at_its_line_until_the_line_is_changed(
    service: ServiceProcess, visit: Visit
) -> None:
    editor = open_editor(visit, make_report(service, "Errors", "SELECT 1 AS n,\n  2 AS m\nFORM flights"))
    page = visit.page
    page.get_by_role("button", name="Run worst").click()
    said = editor.locator(".cm-error-text")
    expect(said).to_contain_text('syntax error at or near "FORM"')
    expect(editor.locator(".cm-error-line")).to_have_text("FORM flights")
    expect(editor.locator(".cm-error-line + .cm-error-text")).to_be_visible()
    expect(page.get_by_label("Block worst").locator(".result")).to_contain_text("LINE 3")
    assert find_violations(page) == []
    visit.take_picture("sql-editor-error")
    expect(page.locator("textarea[name=sql]")).to_have_value("SELECT 1 AS n,\n  2 AS m\nFORM flights")

    editor.get_by_text("AS m").click()
    page.keyboard.press("End")
    page.keyboard.type("1")
    expect(said).to_be_visible()
    page.keyboard.press("Control+End")
    page.keyboard.press("Backspace")
    expect(said).to_have_count(0)


def test_format_lays_out_the_sql_and_is_undone(service: ServiceProcess, visit: Visit) -> None:
    visit.expected = ["status of 422"]
    sql = "select carrier,count(*) n from flights -- all\nwhere carrier={{ carrier }} group by 1"
    editor = open_editor(visit, make_report(service, "Layout", sql))
    area = visit.page.locator("textarea[name=sql]")
    visit.press("Format")
    expect(area).to_have_value(re.compile(r"^SELECT\n  carrier,\n  COUNT\(\*\) AS n\nFROM flights"))
    expect(area).to_have_value(re.compile(r"carrier = \{\{ carrier \}\}"))
    assert read_lines(editor) == area.input_value().split("\n")
    editor.click()
    visit.page.keyboard.press("Control+z")
    expect(area).to_have_value(sql)

    area.fill("SELECT 1 FROM t LIMIT{{ n }}")
    visit.press("Format")
    visit.wait_for_notice("put a blank between {{ n }} and what is beside it")
    expect(area).to_have_value("SELECT 1 FROM t LIMIT{{ n }}")


def test_marks_of_direction_are_visible_in_the_summary_and_in_the_editor(
    service: ServiceProcess, visit: Visit
) -> None:
    sql = f"SELECT '\u202e{MARKS}' AS a, 12 AS last"
    report = make_report(service, "Marks", sql)
    page = visit.enter(f"app/reports/{report['id']}")
    summary = page.get_by_label("Block worst").locator("pre.code")
    names = [f"U+{ord(mark):04X}" for mark in ("\u202e", *MARKS)]
    marks = summary.locator(".direction-mark")
    expect(marks).to_have_count(len(names))
    assert [mark.get_attribute("data-mark") for mark in marks.all()] == names
    assert summary.text_content() == sql
    places = summary.evaluate(FIND_PLACES)
    assert places == sorted(places)
    assert find_violations(page) == []
    visit.take_picture("direction-marks")
    page.get_by_role("button", name="Edit worst").click()
    expect(get_editor(page).locator(".cm-specialChar")).to_have_count(len(names))
    visit.take_picture("direction-marks-editor")
