"""Reads of results that hang: those of a page that was left, or of a replaced result, hold up no others."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.acceptance.test_service_loading import wait_for
from tests.acceptance.test_service_notebook import SIZES, block
from tests.fakes.browser import Visit, find_violations
from tests.fakes.saved_reports import query, save_report, start_run, wait_for_run
from tests.fakes.service_process import ServiceProcess

MOST_AT_A_TIME = 4
"""The reads that a page does at a time."""

BARS: dict[str, Any] = {
    "query": "q0",
    "spec": {"mark": "bar", "encoding": {"x": {"field": "n"}, "y": {"field": "n"}}},
}


def run_queries(service: ServiceProcess, name: str, *more: tuple[str, str, dict[str, Any]]) -> int:
    """Save a report of six queries, run it, and give the id of the run."""
    queries = (query(f"q{place}", f"SELECT {place} + 1000 AS n") for place in range(6))
    run = start_run(service, save_report(service, name, *queries, *more))
    wait_for_run(service, run)
    return run


class HangingReads:
    """The results of one run, which are never answered."""

    def __init__(self, page: Page, run: int) -> None:
        self.begun: list[str] = []
        self.aborted: list[str] = []
        self._page = page
        self._part = f"/app/results/run/{run}/"
        page.route(f"**{self._part}**", self._hold)
        page.on("requestfailed", self._note)

    def _hold(self, route: Route) -> None:
        self.begun.append(route.request.url)

    def _note(self, request: Request) -> None:
        if self._part in request.url:
            self.aborted.append(request.url)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        wait_for(self._page, condition)


@pytest.mark.parametrize("size", SIZES)
def test_reads_that_hang_end_with_their_page_and_the_next_one_shows_its_results(
    service: ServiceProcess, visit: Visit, size: str
) -> None:
    visit.page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
    first, second = (run_queries(service, f"Hanging {number} {size}") for number in range(2))
    page = visit.enter("app/runs")
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    reads = HangingReads(page, first)
    page.evaluate("window.isSame = true")
    visit.follow(f"Run {first}")
    reads.wait_until(lambda: len(reads.begun) == MOST_AT_A_TIME)
    expect(page.get_by_text("Reading rows…")).to_have_count(6)
    page.go_back()
    reads.wait_until(lambda: len(reads.aborted) == MOST_AT_A_TIME)
    visit.follow(f"Run {second}")
    expect(page.locator("ol.blocks tbody")).to_have_count(6)
    for place in range(6):
        expect(block(page, f"q{place}").locator("tbody")).to_contain_text(str(1000 + place))
    assert (len(reads.begun), sorted(reads.aborted)) == (MOST_AT_A_TIME, sorted(reads.begun))
    assert page.evaluate("window.isSame")
    expect(page.locator("#notices")).to_have_text("")


def test_reads_that_hang_end_when_a_newer_result_takes_the_place(
    service: ServiceProcess, visit: Visit
) -> None:
    report = save_report(
        service, "Replaced", *(query(f"q{place}", f"SELECT {place} + 1000 AS n") for place in range(6))
    )
    first = start_run(service, report)
    wait_for_run(service, first)
    page = visit.page
    page.set_viewport_size({"width": 1280, "height": 2400})
    reads = HangingReads(page, first)
    visit.enter(f"app/reports/{report}")
    reads.wait_until(lambda: len(reads.begun) == MOST_AT_A_TIME)
    second = start_run(service, report)
    for place in range(6):
        expect(block(page, f"q{place}").locator("tbody")).to_contain_text(str(1000 + place))
        expect(block(page, f"q{place}").locator(".result-head")).to_contain_text(f"Run {second}")
    assert sorted(set(reads.aborted)) == sorted(set(reads.begun))
    expect(page.locator(".unread")).to_have_count(0)


def test_charts_that_are_refused_after_the_session_ended_hold_up_nothing_and_follow_a_sign_in(
    service: ServiceProcess, visit: Visit
) -> None:
    visit.expected = ["status of 401"]
    charts = [("chart", f"bars{place}", BARS) for place in range(MOST_AT_A_TIME)]
    run = run_queries(service, "Refused charts", *charts)
    page = visit.enter("app/runs")
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    page.route("**/chart.json", lambda route: route.fulfill(status=401, body="{}"))
    visit.follow(f"Run {run}")
    again = page.get_by_role("button", name="Try again")
    expect(again).to_have_count(MOST_AT_A_TIME)
    expect(page.locator("ol.blocks tbody")).to_have_count(6)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(block(page, "bars0").locator(".fault")).to_have_text("You are signed out.")
    assert find_violations(page) == []
    visit.take_picture("charts-signed-out")
    page.unroute_all()
    page.context.clear_cookies()
    again.first.press("Enter")
    visit.sign_in()
    expect(page.locator("ol.blocks").get_by_role("img", name=re.compile("^Chart"))).to_have_count(
        MOST_AT_A_TIME
    )
    expect(page.locator("ol.blocks .chart svg.marks")).to_have_count(MOST_AT_A_TIME)
    expect(again).to_have_count(0)
    assert find_violations(page) == []
