"""What the web interface loads, how its first page looks, and its list of reports, in a real browser."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from airflow_provider_pushmetrics.service.web.live import HEARTBEAT
from tests.fakes.browser import Visit, find_violations, visit_service
from tests.fakes.busy_workspace import fill_workspace
from tests.fakes.saved_reports import start_run, wait_for_run
from tests.fakes.service_process import ServiceProcess, run_ready_service
from tests.fakes.waiting import LIMIT_SECONDS

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


@pytest.fixture(scope="module", name="busy_service")
def start_busy_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    data_dir = tmp_path_factory.mktemp("busy") / "data"
    fill_workspace(data_dir, reports=300, folders=30, runs=10)
    with run_ready_service(data_dir) as service:
        yield service


@pytest.fixture
def busy_visit(busy_service: ServiceProcess, browser: Browser) -> Iterator[Visit]:
    with visit_service(browser, busy_service) as visit:
        yield visit


def test_page_that_one_goes_to_reads_nothing_twice(busy_visit: Visit) -> None:
    """It comes before the tests that start runs: what these change is read again."""
    page = busy_visit.page
    before = count_event_bytes(page)
    busy_visit.enter("app/reports")
    expect(page.locator("tbody tr")).to_have_count(25)
    wait_for_event(page, before)
    traffic, after = Traffic(), count_event_bytes(page)
    traffic.watch(page)
    busy_visit.follow("Runs")
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(25)
    wait_for_event(page, after)
    assert len(traffic.begun) >= 2
    assert sorted(set(traffic.begun)) == sorted(traffic.begun)


@pytest.mark.parametrize("path", ["app/reports", "app/runs"])
def test_first_page_of_a_busy_workspace_is_as_small_and_reads_nothing_twice(
    busy_visit: Visit, busy_service: ServiceProcess, path: str
) -> None:
    """It is counted after the first event of the page, which tells of nothing that the page has not read."""
    traffic = open_signed_in(busy_visit)
    page = busy_visit.page
    events = count_event_bytes(page)
    busy_visit.open(path)
    expect(page.locator("tbody tr")).to_have_count(25)
    wait_for_event(page, events)
    own = [url for url in traffic.begun if url.startswith(busy_visit.base_url)]
    assert own == traffic.begun
    paths = [urlsplit(url).path for url in own]
    assert (len(paths) <= MOST_REQUESTS, sorted(set(paths)) == sorted(paths)) == (True, True), paths
    size = traffic.count_bytes()
    assert 20_000 < size < MOST_BYTES, [(one.url, one.sizes()) for one in traffic.finished]

    # A run of somebody else is read, although nothing was read at the beginning.
    before = len(traffic.begun)
    report = busy_service.client.get("/api/v1/report/").json()["ids"][0]
    run_id = start_run(busy_service, report)
    wait_for(page, lambda: len(traffic.begun) > before)
    wait_for_run(busy_service, run_id)  # the next page would read it twice


def wait_for_event(page: Page, events: list[int]) -> None:
    """Wait until the first event has come, and the page has done what it tells."""
    wait_for(page, lambda: sum(events) > len(HEARTBEAT) + len("event: runs"))
    page.evaluate("new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)))")


def count_event_bytes(page: Page) -> list[int]:
    """Give a list to which the lengths of what comes on the connection for events are added."""
    session = page.context.new_cdp_session(page)
    streams: set[str] = set()
    lengths: list[int] = []

    def begin(one: dict[str, Any]) -> None:
        if urlsplit(one["request"]["url"]).path == "/app/changes":
            streams.add(one["requestId"])

    def add(one: dict[str, Any]) -> None:
        if one["requestId"] in streams:
            lengths.append(one["dataLength"])

    session.on("Network.requestWillBeSent", begin)
    session.on("Network.dataReceived", add)
    session.send("Network.enable")
    return lengths


def wait_for(page: Page, is_there: Callable[[], bool]) -> None:
    """Let the browser go on until something is there."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not is_there():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


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
    visit.press("Edit origin")
    expect(visit.page.get_by_label("Default")).to_be_visible()
    assert [url for url in traffic.begun if "codemirror" in url or "sql_element" in url] == []
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
    groups = page.locator("#bar nav > div").evaluate_all(
        "groups => groups.map(one => one.innerText.split(/\\s+/))"
    )
    assert groups == [["Reports", "Runs", "Schedules"], ["Webhooks"], ["Settings"]]
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
    # The page has its colors before any script has run.
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

    page.get_by_label("Search names, folders, owners and SQL").fill("folder report")
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


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 740)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_reports_of_an_owner_are_chosen_and_sorted(
    busy_visit: Visit, width: int, height: int, scheme: Literal["light", "dark"]
) -> None:
    page = busy_visit.page
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)
    busy_visit.enter("app/reports")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(25)
    busy_visit.take_picture(f"owners-{width}-{scheme}")
    page.get_by_role("button", name="Owner").click()
    expect(page.get_by_role("columnheader", name="Owner")).to_have_attribute("aria-sort", "ascending")
    expect(rows.filter(has_text="person.0")).to_have_count(25)
    page.get_by_role("button", name="Owner").click()
    expect(rows.filter(has_text="person.7")).to_have_count(25)
    rows.first.get_by_role("link", name="person.7").click()
    expect(page.locator(".pager")).to_contain_text("37 reports")
    expect(page).to_have_url(re.compile(r"owner=person\.7%40example\.com"))
    assert find_violations(page) == []
    page.get_by_label("Search names, folders, owners and SQL").fill("person.6")
    expect(page.get_by_text("No matching report")).to_be_visible()
    busy_visit.press("All owners")
    expect(page.locator(".pager")).to_contain_text("37 reports")
    rows.first.locator("td.name a").click()
    expect(page.locator(".head .hint")).to_contain_text("owner person.6@example.com")
    page.go_back()
    expect(page.locator(".pager")).to_contain_text("37 reports")


def save_report_of(service: ServiceProcess, address: str) -> int:
    """Save a report of a new user."""
    user = {"email": address, "roles": [2]}
    made = service.client.post("/api/v1/user/?skip_welcome_email=true", json=user).raise_for_status().json()
    path = f"/api/v1/user/{made['id']}/access_token/"
    token = service.client.post(path, json={"name": "t"}).raise_for_status().json()["token"]
    answer = httpx.post(
        f"{service.client.base_url}/api/v1/report/",
        json={"name": "Namesakes", "type": "report"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=LIMIT_SECONDS,
    )
    return int(answer.raise_for_status().json()["id"])


def delete_report(service: ServiceProcess, report_id: int) -> None:
    service.client.delete(f"/api/v1/report/{report_id}").raise_for_status()


@pytest.fixture
def owners(busy_service: ServiceProcess) -> Iterator[Sequence[str]]:
    """Give owners of reports of one name, and delete these afterwards: other tests count all reports."""
    addresses = ("zed@a.example.com", "zed@b.example.com", "zoe@b.example.com")
    with ExitStack() as stack:
        for address in addresses:
            stack.callback(delete_report, busy_service, save_report_of(busy_service, address))
        yield addresses


def test_owners_of_one_name_are_told_apart(busy_visit: Visit, owners: Sequence[str]) -> None:
    page = busy_visit.enter("app/reports")
    page.get_by_label("Search names, folders, owners and SQL").fill("Namesakes")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3)
    for address, name in zip(owners, (*owners[:2], "zoe"), strict=True):
        expect(rows.get_by_role("link", name=address, exact=True)).to_have_text(name)
    assert find_violations(page) == []
    rows.get_by_role("link", name=owners[1], exact=True).click()
    expect(rows).to_have_count(1)


def test_folders_are_read_once_for_a_page(busy_visit: Visit) -> None:
    traffic = Traffic()
    page = busy_visit.enter("app/reports")
    tree = page.get_by_role("navigation", name="Folders")
    expect(tree.get_by_role("link")).to_have_count(11)
    traffic.watch(page)
    for name in ("Team 3", "Topic 10", "All reports", "Team 5"):
        tree.get_by_role("link", name=name).click()
        expect(tree.get_by_role("link", name=name)).to_have_attribute("aria-current", "true")
    page.get_by_role("button", name="Name").click()
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")
    assert len(traffic.begun) >= 5
    assert [url for url in traffic.begun if "folders" in url] == []
