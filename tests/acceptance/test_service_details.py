"""What pages do in the less usual cases: large numbers, several tabs and users, errors, late answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import duckdb
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.fakes.browser import Visit, find_violations
from tests.fakes.saved_reports import save_report, start_run
from tests.fakes.service_process import ServiceProcess
from tests.fakes.service_reports import ENDLESS

LARGE = 9007199254740993
"""The first whole number that JavaScript rounds."""


def read_parameters(service: ServiceProcess, report_id: int) -> Any:
    """The parameters of the newest run of a report."""
    query = {"report_uid": service.client.get(f"/api/v1/report/{report_id}").json()["result"]["uid"]}
    runs = service.client.get("/api/v1/noteflow_run/", params=query).json()["result"]
    return max(runs, key=lambda run: run["id"])["parameters"]


def test_run_again_has_large_numbers_with_all_their_digits(service: ServiceProcess, visit: Visit) -> None:
    report = save_report(
        service,
        "Large numbers",
        ("parameter", "id", {"type": "integer", "default": LARGE}),
        ("parameter", "ids", {"type": "integer", "multiple": True}),
        ("parameter", "anything", {"default": {"id": LARGE, "share": 1.0}}),
        ("parameter", "one_of", {"type": "integer", "choices": [1, LARGE]}),
        ("text", "words", {"text": "{{ id }} {{ ids }} {{ anything.share }} {{ one_of }} {{ extra }}"}),
    )
    given = {"ids": [LARGE, LARGE + 2], "one_of": LARGE, "extra": LARGE}
    run = start_run(service, report, **given)
    page = visit.enter(f"app/reports/{report}/runs/{run}")
    expect(page.locator("dl.facts")).to_contain_text(
        f'id={LARGE}, ids=[{LARGE},{LARGE + 2}], anything={{"id":{LARGE},'
    )
    visit.press("Run again with changes")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("id", exact=True)).to_have_value(str(LARGE))
    expect(dialog.get_by_label("ids")).to_have_value(f"{LARGE}, {LARGE + 2}")
    expect(dialog.get_by_label("anything")).to_have_value(f'{{"id":{LARGE},"share":1.0}}')
    expect(dialog.get_by_label("one_of")).to_have_value(str(LARGE))
    visit.press("Run")
    expect(page.get_by_role("heading", name=f"Run {run + 1} of Large numbers")).to_be_visible()
    expect(page.get_by_label("Block words")).to_contain_text(
        f"{LARGE} [{LARGE},{LARGE + 2}] 1 {LARGE} {LARGE}"
    )
    assert read_parameters(service, report) == {
        "id": LARGE,
        "ids": [LARGE, LARGE + 2],
        "anything": {"id": LARGE, "share": 1.0},
        "one_of": LARGE,
        "extra": LARGE,
    }
    visit.follow("Runs")
    expect(page.get_by_role("row").nth(1)).to_contain_text(f"id={LARGE}")


def test_default_with_many_digits_is_shown_and_saved_with_all_of_them(
    service: ServiceProcess, visit: Visit
) -> None:
    report = save_report(
        service,
        "Large default",
        ("parameter", "id", {"type": "any", "default": LARGE, "choices": [1, LARGE]}),
    )
    page = visit.enter(f"app/reports/{report}")
    block = page.get_by_label("Block id")
    expect(block).to_contain_text(f"default {LARGE}, one of 1, {LARGE}")
    page.get_by_role("button", name="Edit id").click()
    expect(block.get_by_label("Default")).to_have_value(str(LARGE))
    block.get_by_label("Title").fill("The id")
    visit.press("Save")
    visit.wait_for_notice("“id” is saved")
    row = service.client.get(f"/api/v1/report/{report}").json()["result"]["blocks"][0]
    saved = service.client.get(f"/api/v1/block/{row['uid']}").json()["result"]["content_json"]
    assert f'"default": {LARGE}' in saved
    assert f'"choices": [1, {LARGE}]' in saved


@pytest.fixture(name="report")
def make_page_report(service: ServiceProcess) -> dict[str, Any]:
    """A report with one text block."""
    content = {"text": "Hello"}
    made = service.client.post(
        "/api/v1/report/",
        json={"name": "Page", "blocks": [{"type": "text", "name": "words", "content": content}]},
    )
    row: dict[str, Any] = made.json()["result"]
    return row


def edit_words(page: Page) -> Locator:
    page.get_by_role("button", name="Edit words").click()
    return find_words(page)


def find_words(page: Page) -> Locator:
    return page.get_by_label("Block words").locator("textarea").first


def create_user(service: ServiceProcess, email: str) -> str:
    """Add a user to the workspace, and return a token of theirs."""
    user = {"email": email, "roles": [2]}
    made = service.client.post("/api/v1/user/?skip_welcome_email=true", json=user).json()
    answer = service.client.post(f"/api/v1/user/{made['id']}/access_token/", json={"name": "t"})
    return str(answer.json()["token"])


def test_opening_a_page_does_not_renew_the_age_of_a_draft(visit: Visit, report: dict[str, Any]) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    edit_words(page).fill("Typed days ago")
    age = """() => {
        const key = Object.keys(localStorage).find((one) => localStorage[one].includes("Typed days ago"));
        const draft = JSON.parse(localStorage[key]);
        localStorage[key] = JSON.stringify({...draft, kept_on: draft.kept_on - 1e9});
        return draft.kept_on;
    }"""
    first = page.evaluate(age)
    page.reload()
    expect(find_words(page)).to_have_value("Typed days ago")
    assert page.evaluate(age) == first - 1e9


def test_draft_discarded_in_one_tab_does_not_come_back_from_another(
    visit: Visit, report: dict[str, Any]
) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    edit_words(page).fill("Typed in one tab")
    other = page.context.new_page()
    other.goto(page.url)
    expect(find_words(other)).to_have_value("Typed in one tab")
    page.get_by_label("Block words").get_by_role("button", name="Cancel").click()
    visit.press("Discard")
    expect(find_words(page)).to_have_count(0)
    other.reload()
    expect(other.get_by_label("Block words")).to_contain_text("Hello")
    expect(find_words(other)).to_have_count(0)


def test_discarding_in_a_dialog_removes_the_draft(visit: Visit, report: dict[str, Any]) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    page.get_by_role("button", name="Edit", exact=True).click()
    visit.fill("Description", "Typed in the dialog")
    page.keyboard.press("Escape")
    visit.press("Discard")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Edit", exact=True).click()
    expect(page.get_by_role("dialog").get_by_label("Description")).to_have_value("")
    expect(page.get_by_role("dialog")).not_to_contain_text("Unsaved changes")


def test_page_does_nothing_for_another_user_who_signed_in_in_another_tab(
    service: ServiceProcess, visit: Visit, report: dict[str, Any]
) -> None:
    visit.expected = ["status of 401"]
    page = visit.enter(f"app/reports/{report['uid']}")
    edit_words(page).fill("Of the first user")
    token = create_user(service, "second@example.com")
    other = Visit(page.context.new_page(), visit.base_url)
    other.page.goto(f"{visit.base_url}/app/runs")
    expect(other.page.get_by_role("heading", name="Runs")).to_be_visible()
    page.context.clear_cookies()  # as when the session has ended
    other.page.reload()
    other.sign_in(token)
    expect(other.page.get_by_role("heading", name="Runs")).to_be_visible()

    page.get_by_label("Block words").get_by_role("button", name="Save").click()
    expect(visit.front).to_contain_text("Another user has signed in since this page was opened")
    path = f"/api/v1/block/{report['blocks'][0]['uid']}"
    assert "Hello" in service.client.get(path).json()["result"]["content_json"]
    visit.sign_in()
    visit.wait_for_notice("“words” is saved")
    assert "Of the first user" in service.client.get(path).json()["result"]["content_json"]


def test_truncated_result_stays_as_it_is_when_its_run_ends(service: ServiceProcess, visit: Visit) -> None:
    report = save_report(
        service,
        "Truncated",
        ("sql", "rows", {"database_id": 1, "sql": "SELECT * FROM range(90)", "limit": 60}),
        ("sql", "endless", {"database_id": 1, "sql": ENDLESS}),
    )
    run = start_run(service, report)
    page = visit.enter(f"app/reports/{report}/runs/{run}")
    block = page.get_by_label("Block rows")
    expect(block).to_contain_text("Truncated after 60 rows")
    block.get_by_role("button", name="Next").click()
    expect(block).to_contain_text("Rows 51 to 60 of 60")
    expect(block.get_by_role("button", name="Next")).to_be_focused()
    expect(block.get_by_role("button", name="Next")).to_be_disabled()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert find_violations(page) == []
    visit.press("Cancel")
    expect(page.locator("dl.facts")).to_contain_text("cancelled")
    expect(page.get_by_role("button", name="Run again", exact=True)).to_be_visible()
    expect(block).to_contain_text("Rows 51 to 60 of 60")
    expect(block).to_contain_text("Truncated after 60 rows")


def test_press_on_a_pager_is_not_lost_when_the_list_changes(service: ServiceProcess, visit: Visit) -> None:
    report = save_report(service, "Many runs", ("text", "words", {"text": "Hello"}))
    for _ in range(27):
        last = start_run(service, report)
    page = visit.enter(f"app/reports/{report}/runs")
    expect(page.get_by_role("link", name=f"Run {last}", exact=True)).to_be_visible()
    following = page.get_by_role("button", name="Next")
    following.hover()
    page.mouse.down()
    new = start_run(service, report)
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=f"Run {new}", exact=True))
    expect(row).to_contain_text("success")
    page.mouse.up()
    expect(page.get_by_role("navigation", name="Pages of runs")).to_contain_text("28 runs, page 2 of 2")
    expect(following).to_be_disabled()
    expect(following).to_be_focused()
    assert find_violations(page) == []
    page.get_by_role("button", name="Previous").click()
    expect(page.get_by_role("navigation", name="Pages of runs")).to_contain_text("page 1 of 2")


def test_page_and_order_stay_what_is_shown_when_others_cannot_be_read(visit: Visit) -> None:
    visit.expected = ["status of 503", "ERR_FAILED"]
    page = visit.enter("app/reports")
    name = page.get_by_role("columnheader", name="Name")
    expect(name).to_be_visible()
    before = name.get_attribute("aria-sort")
    page.route("**/api/v1/report/?*", lambda route: route.abort())
    name.get_by_role("button").click()
    visit.wait_for_notice("The service does not respond")
    assert name.get_attribute("aria-sort") == before
    page.unroute_all()
    name.get_by_role("button").dblclick()  # up, and down at once
    expect(name).to_have_attribute("aria-sort", "descending")


def test_filter_of_runs_that_fails_says_so(visit: Visit) -> None:
    visit.expected = ["ERR_FAILED"]
    page = visit.enter("app/runs")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    page.route("**/api/v1/noteflow_run/?*", lambda route: route.abort())
    page.get_by_label("State").select_option("failed")
    visit.wait_for_notice("The service does not respond")


def test_live_page_asks_less_often_while_its_reads_fail(service: ServiceProcess, visit: Visit) -> None:
    visit.expected = ["status of 503"]
    page = visit.enter("app/runs")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    page.route("**/api/v1/noteflow_run/?*", lambda route: route.fulfill(status=503, body="{}"))
    start_run(service, 1)
    outage = page.locator("#outage")
    expect(outage).to_contain_text(re.compile(r"Next attempt in ([4-9]|\d\d) s"))
    page.unroute_all()
    outage.get_by_role("button", name="Try now").click()
    expect(outage).to_be_hidden()


def test_ended_session_is_said_on_a_live_page_without_a_dialog(service: ServiceProcess, visit: Visit) -> None:
    visit.expected = ["status of 401"]
    page = visit.enter("app/runs")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    page.context.clear_cookies()
    start_run(service, 1)
    outage = page.locator("#outage")
    expect(outage).to_contain_text("You are signed out, and this page may be out of date.")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert find_violations(page) == []
    outage.get_by_role("button", name="Sign in").click()
    visit.sign_in()
    expect(outage).to_be_hidden()
    run = start_run(service, 1)
    expect(page.get_by_role("link", name=f"Run {run}", exact=True)).to_be_visible()


def test_late_answer_does_not_show_the_names_of_another_database(
    service: ServiceProcess, visit: Visit, data_dir: Path
) -> None:
    folder = next(data_dir.rglob("flights.duckdb")).parent
    with duckdb.connect(folder / "other.duckdb") as connection:
        connection.execute("CREATE TABLE only_here (a INTEGER)")
    database = {"database_name": "other", "sqlalchemy_uri": "duckdb:///other.duckdb"}
    assert service.client.post("/api/v1/database/", json=database).status_code == 201
    report = save_report(service, "Catalog", ("sql", "q", {"database_id": 1, "sql": "SELECT 1"}))
    page = visit.enter(f"app/reports/{report}")
    page.get_by_role("button", name="Edit q").click()
    held: list[Route] = []
    page.route("**/schemas/", lambda route: held.append(route) if not held else route.continue_())
    contents = page.locator("details.catalog").first
    contents.locator("summary").first.click()
    expect(contents).to_contain_text("Reading…")
    page.get_by_label("Block q").get_by_label("Database").select_option(label="other")
    expect(contents.locator("details summary")).to_have_text(["main"])
    names = contents.inner_text()
    with page.expect_response("**/schemas/"):
        held[0].continue_()
    contents.locator("details summary").first.click()
    expect(contents).to_contain_text("only_here")
    assert contents.inner_text().startswith(names)


def test_run_form_takes_the_services_own_values_and_ticks_those_of_a_url(
    service: ServiceProcess, visit: Visit
) -> None:
    report = save_report(
        service,
        "Defaults",
        ("parameter", "top", {"type": "integer", "default": 1.0}),
        ("parameter", "regions", {"type": "text", "multiple": True, "choices": ["EMEA", "APAC", "LATAM"]}),
        ("parameter", "names", {"type": "text", "multiple": True}),
        ("text", "words", {"text": "{{ top }} {{ regions }} {{ names }}"}),
    )
    run = start_run(service, report, regions="EMEA,LATAM", names="a,b")
    page = visit.enter(f"app/reports/{report}/runs/{run}")
    visit.press("Run again with changes")
    dialog = page.get_by_role("dialog")
    for name, is_ticked in {"EMEA": True, "APAC": False, "LATAM": True}.items():
        expect(dialog.get_by_label(name)).to_be_checked(checked=is_ticked)
    expect(dialog.get_by_label("names")).to_have_value("a, b")
    assert find_violations(page) == []
    dialog.get_by_label("names").fill("a, b, c")
    visit.press("Run")
    expect(page.get_by_label("Block words")).to_contain_text('1 ["EMEA","LATAM"] ["a","b","c"]')


VALUES = """SELECT * FROM (VALUES
    (1, 0.10::DECIMAL(18, 2), 'NaN'::DOUBLE, 170141183460469231731687303715884105727::HUGEINT,
     'one' || chr(10) || 'two', NULL),
    (2, 12345678901234567.89, 'Infinity'::DOUBLE, -9007199254740993, '<script>alert(1)</script>', ''),
    (3, -0.05, 0.1, 0, 'name ' || chr(8238) || ' fdp.exe', repeat('x', 1500))
) t(id, amount, ratio, big, "text", "last")"""


def test_values_of_all_kinds_are_shown_as_they_are(service: ServiceProcess, visit: Visit) -> None:
    report = save_report(service, "Values", ("sql", "kinds", {"database_id": 1, "sql": VALUES}))
    run = start_run(service, report)
    page = visit.enter(f"app/reports/{report}/runs/{run}")
    rows = page.get_by_label("Block kinds").get_by_role("row")
    expect(rows).to_have_count(4)
    shown = [row.get_by_role("cell").all_inner_texts() for row in rows.all()[1:]]
    assert shown[0] == ["1", "0.10", "NaN", "170141183460469231731687303715884105727", "one\ntwo", "null"]
    assert shown[1] == [
        "2",
        "12345678901234567.89",
        "Infinity",
        "-9007199254740993",
        "<script>alert(1)</script>",
        "“”",
    ]
    assert shown[2][:4] == ["3", "-0.05", "0.1", "0"]
    assert shown[2][5] == "x" * 1500
    heights = [row.evaluate("row => row.offsetHeight") for row in rows.all()]
    assert max(heights) < 200
    assert find_violations(page) == []


@pytest.mark.parametrize("size", [(1280, 800), (360, 740)])
def test_wide_result_keeps_its_first_column_and_fits_the_page(
    service: ServiceProcess, visit: Visit, size: tuple[int, int]
) -> None:
    columns = ", ".join(f"range * {number} AS column_number_{number}" for number in range(1, 50))
    sql = f"SELECT range AS id, {columns} FROM range(100000)"
    block = {"database_id": 1, "sql": sql, "limit": 100000}
    name = f"\u202ereversed \U0001f680 {'long name ' * 18}".strip()
    report = save_report(service, name, ("sql", "wide", block))
    run = start_run(service, report)
    page = visit.enter(f"app/reports/{report}/runs/{run}")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    wide = page.get_by_label("Block wide")
    expect(wide).to_contain_text("100,000 rows")
    first = wide.get_by_role("row").nth(7).get_by_role("cell").first
    before = first.bounding_box()
    box = wide.locator(".scroll")
    assert box.evaluate("element => { element.scrollLeft = 2000; return element.scrollLeft; }") > 1000
    assert first.bounding_box() == before
    visit.take_picture(f"wide-{size[0]}")
    wide.get_by_role("button", name="Next").click()
    expect(wide).to_contain_text("Rows 51 to 100 of 100,000")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    # The mark in the name turns around nothing that stands beside it.
    trail = page.locator(".trail")
    assert (
        trail.get_by_role("link", name="Runs").evaluate("link => getComputedStyle(link).unicodeBidi")
        == "isolate"
    )
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert find_violations(page) == []


PAGES = (
    "reports", "reports/1", "reports/1/runs", "reports/1/triggers", "reports/1/yaml", "runs", "schedules",
    "subscriptions", "deliveries", "messages", "databases", "tokens", "users",
)  # fmt: skip


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_every_page_is_accessible(
    service: ServiceProcess, visit: Visit, scheme: Literal["light", "dark"], width: int
) -> None:
    start_run(service, 1)
    page = visit.enter("app/reports")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    expect(page.get_by_role("heading", name="Reports")).to_be_visible()
    for path in PAGES:
        visit.open(f"app/{path}")
        expect(page.locator("main h1").first).to_be_visible()
        assert (path, find_violations(page)) == (path, [])
