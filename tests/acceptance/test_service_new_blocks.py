"""The page of a notebook in a real browser: blocks that are not saved yet, newer results, and the graph."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Locator, Page, Route, expect

from tests.acceptance.test_service_loading import wait_for
from tests.acceptance.test_service_notebook import (
    CHART,
    ENDLESS,
    NUMBERS,
    SIZES,
    TOP,
    block,
    fits,
    make,
    open_at,
    section,
    sql,
    start_service,
    text,
)
from tests.fakes.browser import Visit, find_violations
from tests.fakes.service_process import ServiceProcess

__all__ = ["start_service"]


def open_form(visit: Visit, kind: str, name: str) -> Locator:
    """Open the form of a new block, and give it a name."""
    visit.page.get_by_role("group", name="Add a block").get_by_role("button", name=kind, exact=True).click()
    form = visit.page.get_by_label(f"New {kind} block")
    form.get_by_label("Name").fill(name)
    return form


def list_names(service: ServiceProcess, uid: str) -> list[str]:
    return [one["name"] for one in service.client.get(f"/api/v1/report/{uid}").json()["result"]["blocks"]]


def write_sql(form: Locator, text: str) -> None:
    form.get_by_label("Database").select_option(label="flights")
    form.locator("textarea[name=sql]").fill(text)


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_query_that_is_not_saved_runs_and_its_result_stays_when_it_is_added(
    service: ServiceProcess, visit: Visit, size: str, scheme: Any
) -> None:
    uid = make(service, f"Unsaved {size}", TOP, NUMBERS)
    page = open_at(visit, uid, size, scheme)
    section(page, "Parameters").get_by_label("top").fill("7")
    form = open_form(visit, "SQL", "sums")
    write_sql(form, "SELECT sum(n) AS total FROM ({{ numbers }})")
    editor = form.get_by_role("textbox", name="SQL editor")
    expect(editor).to_be_visible()
    editor.press("Control+Enter")
    expect(form.locator("tbody")).to_contain_text("21")
    expect(editor).to_be_focused()
    assert list_names(service, uid) == ["top", "numbers"]
    assert find_violations(page) == []
    assert fits(page)
    visit.take_picture(f"notebook-unsaved-{size}-{scheme}")

    section(page, "Parameters").get_by_label("top").fill("3")
    expect(form.locator(".stale")).to_contain_text("it ran with top 7")
    write_sql(form, "SELECT no_such_column FROM ({{ numbers }})")
    expect(form.locator(".stale")).to_contain_text("this block was changed since")
    editor.press("Control+Enter")
    expect(form.locator(".result pre.fault")).to_contain_text("no_such_column")
    write_sql(form, "SELECT max(n) AS most FROM ({{ numbers }})")
    form.get_by_role("button", name="Run as typed").press("Enter")
    expect(form.locator("tbody")).to_contain_text("2")
    expect(form.locator(".stale")).to_have_count(0)

    visit.press("Add the block")
    visit.wait_for_notice("“sums” is saved")
    saved = block(page, "sums")
    expect(saved.locator("tbody")).to_contain_text("2")
    expect(saved.locator(".result-head")).to_contain_text("run alone")
    expect(page.locator(".stale")).to_have_count(0)
    assert list_names(service, uid) == ["top", "numbers", "sums"]


def test_text_and_chart_that_are_not_saved_run(service: ServiceProcess, visit: Visit) -> None:
    page = open_at(visit, make(service, "Unsaved kinds", TOP, NUMBERS))
    words = open_form(visit, "Text", "")
    field = words.get_by_label("Text", exact=True)
    field.fill("**{{ numbers.data | length }} numbers**")
    field.press("Control+Enter")
    expect(words.locator(".prose strong")).to_have_text("5 numbers")

    bars = open_form(visit, "Chart", "bars")
    bars.get_by_role("button", name="Vega-Lite text").click()
    spec = bars.get_by_label("Vega-Lite specification")
    spec.fill("{")
    spec.press("Control+Enter")
    visit.wait_for_notice("The specification is not JSON")
    spec.fill(json.dumps(CHART))
    spec.press("Control+Enter")
    expect(bars.locator(".result").get_by_role("img", name="Chart bars")).to_be_visible()
    assert find_violations(page) == []


def test_names_of_a_block_that_is_not_saved_are_checked_while_it_is_written(
    service: ServiceProcess, visit: Visit
) -> None:
    visit.expected = ["status of 422"]
    page = open_at(visit, make(service, "Unsaved names", text("words", "two")))
    form = open_form(visit, "Text", "more")
    form.get_by_label("Text", exact=True).fill("{{ nowhere }}")
    expect(form).to_contain_text("Unknown names: nowhere.")
    form.get_by_label("Text", exact=True).fill("{{ words }}")
    expect(form).not_to_contain_text("Unknown names")
    form.get_by_label("Name").fill("words")
    form.get_by_label("Text", exact=True).press("Control+Enter")
    visit.wait_for_notice("already has a block called 'words'")
    expect(page.locator(".result-running button")).to_have_count(0)


def test_block_that_is_not_saved_sends_only_after_a_question(service: ServiceProcess, visit: Visit) -> None:
    content = {"to_": "ann@example.com", "subject": "s", "value": "Dear"}
    uid = make(service, "Unsaved mail", {"type": "email", "name": "mail", "content": content})
    page = open_at(visit, uid)
    form = open_form(visit, "Email", "news")
    form.get_by_label("To", exact=True).fill("bob@example.com")
    form.get_by_label("Subject").fill("s")
    form.get_by_label("Message", exact=True).press("Control+Enter")
    expect(visit.front).to_contain_text("These blocks send messages: news.")
    visit.press("Keep")
    visit.press("Text")
    words = page.get_by_label("New Text block").get_by_label("Text", exact=True)
    words.fill("{{ mail }}")
    words.press("Control+Enter")  # before the references were read
    expect(visit.front).to_contain_text("These blocks send messages: mail.")
    visit.press("Keep")
    form.get_by_role("button", name="Run as typed").click()
    expect(visit.front).to_contain_text("These blocks send messages: news.")
    visit.press("Run")
    expect(form.locator(".result")).to_contain_text("bob@example.com: kept")


def test_run_of_a_saved_block_asks_for_the_messages_that_follow_from_what_is_saved(
    service: ServiceProcess, visit: Visit
) -> None:
    content = {"to_": "ann@example.com", "subject": "s", "value": "Dear"}
    mail = {"type": "email", "name": "mail", "content": content}
    blocks = (mail, text("after", "{{ mail.data }}"), text("top", "{{ after.data }}"))
    page = open_at(visit, make(service, "Saved mail", *blocks))
    page.get_by_role("button", name="Edit after").click()
    with page.expect_response("**/references"):
        block(page, "after").get_by_label("Text", exact=True).fill("nothing is used")
    page.get_by_role("button", name="Run top").click()
    expect(visit.front).to_contain_text("These blocks send messages: mail.")
    visit.press("Keep")
    with page.expect_response("**/references"):
        open_form(visit, "Text", "top").get_by_label("Text", exact=True).fill("nothing is used")
    page.get_by_role("button", name="Run top").click()
    expect(visit.front).to_contain_text("These blocks send messages: mail.")
    visit.press("Keep")
    expect(page.locator(".result-running button")).to_have_count(0)


def test_run_of_a_block_that_is_not_saved_is_cancelled(service: ServiceProcess, visit: Visit) -> None:
    open_at(visit, make(service, "Unsaved endless", text("words", "two")))
    form = open_form(visit, "SQL", "endless")
    write_sql(form, ENDLESS)
    form.get_by_role("button", name="Run as typed").click()
    expect(form.locator(".result-running")).to_contain_text("running")
    form.locator(".result-running").get_by_role("button", name="Cancel").click()
    expect(form.locator(".result")).to_contain_text("the run was cancelled")
    expect(form.locator(".result-running button")).to_have_count(0)
    write_sql(form, "SELECT 'next' AS a")
    form.locator("textarea[name=sql]").press("Control+Enter")
    expect(form.locator("tbody")).to_contain_text("next")


def find_unsaved_runs(page: Page) -> Locator:
    return page.get_by_role("region", name="Runs of blocks that are not on this page")


def list_unfinished(service: ServiceProcess, uid: str) -> list[str]:
    state = service.client.get(f"/app/notebook/{uid}").json()["result"]
    return [one["name"] for one in state["unfinished"]]


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_run_of_a_form_that_was_closed_is_listed_and_cancelled(
    service: ServiceProcess, visit: Visit, size: str, scheme: Any
) -> None:
    uid = make(service, f"Unsaved closed {size}", text("words", "two"))
    page = open_at(visit, uid, size, scheme)
    runs = find_unsaved_runs(page)
    form = open_form(visit, "SQL", "endless")
    write_sql(form, ENDLESS)
    form.get_by_role("button", name="Run as typed").click()
    expect(form.locator(".result-running")).to_contain_text("running")
    expect(runs).to_be_hidden()
    form.locator("form").get_by_role("button", name="Cancel", exact=True).click()
    visit.press("Discard")
    expect(form).to_have_count(0)
    expect(runs.get_by_role("listitem", name="endless")).to_contain_text("running")
    assert fits(page)
    assert find_violations(page) == []
    visit.take_picture(f"notebook-unsaved-runs-{size}-{scheme}")
    runs.get_by_role("button", name="Cancel").press("Enter")
    expect(runs).to_be_hidden()
    expect(page.get_by_role("group", name="Add a block").get_by_role("button").first).to_be_focused()
    assert list_unfinished(service, uid) == []


def test_run_of_a_new_block_is_listed_after_a_reload_and_for_others(
    service: ServiceProcess, visit: Visit
) -> None:
    uid = make(service, "Unsaved reload", text("words", "two"))
    page = open_at(visit, uid)
    form = open_form(visit, "SQL", "endless")
    write_sql(form, ENDLESS)
    form.get_by_role("button", name="Run as typed").click()
    expect(form.locator(".result-running")).to_contain_text("running")
    page.reload()
    expect(form.get_by_label("Name")).to_have_value("endless")  # the draft is there
    runs = find_unsaved_runs(page)
    expect(runs.get_by_role("listitem")).to_have_count(1)
    # The next run of the form is its own, and the one from before stays in the list.
    write_sql(form, f"{ENDLESS} -- again")
    form.get_by_role("button", name="Run as typed").click()
    expect(form.locator(".result-running").get_by_role("button", name="Cancel")).to_be_visible()
    expect(runs.get_by_role("listitem")).to_have_count(1)
    runs.get_by_role("button", name="Cancel").click()
    expect(runs).to_be_hidden()
    assert list_unfinished(service, uid) == ["endless"]
    form.locator(".result-running").get_by_role("button", name="Cancel").click()
    expect(form.locator(".result")).to_contain_text("the run was cancelled")


def test_block_that_is_added_while_it_runs_goes_on_with_its_run(
    service: ServiceProcess, visit: Visit
) -> None:
    uid = make(service, "Unsaved added", text("words", "two"))
    page = open_at(visit, uid)
    form = open_form(visit, "SQL", "endless")
    write_sql(form, ENDLESS)
    form.get_by_role("button", name="Run as typed").click()
    expect(form.locator(".result-running")).to_contain_text("running")
    visit.press("Add the block")
    visit.wait_for_notice("“endless” is saved")
    running = block(page, "endless").locator(".result-running")
    expect(running).to_contain_text("running")
    mark = page.locator("ol.outline li").filter(has_text="endless").locator(".outline-mark")
    expect(mark).to_have_text("running")
    expect(find_unsaved_runs(page)).to_be_hidden()
    running.get_by_role("button", name="Cancel").click()
    expect(block(page, "endless").locator(".result")).to_contain_text("the run was cancelled")
    expect(block(page, "endless").locator(".result-head")).to_contain_text("run alone")
    assert list_names(service, uid) == ["words", "endless"]


def test_block_that_is_added_before_the_page_knows_its_run_shows_that_run(
    service: ServiceProcess, visit: Visit
) -> None:
    uid = make(service, "Unsaved added early", text("words", "two"))
    page = open_at(visit, uid)
    form = open_form(visit, "SQL", "endless")
    write_sql(form, ENDLESS)
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/block_runs", lambda route: held.append((route, route.fetch())))
    form.get_by_role("button", name="Run as typed").click()
    wait_for(page, lambda: len(held) == 1)
    visit.press("Add the block")
    visit.wait_for_notice("“endless” is saved")
    [(route, answer)] = held
    route.fulfill(response=answer)
    running = block(page, "endless").locator(".result-running")
    expect(running).to_contain_text("running")
    expect(find_unsaved_runs(page)).to_be_hidden()
    running.get_by_role("button", name="Cancel").click()
    expect(block(page, "endless").locator(".result")).to_contain_text("the run was cancelled")
    expect(block(page, "endless").locator(".result-head")).to_contain_text("run alone")


def test_graph_forgets_what_a_form_had_that_was_closed(service: ServiceProcess, visit: Visit) -> None:
    page = open_at(visit, make(service, "Unsaved graph", text("words", "two"), text("more", "{{ words }}")))
    graph = wait_for_graph(page)
    form = open_form(visit, "Text", "third")
    form.get_by_label("Text", exact=True).fill("{{ words }} {{ nowhere }}")
    expect(graph.get_by_role("link")).to_have_count(3)
    form.get_by_role("button", name="Cancel", exact=True).click()
    visit.press("Discard")
    expect(graph.get_by_role("link")).to_have_count(2)
    page.get_by_role("button", name="Edit more").click()
    block(page, "more").get_by_label("Text", exact=True).fill("{{ elsewhere }}")
    expect(graph.get_by_role("img", name="elsewhere, unknown")).to_be_visible()
    block(page, "more").get_by_role("button", name="Cancel", exact=True).click()
    visit.press("Discard")
    expect(graph.get_by_role("img", name="unknown")).to_have_count(0)
    expect(graph.locator(".edge")).to_have_count(1)


def test_result_stays_marked_as_stale_while_what_was_typed_since_runs(
    service: ServiceProcess, visit: Visit
) -> None:
    open_at(visit, make(service, "Unsaved again", text("words", "two")))
    form = open_form(visit, "SQL", "again")
    write_sql(form, "SELECT 'first' AS a")
    form.get_by_role("button", name="Run as typed").click()
    expect(form.locator("tbody")).to_contain_text("first")
    expect(form.locator(".stale")).to_have_count(0)
    write_sql(form, ENDLESS)
    form.get_by_role("button", name="Run as typed").click()
    cancel = form.locator(".result-running").get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible()
    expect(form.locator("tbody")).to_contain_text("first")
    expect(form.locator(".stale")).to_contain_text("this block was changed since")
    cancel.click()
    expect(form.locator(".result")).to_contain_text("the run was cancelled")
    expect(form.locator(".stale")).to_have_count(0)


def test_result_of_a_new_block_is_stale_when_a_block_that_it_uses_was_changed(
    service: ServiceProcess, visit: Visit
) -> None:
    page = open_at(visit, make(service, "Unsaved stale", sql("words", "SELECT 'two' AS w")))
    form = open_form(visit, "Text", "more")
    field = form.get_by_label("Text", exact=True)
    field.fill("{{ words.data[0].w }} more")
    field.press("Control+Enter")
    expect(form.locator(".prose")).to_have_text("two more")
    expect(form.locator(".stale")).to_have_count(0)
    page.get_by_role("button", name="Edit words").click()
    block(page, "words").locator("textarea[name=sql]").fill("SELECT 'three' AS w")
    block(page, "words").get_by_role("button", name="Save").click()
    expect(form.locator(".stale")).to_contain_text("words was changed since")
    field.press("Control+Enter")
    expect(form.locator(".prose")).to_have_text("three more")
    expect(form.locator(".stale")).to_have_count(0)


def test_result_of_a_new_block_survives_an_outage_of_the_service(
    service: ServiceProcess, visit: Visit
) -> None:
    visit.expected = ["status of 502"]
    uid = make(service, "Unsaved outage", text("words", "two"))
    page = open_at(visit, uid)
    form = open_form(visit, "Text", "more")
    form.get_by_label("Text", exact=True).fill("two more")
    refused: list[str] = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=502)

    for path in (f"**/app/notebook/{uid}", f"**/app/notebook/{uid}/block_runs/*"):
        page.route(path, refuse, times=2)
    form.get_by_label("Text", exact=True).press("Control+Enter")
    expect(form.locator(".prose")).to_have_text("two more")
    assert len(refused) >= 2


def test_newer_result_does_not_replace_the_rows_that_one_reads(service: ServiceProcess, visit: Visit) -> None:
    uid = make(service, "Read", sql("rows", "SELECT 'row ' || range AS word FROM range(200)"))
    page = open_at(visit, uid)

    def run() -> None:
        assert service.client.post(f"/api/v1/report/{uid}/run/noteflow").status_code == 200

    run()
    rows = block(page, "rows")
    expect(rows.locator("tbody")).to_contain_text("row 0")
    first = rows.locator(".result-head a").inner_text()
    search = rows.get_by_role("searchbox", name="Search rows")
    search.fill("row 123")
    expect(rows.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Edit rows").focus()
    run()
    offer = rows.get_by_role("button", name="Show the newer result")
    expect(offer).to_be_visible()
    expect(search).to_have_value("row 123")
    expect(rows.locator("tbody tr")).to_have_count(1)
    expect(rows.locator(".result-head a")).to_have_text(first)
    assert find_violations(page) == []
    visit.take_picture("notebook-newer-result")
    offer.press("Enter")
    expect(rows.locator("tbody tr")).to_have_count(50)
    expect(search).to_have_value("")
    expect(rows.locator(".result-head a")).not_to_have_text(first)
    expect(rows.locator(".result")).to_be_focused()

    page.get_by_role("button", name="Edit rows").focus()
    second = rows.locator(".result-head a").inner_text()
    run()
    expect(rows.locator(".result-head a")).not_to_have_text(second)  # nobody uses it: it is shown at once
    expect(rows.locator("tbody")).to_contain_text("row 0")
    rows.get_by_role("button", name="Next").click()
    expect(rows.locator("tbody")).to_contain_text("row 50")
    page.get_by_role("button", name="Run rows").press("Enter")  # who asks for it gets it
    expect(rows.locator(".result-head")).to_contain_text("run alone")
    expect(rows.locator("tbody")).to_contain_text("row 0")


def test_offer_of_a_newer_result_keeps_the_focus(service: ServiceProcess, visit: Visit) -> None:
    uid = make(service, "Offer", sql("rows", "SELECT 'row ' || range AS word FROM range(200)"))
    page = open_at(visit, uid)

    def run() -> None:
        assert service.client.post(f"/api/v1/report/{uid}/run/noteflow").status_code == 200

    run()
    rows = block(page, "rows")
    expect(rows.locator("tbody")).to_contain_text("row 0")
    first = rows.locator(".result-head a").inner_text()
    rows.get_by_role("searchbox", name="Search rows").focus()
    run()
    offer = rows.get_by_role("button", name="Show the newer result")
    offer.focus()
    offer.evaluate("(button) => { button.isFirst = true; }")
    run()
    expect(offer).not_to_have_js_property("isFirst", True)
    expect(offer).to_be_focused()
    expect(rows.locator(".result-head a")).to_have_text(first)
    offer.press("Enter")
    expect(rows.locator(".result")).to_be_focused()
    expect(rows.locator(".result-head a")).not_to_have_text(first)


def test_result_of_a_run_that_ends_while_the_page_is_read_is_shown(
    service: ServiceProcess, visit: Visit
) -> None:
    uid = make(service, "Early", sql("rows", "SELECT 'first' AS word"))
    page = visit.page
    held: list[Route] = []
    ended: list[str] = []

    def read_runs(route: Route) -> None:
        answer = route.fetch()
        ended.extend(run["status"] for run in answer.json()["result"] if run["status"] == "success")
        route.fulfill(response=answer)

    page.route("**/api/v1/database/**", lambda route: held.append(route))
    page.route("**/api/v1/noteflow_run/**", read_runs)
    with page.expect_request("**/app/changes"):
        visit.enter(f"app/reports/{uid}")
    # The next connection would read everything again.
    page.route("**/app/changes", lambda route: route.abort())
    assert service.client.post(f"/api/v1/report/{uid}/run/noteflow").status_code == 200
    while not ended:
        page.wait_for_timeout(50)
    assert held
    for route in held:
        route.continue_()
    expect(block(page, "rows").locator("tbody")).to_contain_text("first")


def wait_for_graph(page: Page) -> Locator:
    graph = page.get_by_role("navigation", name="Graph")
    expect(graph.locator("svg").first).to_be_visible()
    return graph


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_graph_shows_the_references_and_leads_to_the_blocks(
    service: ServiceProcess, visit: Visit, size: str, scheme: Any
) -> None:
    name = "a_name_that_is_longer_than_a_node"
    uid = make(
        service,
        f"Picture {size}",
        TOP,
        NUMBERS,
        sql(name, "SELECT sum(n) AS total FROM ({{ numbers }})"),
        text("words", f"{{{{ {name}.data }}}} {{{{ top }}}}"),
    )
    page = open_at(visit, uid, size, scheme)
    section(page, "Graph")
    graph = wait_for_graph(page)
    expect(graph.get_by_role("link")).to_have_count(4)
    node = graph.get_by_role("link", name=f"{name}, uses numbers", exact=True)
    assert node.locator("title").inner_html() == f"{name}, uses numbers"
    expect(node).to_contain_text("a_name_t…")
    expect(graph.locator(".edge")).to_have_count(4)
    node.focus()
    expect(graph.locator(".edge.near")).to_have_count(2)
    node.press("Enter")
    expect(block(page, name)).to_be_focused()
    assert find_violations(page) == []
    assert fits(page)
    visit.take_picture(f"notebook-graph-{size}-{scheme}")

    page.get_by_role("button", name="Edit words").press("Enter")
    block(page, "words").get_by_label("Text", exact=True).fill("{{ nowhere }} {{ words }}")
    expect(graph.get_by_role("img", name="nowhere, unknown")).to_be_visible()
    expect(graph.get_by_role("link", name="words, uses words, in a circular reference")).to_be_visible()
    expect(graph.locator(".edge.faulty")).to_have_count(2)
    assert find_violations(page) == []
    visit.take_picture(f"notebook-graph-faults-{size}-{scheme}")

    page.locator("details.side").filter(has=graph).locator("summary").press("Enter")
    page.reload()
    expect(block(page, "words")).to_be_visible()
    expect(page.locator("details.side").first).not_to_have_attribute("open", "")
    section(page, "Graph")
    wait_for_graph(page)
    page.reload()
    wait_for_graph(page)


def list_used(index: int) -> list[int]:
    return [used for used in {index // 2, index - 3} if 0 <= used < index]


def test_graph_of_sixty_blocks_leaves_the_outline_in_sight(service: ServiceProcess, visit: Visit) -> None:
    blocks = [
        text(f"block_{index}", " ".join(f"{{{{ block_{used} }}}}" for used in list_used(index)))
        for index in range(60)
    ]
    page = open_at(visit, make(service, "Sixty", *blocks))
    graph = wait_for_graph(page)
    expect(graph.get_by_role("link")).to_have_count(60)
    first = page.get_by_role("navigation", name="Outline").get_by_role("link", name="block_0").first
    expect(first).to_be_in_viewport()
    assert fits(page)
    visit.take_picture("notebook-graph-sixty")

    # It is one stop of the Tab key, and the arrow keys lead from block to block.
    page.locator("details.side").filter(has=graph).locator("summary").focus()
    page.keyboard.press("Tab")
    names = [link.get_attribute("data-name") for link in graph.get_by_role("link").all()]
    focused = graph.locator("a:focus")
    expect(focused).to_have_attribute("data-name", str(names[0]))
    for key, place in (("ArrowDown", 1), ("ArrowRight", 2), ("ArrowUp", 1), ("End", 59), ("ArrowDown", 0)):
        page.keyboard.press(key)
        expect(focused).to_have_attribute("data-name", str(names[place]))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(graph.locator("a:focus")).to_have_count(0)
    page.keyboard.press("Shift+Tab")
    expect(focused).to_have_attribute("data-name", str(names[1]))
    assert find_violations(page) == []


def test_fold_of_the_graph_is_kept_for_wide_and_for_narrow_screens(
    service: ServiceProcess, visit: Visit
) -> None:
    page = open_at(visit, make(service, "Fold", text("one", "1"), text("two", "{{ one }}")))
    graph = page.locator("details.side").filter(has=page.locator(".graph"))
    expect(graph).to_have_attribute("open", "")
    for key in ("folded", "open"):
        graph.locator("summary").press("Enter")
        page.reload()
        expect(block(page, "two")).to_be_visible()
        assert (key, graph.get_attribute("open") is not None) == (key, key == "open")
    page.set_viewport_size(SIZES["narrow"])  # type: ignore[arg-type]
    page.reload()
    expect(block(page, "two")).to_be_visible()
    expect(graph).not_to_have_attribute("open", "")
    graph.locator("summary").press("Enter")
    page.reload()
    expect(block(page, "two")).to_be_visible()
    expect(graph).to_have_attribute("open", "")

    # A window that is made wide keeps what is chosen then for wide ones.
    page.set_viewport_size(SIZES["wide"])  # type: ignore[arg-type]
    graph.locator("summary").press("Enter")
    for size, is_open in (("wide", False), ("narrow", True)):
        page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
        page.reload()
        expect(block(page, "two")).to_be_visible()
        assert (size, graph.get_attribute("open") is not None) == (size, is_open)


def test_graph_goes_on_showing_what_the_pointer_is_on(service: ServiceProcess, visit: Visit) -> None:
    three = text("three", "{{ two }}")
    page = open_at(visit, make(service, "Pointer", text("one", "1"), text("two", "{{ one }}"), three))
    graph = wait_for_graph(page)
    page.get_by_role("button", name="Edit three").press("Enter")
    graph.get_by_role("link", name="one", exact=True).hover()
    expect(graph.locator(".edge.near")).to_have_count(1)
    expect(graph.locator(".edge")).to_have_count(2)
    block(page, "three").get_by_label("Text", exact=True).fill("{{ two }} {{ one }}")
    expect(graph.locator(".edge")).to_have_count(3)
    expect(graph.locator(".edge.near")).to_have_count(2)
    block(page, "three").hover()
    expect(graph.locator(".near")).to_have_count(0)


def test_report_without_references_has_no_graph(service: ServiceProcess, visit: Visit) -> None:
    page = open_at(visit, make(service, "No references", text("one", "1"), text("two", "2")))
    expect(block(page, "two")).to_be_visible()
    expect(page.get_by_role("navigation", name="Graph")).to_be_hidden()
