"""What the web interface loads, how its first page looks, and its list of reports, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.fakes.browser import Visit, find_violations
from tests.fakes.service_process import ServiceProcess, run_ready_service

MOST_REQUESTS = 12
MOST_BYTES = 60_000


@pytest.fixture(scope="module", name="service")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with run_ready_service(tmp_path_factory.mktemp("loading") / "data", "--demo") as service:
        yield service


@dataclass
class Traffic:
    """What a page has loaded over the network."""

    finished: list[Request] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("request", lambda request: self.begun.append(request.url))
        page.on("requestfinished", lambda request: self.finished.append(request))

    def count_bytes(self) -> int:
        """Count the bytes of headers and bodies that came in, compressed as they were."""
        sizes = [request.sizes() for request in self.finished]
        return sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)


def open_signed_in(visit: Visit) -> Traffic:
    """Sign in, then begin with an empty cache."""
    page = visit.enter("app/reports")
    expect(page.get_by_role("heading", name="Reports", exact=True)).to_be_visible()
    page.goto("about:blank")
    page.context.new_cdp_session(page).send("Network.clearBrowserCache")
    traffic = Traffic()
    traffic.watch(page)
    return traffic


def test_first_page_costs_twelve_requests_and_sixty_kilobytes_at_most(visit: Visit) -> None:
    traffic = open_signed_in(visit)
    visit.open("app/reports")
    expect(visit.page.get_by_role("link", name="Departure delays").first).to_be_visible()
    visit.page.wait_for_load_state("load")
    expect(visit.page.locator("#bar")).to_be_visible()
    assert 5 < len(traffic.begun) <= MOST_REQUESTS, traffic.begun
    size = traffic.count_bytes()
    assert 20_000 < size < MOST_BYTES, [(one.url, one.sizes()) for one in traffic.finished]
    assert [url for url in traffic.begun if "vendored" in url] == []


def test_page_that_is_opened_again_loads_no_file_again(visit: Visit) -> None:
    open_signed_in(visit)
    visit.open("app/reports")
    expect(visit.page.get_by_role("link", name="Departure delays").first).to_be_visible()
    visit.open("app/reports")
    expect(visit.page.get_by_role("link", name="Departure delays").first).to_be_visible()
    entries = visit.page.evaluate(
        "performance.getEntriesByType('resource').map(({name, transferSize}) => [name, transferSize])"
    )
    sizes = {name: size for name, size in entries if "/bundles/" in name}
    assert len(sizes) >= 3
    assert set(sizes.values()) == {0}


def test_editor_is_loaded_when_a_form_with_sql_is_opened_and_not_before(visit: Visit) -> None:
    traffic = open_signed_in(visit)
    visit.open("app/reports")
    visit.follow("Departure delays")
    expect(visit.page.get_by_role("button", name="Run", exact=True).first).to_be_visible()
    assert [url for url in traffic.begun if "codemirror" in url] == []
    visit.press("Edit by_carrier")
    expect(visit.page.locator("sql-editor").first).to_be_visible()
    visit.page.locator("sql-editor .cm-content").first.wait_for()
    (editor,) = [one for one in traffic.finished if one.url.endswith("codemirror.js")]
    assert editor.sizes()["responseBodySize"] < 150_000


def test_error_in_a_joined_file_names_the_file_it_is_from(visit: Visit) -> None:
    """Chromium's tools read the map as a debugger does: its address is in the script that is loaded."""
    session = visit.page.context.new_cdp_session(visit.page)
    maps: list[tuple[str, str]] = []
    session.on("Debugger.scriptParsed", lambda one: maps.append((one["url"], one.get("sourceMapURL", ""))))
    session.send("Debugger.enable")
    visit.enter("app/reports")
    expect(visit.page.get_by_role("heading", name="Reports", exact=True)).to_be_visible()
    ours = [(url, place) for url, place in maps if "/bundles/" in url]
    assert len(ours) >= 2
    assert [url for url, place in ours if place != url.rpartition("/")[2] + ".map"] == []


def test_page_whose_file_cannot_be_loaded_says_so_and_is_there_after_a_reload(visit: Visit) -> None:
    visit.expected = ["Failed to load resource"]
    page = visit.enter("app/reports")
    expect(page.get_by_role("heading", name="Reports", exact=True)).to_be_visible()
    page.route("**/bundles/runs-runs.js", lambda route: route.abort())
    visit.follow("Runs")
    expect(page.get_by_role("heading", name="The page could not be loaded")).to_be_visible()
    assert find_violations(page) == []
    page.unroute("**/bundles/runs-runs.js")
    visit.press("Reload")
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()


def test_page_that_was_open_during_an_update_does_not_mix_the_versions(visit: Visit) -> None:
    page = visit.enter("app/reports")
    expect(page.get_by_role("heading", name="Reports", exact=True)).to_be_visible()

    def answer_newer(route: Route) -> None:
        answer = route.fetch()
        text = re.sub(r'"[0-9a-f]{16}"', '"fedcba9876543210"', answer.text())
        headers = {"content-type": answer.headers["content-type"], "cache-control": "no-store"}
        route.fulfill(body=text, headers=headers)

    page.route("**/bundles/runs-runs.js", answer_newer)
    visit.follow("Runs")
    expect(page.get_by_role("heading", name="The page could not be loaded")).to_be_visible()
    page.unroute("**/bundles/runs-runs.js")
    visit.press("Reload")
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()


def test_every_page_is_loaded_by_its_address(visit: Visit) -> None:
    page = visit.enter("app/reports")
    expect(page.get_by_role("heading", name="Reports", exact=True)).to_be_visible()
    page.get_by_role("link", name="PushMetrics", exact=True).click()
    expect(page.get_by_role("heading", name="Welcome to the demo")).to_be_visible()
    assert find_violations(page) == []
    paths = page.locator("#bar nav a").evaluate_all("links => links.map(link => link.href)")
    assert len(paths) >= 5
    for path in paths:
        page.goto(path)
        expect(page.locator("main h1")).to_be_visible()
        expect(page.get_by_role("heading", name="could not be loaded")).to_have_count(0)
        assert find_violations(page) == [], path


# --- the appearance -----------------------------------------------------------------------------------------


def get_background(page: Page) -> str:
    color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return color


def test_theme_stays_in_the_browser_and_follows_the_system_again_when_one_wants(visit: Visit) -> None:
    page = visit.enter("app/appearance")
    light = get_background(page)
    page.emulate_media(color_scheme="dark")
    dark = get_background(page)
    assert dark != light
    page.get_by_role("radio", name="Light").check()
    assert get_background(page) == light
    assert find_violations(page) == []
    # The page has its colours before any script has run.
    page.route("**/*.js", lambda route: route.abort())
    visit.expected = ["Failed to load resource"]
    page.reload()
    assert get_background(page) == light
    page.unroute("**/*.js")
    page.reload()
    expect(page.get_by_role("radio", name="Light")).to_be_checked()
    page.get_by_role("radio", name="System").check()
    assert get_background(page) == dark
    page.reload()
    expect(page.get_by_role("radio", name="System")).to_be_checked()
    assert get_background(page) == dark
    assert [one["name"] for one in page.context.cookies()] == ["pushmetrics_session"]


# --- the list of reports ------------------------------------------------------------------------------------


def make_reports(service: ServiceProcess) -> None:
    for index, folder in enumerate(("Finance", "Finance/Weekly", "Finance/Weekly", "Ops")):
        wanted = {"name": f"Folder report {index}", "folder": folder, "description": "D" * 300}
        service.client.post("/api/v1/report/", json=wanted).raise_for_status()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 740)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_folders_are_a_tree_whose_choice_is_in_the_address(
    visit: Visit, service: ServiceProcess, width: int, height: int, scheme: Literal["light", "dark"]
) -> None:
    if not service.client.get("/app/activity/folders").json()["result"]:
        make_reports(service)
    page = visit.page
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)
    visit.enter("app/reports")
    tree = page.get_by_role("navigation", name="Folders")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(5)
    assert find_violations(page) == []
    heights = {round(row.bounding_box()["height"]) for row in rows.all()}  # type: ignore[index]
    assert heights == {36}

    page.get_by_label("Search names, folders and SQL").fill("folder report")
    expect(rows).to_have_count(4)
    tree.get_by_role("link", name="Finance").click()
    expect(rows).to_have_count(3)
    tree.get_by_role("link", name="Weekly").click()
    expect(rows).to_have_count(2)
    expect(tree.get_by_role("link", name="Weekly")).to_have_attribute("aria-current", "true")
    # What was typed is still searched for.
    expect(page).to_have_url(re.compile(r"search=folder\+report&folder=Finance%2FWeekly$"))
    assert find_violations(page) == []
    page.reload()
    expect(rows).to_have_count(2)
    page.go_back()
    expect(rows).to_have_count(3)
    visit.press("All folders")
    expect(rows).to_have_count(4)
