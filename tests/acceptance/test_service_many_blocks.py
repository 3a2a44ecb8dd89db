"""A workspace with 300 reports, and a notebook and a run of 60 blocks in it, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from tests.acceptance.test_service_loading import wait_for
from tests.acceptance.test_service_notebook import SIZES, block, fits, make, section, sql, text
from tests.fakes.browser import Visit, find_violations
from tests.fakes.busy_workspace import fill_workspace
from tests.fakes.saved_reports import wait_for_run
from tests.fakes.service_process import ServiceProcess, run_ready_service

BLOCKS = 60
CHARTS = (3, 30)
TEXTS = (5, 20, 40)
QUERIES = BLOCKS - len(CHARTS) - len(TEXTS)
ROWS = 60
MOST_AT_A_TIME = 4
MOST_OTHERS = 20
"""The requests of a page beside those of results; one of the page itself, one of each of its files."""

NAME = "Many blocks"
CHART = {
    "query": "block_2",
    "spec": {"mark": "bar", "encoding": {"x": {"field": "n"}, "y": {"field": "n"}}},
}


def make_block(number: int) -> dict[str, Any]:
    name = f"block_{number}"
    if number in CHARTS:
        return {"type": "chart", "name": name, "content": CHART}
    if number in TEXTS:
        return text(name, f"**{{{{ block_{number - 1}.data | length }}}} rows**")
    before = f"block_{number // 2}"
    used = f" + 0 * (SELECT count(*) FROM ({{{{ {before} }}}}))" if number % 10 == 9 else ""
    return sql(
        name, f"SELECT range{used} AS n, 'row ' || range || ' of {number}' AS words FROM range({ROWS})"
    )


@pytest.fixture(scope="module", name="service")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    data_dir = tmp_path_factory.mktemp("many") / "data"
    fill_workspace(data_dir, reports=300, folders=30, runs=1)
    with run_ready_service(data_dir, "--demo") as service:
        yield service


@pytest.fixture(scope="module", name="uid")
def make_notebook(service: ServiceProcess) -> str:
    return make(service, NAME, *(make_block(number) for number in range(BLOCKS)))


@pytest.fixture(scope="module", name="run_id")
def run_notebook(service: ServiceProcess, uid: str) -> int:
    answer = service.client.post(f"/api/v1/report/{uid}/run/noteflow", json={}).raise_for_status()
    run_id = int(answer.json()["result"]["run_id"])
    wait_for_run(service, run_id)
    assert service.client.get(f"/api/v1/noteflow_run/{run_id}").json()["result"]["status"] == "success"
    return run_id


def is_result(url: str) -> bool:
    return urlsplit(url).path.endswith(("/rows", "/chart.json"))


class Requests:
    """The requests of a page, without its icon, which the browser may still read for the page before it."""

    def __init__(self, page: Page) -> None:
        self.others: list[str] = []
        self.results: list[str] = []
        self.ended: list[str] = []
        page.on("request", self._begin)
        page.on("requestfinished", lambda request: self.ended.append(request.url))
        page.on("requestfailed", lambda request: self.ended.append(request.url))

    def _begin(self, request: Request) -> None:
        if urlsplit(request.url).path.endswith("/icon.svg"):
            return
        (self.results if is_result(request.url) else self.others).append(request.url)

    def list_repeated(self) -> list[str]:
        """List what was read more than once."""
        mine = [*self.results, *self.others]
        return sorted(url for url in set(mine) if mine.count(url) > 1)


class HeldResults:
    """Results that are not answered until the test lets them."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.held: list[Route] = []
        self._is_over = False
        page.route(is_result, self._hold)

    def _hold(self, route: Route) -> None:
        if self._is_over:
            route.continue_()
        else:
            self.held.append(route)

    def wait_for(self, number: int) -> list[str]:
        """Wait until some are held, and a while for more; give their URLs."""
        wait_for(self._page, lambda: len(self.held) >= number)
        draw(self._page)
        return [route.request.url for route in self.held]

    def let_go(self) -> None:
        """Let those be answered that are held now."""
        held, self.held[:] = list(self.held), []
        for route in held:
            route.continue_()

    def end(self) -> None:
        """Let all be answered from now on."""
        self._is_over = True
        self.let_go()


def draw(page: Page) -> None:
    """Wait until the page has been drawn twice: it knows by then what is near."""
    page.evaluate("new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))")


def find_top(place: Locator) -> float:
    box = place.bounding_box()
    assert box
    return box["y"]


def read_uids(service: ServiceProcess, uid: str) -> dict[str, str]:
    blocks = service.client.get(f"/api/v1/report/{uid}").json()["result"]["blocks"]
    return {one["uid"]: one["name"] for one in blocks}


def find_name(url: str, uids: dict[str, str]) -> str:
    """Find the name of the block of a result."""
    return uids[urlsplit(url).path.split("/")[-2]]


def wait_for_all(page: Page) -> None:
    """Wait until every result is there."""
    expect(page.locator("ol.blocks tbody")).to_have_count(QUERIES)
    expect(page.locator("ol.blocks .prose")).to_have_count(len(TEXTS))
    expect(page.locator("ol.blocks").get_by_role("img", name="Chart")).to_have_count(len(CHARTS))
    expect(page.locator("ol.blocks").locator(".unread, .undrawn")).to_have_count(0)


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_run_of_sixty_blocks_reads_what_is_seen_first_and_then_the_rest(
    service: ServiceProcess, visit: Visit, uid: str, run_id: int, size: str, scheme: Any
) -> None:
    page = visit.page
    page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)
    visit.enter("app/reports")
    expect(page.locator("tbody tr")).to_have_count(25)
    uids = read_uids(service, uid)
    requests, results = Requests(page), HeldResults(page)
    visit.open(f"app/reports/{uid}/runs/{run_id}")
    expect(page.locator("ol.blocks > li")).to_have_count(BLOCKS)
    expect(page.locator(".timeline li")).to_have_count(BLOCKS)
    begun = [find_name(url, uids) for url in results.wait_for(MOST_AT_A_TIME)]
    assert sorted(begun) == [f"block_{number}" for number in range(MOST_AT_A_TIME)]

    # Those beside the block that one goes to are the next.
    last = block(page, "block_59")
    page.locator(".timeline").get_by_role("link", name="block_59", exact=True).click()
    expect(last).to_be_focused()
    draw(page)
    results.let_go()
    begun = [find_name(url, uids) for url in results.wait_for(MOST_AT_A_TIME)]
    assert ("block_59" in begun, len(begun)) == (True, MOST_AT_A_TIME), begun

    # What comes above does not move what one reads.
    top = find_top(last)
    results.end()
    wait_for_all(page)
    draw(page)
    assert find_top(last) == pytest.approx(top, abs=2)
    expect(last).to_be_focused()
    expect(last.locator("tbody")).to_contain_text("row 0 of 59")
    assert requests.list_repeated() == []
    assert len(requests.results) == QUERIES + len(CHARTS)
    assert len(requests.others) <= MOST_OTHERS, requests.others
    assert fits(page)
    assert find_violations(page) == []
    visit.take_picture(f"run-sixty-{size}-{scheme}")


def test_results_of_a_run_that_one_has_left_are_not_read(visit: Visit, uid: str, run_id: int) -> None:
    page = visit.enter("app/reports")
    requests, results = Requests(page), HeldResults(page)
    visit.open(f"app/reports/{uid}/runs/{run_id}")
    results.wait_for(MOST_AT_A_TIME)
    visit.follow("Runs")
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    results.end()
    wait_for(page, lambda: set(requests.results) <= set(requests.ended))
    draw(page)
    assert len(requests.results) == MOST_AT_A_TIME


def test_what_cannot_be_read_or_drawn_keeps_no_others_from_being_read(
    visit: Visit, uid: str, run_id: int
) -> None:
    visit.expected = ["status of 502"]
    page = visit.enter("app/reports")
    page.route("**/rows?*", lambda route: route.fulfill(status=502), times=6)
    held: list[Route] = []
    page.route(re.compile(r"/vega\b.*\.js"), lambda route: held.append(route))
    visit.open(f"app/reports/{uid}/runs/{run_id}")
    again = page.get_by_role("button", name="Try again")
    expect(again).to_have_count(6)
    expect(page.locator("ol.blocks tbody")).to_have_count(QUERIES - 6)
    expect(page.locator("ol.blocks .unread")).to_have_count(0)
    wait_for(page, lambda: len(held) == 1)
    expect(page.locator("ol.blocks .chart svg")).to_have_count(0)
    held[0].continue_()
    expect(page.locator("ol.blocks .chart svg")).to_have_count(len(CHARTS))
    again.first.click()
    expect(again).to_have_count(5)


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_notebook_of_sixty_blocks_is_usable_at_once(
    visit: Visit, uid: str, run_id: int, size: str, scheme: Any
) -> None:
    page = visit.page
    page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)
    visit.enter("app/reports")
    page.get_by_label("Search names, folders, owners and SQL").fill(NAME)
    expect(page.locator("tbody tr")).to_have_count(1)
    requests = Requests(page)
    page.goto(str(page.get_by_role("link", name=NAME, exact=True).get_attribute("href")))
    first = block(page, "block_0")
    expect(first).to_be_visible()
    first.scroll_into_view_if_needed()
    expect(first.locator("tbody")).to_contain_text("row 0 of 0")
    outline = page.locator("ol.outline > li > a")
    expect(outline).to_have_count(BLOCKS)
    assert len(requests.results) <= MOST_AT_A_TIME * 2, requests.results
    assert requests.list_repeated() == []
    assert len(requests.others) <= MOST_OTHERS, requests.others

    # What is read above and below the block that one goes to does not move it.
    target = block(page, "block_41")
    section(page, "Outline")
    outline.filter(has_text="block_41").first.click()
    expect(target).to_be_focused()
    draw(page)
    top = find_top(target)
    for number in (39, 41, 42):
        expect(block(page, f"block_{number}").locator("tbody")).to_contain_text(f"row 0 of {number}")
    draw(page)
    assert find_top(target) == pytest.approx(top, abs=2)
    expect(target).to_be_focused()
    assert requests.list_repeated() == []
    assert len(requests.results) < QUERIES / 2
    assert fits(page)
    assert find_violations(page) == []
    visit.take_picture(f"notebook-sixty-{size}-{scheme}")
