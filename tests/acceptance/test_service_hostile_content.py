"""The pages of a workspace whose names and values are markup, turn text around, or are very long or many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Response, expect

from tests.fakes.browser import Visit, visit_service
from tests.fakes.busy_workspace import fill_workspace
from tests.fakes.hostile_workspace import ROWS, HostilePages, fill_hostile, name_hostile
from tests.fakes.service_process import ServiceProcess, run_ready_service
from tests.fakes.service_subscriber import listen

SIZES = [(1280, 800), (360, 740)]
REPORTS = 300
SCROLLED = 6

FIND_FAULTS = r"""() => {
    const faults = [];
    const root = document.querySelector('dialog[open]') ?? document.body;
    const say = (what, element) => faults.push(`${what}: ${element.outerHTML.slice(0, 200)}`);
    const isSeen = (one) =>
        one.checkVisibility({visibilityProperty: true}) && !one.closest('.unseen, .skip, svg');
    const listAround = (one) => {
        const found = [];
        for (let place = one.parentElement; place && place !== document.body; place = place.parentElement)
            found.push(place);
        return found;
    };
    const holdsBack = (one) => getComputedStyle(one).overflowX !== 'visible';

    // Nothing is beyond the edge of the page, but in what scrolls by itself.
    const width = document.documentElement.scrollWidth;
    if (width > innerWidth) faults.push(`the page is ${width} px wide`);
    for (const one of root.querySelectorAll('*')) {
        if (!isSeen(one) || listAround(one).some(holdsBack)) continue;
        const box = one.getBoundingClientRect();
        if (box.right > innerWidth + 1 || box.left < -1) say('beyond the edge', one);
    }

    // A press on a button meets the button.
    for (const one of root.querySelectorAll('button, summary, select, input, nav a, .actions a')) {
        if (!isSeen(one)) continue;
        one.scrollIntoView({block: 'center', inline: 'center'});
        const [box] = one.getClientRects();  // a link may go on in the next line
        const y = (box.top + box.bottom) / 2;
        for (const x of [box.left + 4, (box.left + box.right) / 2, box.right - 4]) {
            const hit = document.elementFromPoint(x, y);
            if (hit && (one.contains(hit) || hit.contains(one) && hit.tagName === 'LABEL')) continue;
            say(`covered by ${hit?.outerHTML.slice(0, 100)}`, one);
            break;
        }
    }

    const range = document.createRange();
    const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const node = texts.currentNode;
        const parent = node.parentElement;
        if (!node.data.trim() || !isSeen(parent)) continue;

        // What is cut off is there as a whole when one points at it.
        range.selectNodeContents(node);
        const boxes = [...range.getClientRects()];
        const isCut = [parent, ...listAround(parent)].some((place) => {
            if (!['hidden', 'clip'].includes(getComputedStyle(place).overflowX)) return false;
            const outer = place.getBoundingClientRect();
            return boxes.some((box) =>
                box.right > outer.right + 1 || box.left < outer.left - 1 || box.bottom > outer.bottom + 4);
        });
        if (isCut) {
            parent.dispatchEvent(new PointerEvent('pointerover', {bubbles: true}));
            const title = parent.closest('[title]')?.title ?? '';
            if (!title.includes(node.data.trim())) say(`cut off, and the tooltip is ${title}`, parent);
        }

        // What stands before and behind a name is read from the left, as without it.
        if (parent.closest('pre:not(.code)')) continue;
        let start = 0;
        for (const part of node.data.split(/(\w+ <script>[^]*?x{20}x*)/)) {
            const found = /[A-Za-z]{2}/.exec(part);
            if (found && !/<script>|\u202e/.test(part)) {
                const [first, second] = [0, 1].map((step) => {
                    range.setStart(node, start + found.index + step);
                    range.setEnd(node, start + found.index + step + 1);
                    return range.getBoundingClientRect();
                });
                if (first.top === second.top && first.left >= second.left) say('turned around', parent);
            }
            start += part.length;
        }
    }
    return [...new Set(faults)];
}"""


class Place(NamedTuple):
    """A page, and a text that it shows when it is whole."""

    path: str
    text: str


@pytest.fixture(scope="module", name="hostile_service")
def start_hostile_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    data_dir = tmp_path_factory.mktemp("hostile") / "data"
    fill_workspace(data_dir, reports=REPORTS, folders=30, runs=3)
    with run_ready_service(data_dir, "--demo") as service:
        yield service


@pytest.fixture(scope="module", name="pages")
def make_pages(hostile_service: ServiceProcess) -> Iterator[HostilePages]:
    with listen() as subscriber:
        yield fill_hostile(hostile_service, subscriber)


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def visit(
    hostile_service: ServiceProcess, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Visit]:
    width, height = request.param
    with visit_service(browser, hostile_service) as visit:
        visit.page.set_viewport_size({"width": width, "height": height})
        yield visit


def list_places(pages: HostilePages) -> dict[str, Place]:
    return {
        "reports": Place("app/reports", "303 reports"),
        "folders": Place("app/reports?search=script", "notebook <script>"),
        "report": Place(pages.report, f"Rows 1 to 50 of {ROWS:,}"),
        "report-runs": Place(f"{pages.report}/runs", "1 run"),
        "yaml": Place(f"{pages.report}/yaml", "notebook <script>"),
        "run": Place(pages.run, "100,000 rows"),
        "sixty-blocks": Place(pages.many, "block_59"),
        "runs": Place("app/runs", "runs, page 1"),
        "schedules": Place("app/schedules", "schedule <script>"),
        "webhooks": Place("app/webhooks", "webhook <script>"),
        "webhook": Place(pages.webhook, "answered 202"),
        "deliveries": Place("app/webhooks/deliveries", "webhook <script>"),
        "delivery": Place(pages.delivery, "webhook.test"),
        "databases": Place("app/settings/databases", "database <script>"),
        "messages": Place("app/settings/messages", "subject <script>"),
        "tokens": Place("app/settings/tokens", "token <script>"),
        "users": Place("app/settings/users", "person <script>"),
        "workspace": Place("app/settings/workspace", "workspace <script>"),
    }


def test_no_page_is_broken_by_names_and_values(visit: Visit, pages: HostilePages) -> None:
    page = visit.enter("app/reports")
    assert page.viewport_size
    found = {}
    for name, place in list_places(pages).items():
        visit.open(place.path)
        expect(page.locator("main h1").first).to_be_visible()
        for block in page.locator("main .block").all()[:SCROLLED]:  # results are read when they are near
            block.scroll_into_view_if_needed()
        expect(page.locator("main")).to_contain_text(place.text)
        found[name] = page.evaluate(FIND_FAULTS)
        page.evaluate("scrollTo(0, 0)")
        visit.take_picture(f"hostile-{name}-{page.viewport_size['width']}")
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert page.evaluate("window.hacked") is None


def test_question_about_a_hostile_name_is_read_from_the_left(visit: Visit, pages: HostilePages) -> None:
    page = visit.enter(pages.report)
    opener = page.get_by_role("button", name="More actions for the notebook")
    opener.click()
    page.get_by_role("menuitem", name="Delete the notebook").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("is deleted with its blocks")
    assert page.evaluate(FIND_FAULTS) == []
    assert page.viewport_size
    visit.take_picture(f"hostile-question-{page.viewport_size['width']}")
    visit.press("Keep")


def test_cut_name_is_said_in_whole_to_who_points_at_it(visit: Visit, pages: HostilePages) -> None:
    page = visit.enter("app/reports?search=script")
    link = page.locator("td.name a").first
    link.hover(position={"x": 9, "y": 9})  # its middle is cut off
    expect(link).to_have_attribute("title", name_hostile("notebook"))


def test_what_is_not_cut_has_the_tooltip_of_what_it_is_in(visit: Visit, pages: HostilePages) -> None:
    page = visit.enter("app/reports")
    bar = page.locator(".tick").first
    bar.hover()
    assert bar.get_attribute("title") is None, "an empty title hides the other one"
    assert bar.evaluate("bar => bar.closest('[title]').title")


def test_page_of_a_hundred_thousand_rows_reads_fifty_at_a_time(visit: Visit, pages: HostilePages) -> None:
    answers: list[Response] = []
    page = visit.enter("app/reports")
    page.on("response", lambda one: answers.append(one) if "/rows" in one.url else None)
    visit.open(pages.run)
    block = page.get_by_label("Block wide")
    rows = block.locator("tbody tr")
    expect(block).to_contain_text(f"Rows 1 to 50 of {ROWS:,}")
    expect(rows).to_have_count(50)
    expect(block).to_contain_text("It has too many rows to be sorted and searched here")
    block.get_by_role("button", name="Next").click()
    expect(block).to_contain_text(f"Rows 51 to 100 of {ROWS:,}")
    expect(rows.first.locator("td").first).to_have_text("50")
    expect(rows).to_have_count(50)
    sizes = [len(answer.body()) for answer in answers]
    assert (len(sizes), max(sizes) < 250_000) == (2, True), sizes
