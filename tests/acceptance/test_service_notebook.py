"""The page of a notebook and of a report, in a real browser: written, run, triggered and read on one page."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from tests.fakes.browser import Visit, find_violations
from tests.fakes.service_process import ServiceProcess, run_ready_service
from tests.fakes.waiting import LIMIT_SECONDS

SIZES = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 360, "height": 740}}
ENDLESS = "SELECT sum(hash(a.range + b.range)) AS n FROM range(1200000000) a, range(20000) b"
READ_CLIPBOARD = """async () => {
  for (;;) {
    const text = await navigator.clipboard.readText();
    if (text) return text;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}"""
CHART = {"mark": "bar", "encoding": {"x": {"field": "n", "type": "ordinal"}, "y": {"field": "n"}}}


@pytest.fixture(scope="module", name="service")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with run_ready_service(tmp_path_factory.mktemp("notebook") / "data", "--demo") as service:
        yield service


def make(service: ServiceProcess, name: str, *blocks: dict[str, Any], kind: str = "notebook") -> str:
    body = {"name": name, "type": kind, "blocks": blocks}
    made = service.client.post("/api/v1/report/", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["result"]["uid"])


def sql(name: str, text: str) -> dict[str, Any]:
    return {"type": "sql", "name": name, "content": {"database_id": 1, "sql": text}}


def text(name: str, words: str) -> dict[str, Any]:
    return {"type": "text", "name": name, "content": {"text": words}}


TOP = {"type": "parameter", "name": "top", "content": {"type": "integer", "default": 5}}
NUMBERS = sql("numbers", "SELECT range AS n FROM range(CAST({{ top }} AS INTEGER))")


def block(page: Page, name: str) -> Locator:
    return page.get_by_label(f"Block {name}", exact=True)


def section(page: Page, title: str) -> Locator:
    """A section of the page's sides, open."""
    found = page.locator("details.side").filter(has=page.get_by_role("heading", name=title, exact=True))
    if found.get_attribute("open") is None:
        found.locator("summary").first.press("Enter")
    return found


def choose(page: Page, menu: str, item: str) -> None:
    """Choose an item of a menu, by the keyboard."""
    page.get_by_role("button", name=menu, exact=True).press("Enter")
    page.get_by_role("menuitem", name=item).press("Enter")


def open_at(visit: Visit, uid: str, size: str = "wide", scheme: Any = "light") -> Page:
    visit.page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
    visit.page.emulate_media(color_scheme=scheme)
    return visit.enter(f"app/reports/{uid}")


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def call(command: str) -> str:
    """Run a command line as a shell would."""
    words = shlex.split(command.replace("\\\n", " "))
    assert words[0] == "curl"
    done = subprocess.run(
        [*words, "--silent", "--show-error"], capture_output=True, text=True, timeout=LIMIT_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def copy(place: Locator, name: str) -> str:
    """Press a button that copies, and read the clipboard."""
    page = place.page
    page.evaluate("navigator.clipboard.writeText('')")
    place.get_by_role("button", name=name).press("Enter")
    copied: str = page.evaluate(READ_CLIPBOARD)
    return copied


@pytest.mark.slow
@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_whole_life_of_a_notebook(service: ServiceProcess, visit: Visit, size: str, scheme: Any) -> None:
    visit.expected = ["status of 401", "status of 403"]
    uid = make(service, f"Life {size}")
    page = open_at(visit, uid, size, scheme)
    expect(page.get_by_text("This notebook has no blocks yet")).to_be_visible()
    visit.add_block("Parameter", "top", {"Type": "integer", "Default": "5"})
    visit.add_block(
        "SQL",
        "numbers",
        {"Database": "flights", "SQL": "SELECT range AS n FROM range(CAST({{ top }} AS INTEGER))"},
    )
    visit.add_block(
        "SQL", "sums", {"Database": "flights", "SQL": "SELECT sum(n) AS total FROM ({{ numbers }})"}
    )
    body = {"report_id": uid, "type": "chart", "name": "bars", "content": {"query": "numbers", "spec": CHART}}
    assert service.client.post("/api/v1/block/", json=body).status_code == 201
    visit.add_block("Text", "words", {"Text": "**{{ numbers.data | length }} numbers**"})
    visit.add_block(
        "Email", "mail", {"To": "ann@example.com", "Subject": "Sums", "Message": "{{ sums.data }}"}
    )
    expect(page.locator("ol.blocks > li")).to_have_count(6)

    # run with the values of the sidebar, and read the results under the blocks
    section(page, "Parameters").get_by_label("top").fill("7")
    page.locator("main .head").get_by_role("button", name="Run", exact=True).press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Run", exact=True).press("Enter")
    expect(block(page, "numbers")).to_contain_text("7 rows")
    block(page, "sums").scroll_into_view_if_needed()
    expect(block(page, "sums").locator("tbody")).to_contain_text("21")
    block(page, "words").scroll_into_view_if_needed()
    expect(block(page, "words").locator(".prose strong")).to_have_text("7 numbers")
    block(page, "bars").scroll_into_view_if_needed()
    expect(block(page, "bars").get_by_role("img", name="Chart bars")).to_be_visible()
    expect(block(page, "mail")).to_contain_text("ann@example.com: kept")
    expect(page.locator(".stale")).to_have_count(0)
    assert page.url.endswith(f"/app/reports/{uid}")
    assert fits(page)
    assert find_violations(page) == []
    visit.take_picture(f"notebook-{size}-{scheme}")

    # the trigger, from the clipboard, by GET and by POST
    triggers = section(page, "Triggers")
    triggers.get_by_role("button", name="Generate a trigger").press("Enter")
    visit.wait_for_notice("The trigger is ready")
    triggers.get_by_text("Call it with curl").press("Enter")
    commands = {method: copy(triggers, f"Copy the call by {method}") for method in ("GET", "POST")}
    assert "token=" not in page.content()
    assert "top=7" in commands["GET"]
    assert '{"top":"7"}' in commands["POST"]
    url = copy(triggers, "Copy URL")
    runs = section(page, "Runs")
    before = runs.locator("li").count()
    for place, command in enumerate(commands.values(), 1):
        assert '"success":true' in call(command)
        expect(runs.locator("li")).to_have_count(before + place)
        expect(triggers.locator(".recent li")).to_have_count(place)
    expect(runs.locator("li").first).to_contain_text("success")
    expect(block(page, "numbers").locator(".result-head a")).to_have_text(f"Run {find_newest(service, uid)}")

    # whom it notifies, refresh, disable
    triggers.get_by_role("button", name="Edit the webhook").press("Enter")
    expect(triggers.get_by_role("heading", name="Notifications")).to_be_visible()
    triggers.get_by_label("Mail to").fill("team@example.com")
    triggers.get_by_role("button", name="Save recipients").press("Enter")
    visit.wait_for_notice("Saved")
    assert find_violations(page) == []
    triggers.get_by_role("button", name="Refresh token").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Refresh", exact=True).press("Enter")
    visit.wait_for_notice("The trigger has a new URL")
    assert "token is not valid" in call(f"curl '{url}'")
    fresh = copy(triggers, "Copy URL")
    assert '"success":true' in call(f"curl '{fresh}'")
    triggers.get_by_role("button", name="Disable").press("Enter")
    expect(triggers.get_by_role("button", name="Enable")).to_be_focused()
    assert "disabled" in call(f"curl -X POST '{fresh}'")
    assert fits(page)
    assert find_violations(page) == []
    visit.take_picture(f"notebook-trigger-{size}-{scheme}")


def find_newest(service: ServiceProcess, uid: str) -> int:
    rows = service.client.get("/api/v1/noteflow_run/", params={"report_uid": uid}).json()["result"]
    return max(int(row["id"]) for row in rows)


def test_keys_run_a_block_as_it_is_typed_without_saving_it(service: ServiceProcess, visit: Visit) -> None:
    uid = make(
        service, "Keys", sql("first", "SELECT 'saved' AS a"), text("second", "two"), text("third", "x")
    )
    page = open_at(visit, uid)
    page.get_by_role("button", name="Run first").press("Enter")
    first = block(page, "first")
    expect(first.locator("tbody")).to_contain_text("saved")
    page.get_by_role("button", name="Edit first").press("Enter")
    editor = page.get_by_role("textbox", name="SQL editor")
    expect(editor).to_be_visible()
    typed = first.locator("textarea[name=sql]")
    typed.fill("SELECT 'typed' AS a")
    expect(first.locator(".stale")).to_contain_text("this block was changed since")
    editor.press("Control+Enter")
    expect(first.locator("tbody")).to_contain_text("typed")
    expect(first.locator(".stale")).to_have_count(0)
    expect(editor).to_be_focused()
    expect(editor).to_have_text("SELECT 'typed' AS a")
    blocks = service.client.get(f"/api/v1/report/{uid}").json()["result"]["blocks"]
    assert "saved" in service.client.get(f"/api/v1/block/{blocks[0]['uid']}").json()["result"]["content_json"]

    editor.press("Shift+Enter")
    expect(page.get_by_role("button", name="Edit second")).to_be_focused()
    expect(editor).to_have_text("SELECT 'typed' AS a")
    page.keyboard.press("Shift+Enter")
    expect(block(page, "second").locator(".result-output")).to_contain_text("two")
    expect(page.get_by_role("button", name="Edit third")).to_be_focused()
    typed.fill("SELECT no_such_column")
    editor.press("Control+Enter")
    expect(first.locator(".result pre.fault")).to_contain_text("no_such_column")


def test_late_run_of_a_block_does_not_replace_the_rows_of_a_newer_one(
    service: ServiceProcess, visit: Visit
) -> None:
    uid = make(service, "Late", sql("slow", ENDLESS))
    page = open_at(visit, uid)
    slow = block(page, "slow")
    page.get_by_role("button", name="Run slow").press("Enter")
    expect(slow.get_by_role("button", name="Cancel")).to_be_visible()
    page.get_by_role("button", name="Edit slow").press("Enter")
    editor = page.get_by_role("textbox", name="SQL editor")
    expect(editor).to_be_visible()
    slow.locator("textarea[name=sql]").fill("SELECT 'new' AS a")
    editor.press("Control+Enter")
    expect(slow.locator("tbody")).to_contain_text("new")
    # the old one ends after the new one
    slow.locator(".result-running").get_by_role("button", name="Cancel").press("Enter")
    expect(slow.locator(".result-running button")).to_have_count(0)
    expect(slow.locator("tbody")).to_contain_text("new")
    expect(slow.locator(".stale")).to_have_count(0)


def test_results_are_stale_when_a_block_that_they_use_or_a_value_was_changed(
    service: ServiceProcess, visit: Visit
) -> None:
    uid = make(service, "Stale", TOP, NUMBERS, text("words", "{{ numbers.data | length }} rows"))
    page = open_at(visit, uid)
    page.locator("main .head").get_by_role("button", name="Run", exact=True).press("Enter")
    words = block(page, "words")
    expect(words.locator(".result-output")).to_contain_text("5 rows")
    parameters = section(page, "Parameters")
    parameters.get_by_label("top").fill("9")
    expect(words.locator(".stale")).to_contain_text("it ran with top 5")
    expect(page.get_by_role("navigation", name="Outline")).to_contain_text("stale")
    parameters.get_by_role("button", name="Use the defaults").press("Enter")
    expect(page.locator(".stale")).to_have_count(0)
    blocks = service.client.get(f"/api/v1/report/{uid}").json()["result"]["blocks"]
    change = {"content": {"database_id": 1, "sql": "SELECT 1 AS n LIMIT {{ top }}"}}
    assert service.client.put(f"/api/v1/block/{blocks[1]['uid']}", json=change).status_code == 200
    page.get_by_role("button", name="Move words up").press("Enter")
    expect(words.locator(".stale")).to_contain_text("numbers was changed since")

    choose(page, "More actions for top", "Run from here")
    expect(words.locator(".result-output")).to_contain_text("1 rows")
    expect(page.locator(".stale")).to_have_count(0)
    parameters.get_by_label("top").fill("many")
    page.get_by_role("button", name="Run words").press("Enter")
    visit.wait_for_notice("top must be a whole number")
    expect(parameters.get_by_label("top")).to_be_focused()


def test_circles_and_unknown_names_are_marked_while_they_are_written(
    service: ServiceProcess, visit: Visit
) -> None:
    uid = make(service, "Graph", text("words", "two"), sql("base", "SELECT {{ words }} AS n"))
    page = open_at(visit, uid)
    outline = page.get_by_role("navigation", name="Outline")
    expect(outline.get_by_role("listitem").nth(1)).to_contain_text("uses words")
    page.get_by_role("button", name="Edit words").press("Enter")
    editor = block(page, "words").get_by_label("Text", exact=True)
    editor.fill("{{ base.data }} and {{ nowhere }}")
    expect(outline).to_contain_text("Circular references:")
    expect(block(page, "words")).to_contain_text("Unknown names: nowhere.")
    expect(editor).to_be_focused()
    assert find_violations(page) == []
    editor.fill("two")
    expect(outline).not_to_contain_text("Circular references:")
    expect(block(page, "words")).not_to_contain_text("Unknown names")
    outline.get_by_role("link", name="base").first.press("Enter")
    expect(block(page, "base")).to_be_focused()


def test_text_typed_while_the_page_is_drawn_again_stays(service: ServiceProcess, visit: Visit) -> None:
    uid = make(service, "Redrawn", kind="report")
    report_id = service.client.get(f"/api/v1/report/{uid}").json()["result"]["id"]
    made = service.client.post("/api/v1/webhook/", json={"report_id": report_id, "active": True})
    assert made.status_code == 201, made.text
    page = open_at(visit, uid)
    mail_to = page.get_by_label("Mail to")
    mail_to.fill("first@example.com")
    held: list[Any] = []
    released: list[bool] = []

    def hold(route: Route) -> None:
        if released:
            route.continue_()
        else:
            held.append(route)

    page.route("**/api/v1/schedule/**", hold)
    page.get_by_role("button", name="Edit", exact=True).press("Enter")
    visit.fill("Description", "new")
    visit.press("Save")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.wait_for_function("document.querySelector('main').hasAttribute('aria-busy')")
    while not held:
        page.wait_for_timeout(50)
    mail_to.fill("second@example.com")
    released.append(True)
    for route in held:
        route.continue_()
    visit.wait_for_notice("The report is saved")
    expect(mail_to).to_have_value("second@example.com")


def test_report_has_its_trigger_in_its_schedule_section(service: ServiceProcess, visit: Visit) -> None:
    uid = make(service, "Scheduled", text("words", "x"), kind="report")
    page = open_at(visit, f"{uid}/triggers")
    schedule = page.get_by_role("region", name="Schedule", exact=True)
    expect(schedule.get_by_role("heading", name="Webhook trigger")).to_be_visible()
    expect(schedule.get_by_role("heading", name="Schedule")).to_be_focused()
    visit.press("Generate a trigger")
    expect(schedule.get_by_label("Mail to")).to_be_visible()
    visit.press("New schedule")
    visit.fill("Name", "every morning")
    page.get_by_role("dialog").get_by_label("First time").fill("2099-01-01T06:30")
    visit.press("Save")
    expect(schedule.get_by_role("row").nth(1)).to_contain_text("every morning")
    choose(page, "Actions for every morning", "Pause")
    expect(schedule.get_by_role("row").nth(1)).to_contain_text("paused")
    expect(page.get_by_role("button", name="Actions for every morning")).to_be_focused()
    assert find_violations(page) == []
    visit.take_picture("report-schedule")
    page.set_viewport_size({"width": 360, "height": 740})
    assert fits(page)
    assert find_violations(page) == []


def test_menu_is_used_by_the_keyboard_and_delete_is_not_beside_run(
    service: ServiceProcess, visit: Visit
) -> None:
    uid = make(service, "Menu", text("words", "x"))
    page = open_at(visit, uid)
    opener = page.get_by_role("button", name="More actions for words")
    opener.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Run from here")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Delete words")).to_be_focused()
    assert find_violations(page) == []
    visit.take_picture("block-menu")
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    expect(page.get_by_role("menuitem")).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("^Delete"))).to_have_count(0)
    choose(page, "More actions for the notebook", "Delete the notebook")
    visit.press("Delete")
    visit.wait_for_notice("The notebook is deleted")


def find_box(place: Locator) -> tuple[float, float]:
    """Find the right and the bottom edge of an element in the window."""
    box = place.bounding_box()
    assert box
    return box["x"] + box["width"], box["y"] + box["height"]


@pytest.mark.parametrize("size", SIZES)
def test_open_menu_follows_its_button_and_closes_when_that_is_out_of_sight(
    service: ServiceProcess, visit: Visit, size: str
) -> None:
    lines = "\n".join(f"line {number}" for number in range(60))
    uid = make(service, f"Scrolled menu {size}", *(text(f"words_{place}", lines) for place in range(4)))
    page = open_at(visit, uid, size)
    opener = page.get_by_role("button", name="More actions for words_1")
    opener.click()
    menu = page.get_by_role("menu", name="More actions for words_1")
    item = menu.get_by_role("menuitem", name="Delete words_1")
    item.focus()

    # A list within the page is scrolled: the menu stays open where it is.
    before = find_box(menu)
    block(page, "words_1").locator("pre").evaluate("pre => { pre.scrollTop = 80; }")
    wait_for_frames(page)
    assert find_box(menu) == before
    page.evaluate("scrollBy(0, 40)")
    wait_for_frames(page)
    assert find_box(menu) == pytest.approx((before[0], before[1] - 40), abs=1)
    expect(item).to_be_focused()
    page.evaluate("scrollBy(0, 2000)")
    expect(menu).to_be_hidden()
    expect(opener).to_be_focused()
    expect(opener).to_have_attribute("aria-expanded", "false")


def wait_for_frames(page: Page) -> None:
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_sixty_blocks_read_only_the_results_that_are_near(service: ServiceProcess, visit: Visit) -> None:
    uid = make(service, "Many", *(sql(f"q{place}", f"SELECT {place} AS n") for place in range(60)))
    started = service.client.post(f"/api/v1/report/{uid}/run/noteflow").json()["result"]["run_id"]
    page = visit.page
    read: list[str] = []
    page.on("request", lambda request: read.append(request.url) if "/rows" in request.url else None)
    path = f"/api/v1/noteflow_run/{started}"
    while service.client.get(path).json()["result"]["status"] not in ("success", "failed"):
        pass
    open_at(visit, uid)
    expect(block(page, "q0").locator("tbody")).to_contain_text("0")
    assert 0 < len(read) < 30
    block(page, "q59").scroll_into_view_if_needed()
    expect(block(page, "q59").locator("tbody")).to_contain_text("59")
    visit.take_picture("sixty-blocks")


def list_started(page: Page) -> list[Any]:
    """What the page asks the service to run from now on."""
    started: list[Any] = []

    def note(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/run"):
            started.append(request.post_data_json)

    page.on("request", note)
    return started


def put_content(service: ServiceProcess, uid: str, content: dict[str, Any]) -> None:
    assert service.client.put(f"/api/v1/block/{uid}", json={"content": content}).status_code == 200


def find_uids(service: ServiceProcess, report: str) -> dict[str, str]:
    blocks = service.client.get(f"/api/v1/report/{report}").json()["result"]["blocks"]
    return {found["name"]: found["uid"] for found in blocks}


def test_values_that_nobody_typed_follow_the_defaults(service: ServiceProcess, visit: Visit) -> None:
    word = {"type": "parameter", "name": "word", "content": {"type": "text", "default": "x"}}
    sizes = {"type": "text", "default": ["S"], "multiple": True, "choices": ["S", "M"]}
    uid = make(
        service,
        "Defaults",
        TOP,
        word,
        {"type": "parameter", "name": "sizes", "content": sizes},
        text("words", "{{ top }} {{ word }} {{ sizes | join }}"),
    )
    page = open_at(visit, uid)
    started = list_started(page)
    parameters = section(page, "Parameters")
    parameters.get_by_label("top").fill("7")
    page.get_by_role("button", name="Edit word", exact=True).press("Enter")
    block(page, "word").get_by_label("Default", exact=True).fill("y")
    block(page, "word").get_by_role("button", name="Save").press("Enter")
    expect(parameters.get_by_label("word")).to_have_value("y")
    expect(parameters.get_by_label("top")).to_have_value("7")
    page.get_by_role("button", name="Run words").press("Enter")
    expect(block(page, "words").locator(".result-output")).to_contain_text("7 y S")
    assert [list(one["parameters"]) for one in started] == [["top"]]

    uids = find_uids(service, uid)
    put_content(service, uids["word"], {"type": "text", "default": "of a colleague"})
    put_content(service, uids["sizes"], {**sizes, "default": ["M"]})
    page.reload()
    parameters = section(page, "Parameters")
    expect(parameters.get_by_label("word")).to_have_value("of a colleague")
    expect(parameters.get_by_label("top")).to_have_value("7")
    expect(parameters.get_by_label("M", exact=True)).to_be_checked()
    expect(parameters.get_by_label("S", exact=True)).not_to_be_checked()
    expect(parameters).not_to_contain_text("No longer available")

    parameters.get_by_label("S", exact=True).check()
    put_content(service, uids["sizes"], {**sizes, "default": [], "choices": ["M", "L"]})
    page.reload()
    parameters = section(page, "Parameters")
    expect(parameters).to_contain_text("No longer available: sizes=S.")
    expect(parameters.get_by_label("M", exact=True)).to_be_checked()
    parameters.get_by_role("button", name="Use the defaults").press("Enter")
    expect(parameters).not_to_contain_text("No longer available")


def test_messages_are_sent_only_after_a_question(service: ServiceProcess, visit: Visit) -> None:
    content = {"to_": "asked@example.com", "subject": "s", "value": "Dear"}
    uid = make(service, "Asked", text("words", "two"), {"type": "email", "name": "mail", "content": content})
    page = open_at(visit, uid)
    started = list_started(page)
    mail = block(page, "mail")
    page.get_by_role("button", name="Edit mail").press("Enter")
    message = mail.get_by_label("Message", exact=True)
    message.press("Control+End")
    message.press("Shift+Enter")
    message.press_sequentially("Ann")
    expect(message).to_have_value("Dear\nAnn")
    mail.get_by_label("Subject").press("Shift+Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    message.press("Control+Enter")
    expect(visit.front).to_contain_text("These blocks send messages: mail.")
    assert find_violations(page) == []
    visit.press("Keep")
    expect(message).to_be_focused()

    page.get_by_role("button", name="Edit words").press("Enter")
    words = block(page, "words").get_by_label("Text", exact=True)
    words.press("Control+End")
    words.press("Shift+Enter")
    expect(words).to_have_value("two\n")
    expect(words).to_be_focused()
    assert started == []

    page.get_by_role("button", name="Run words").press("Shift+Enter")
    expect(block(page, "words").locator(".result-output")).to_contain_text("two")
    mail.get_by_role("button", name="Run mail").press("Shift+Enter")
    expect(visit.front).to_contain_text("These blocks send messages: mail.")
    visit.press("Run")
    expect(mail.locator(".result")).to_contain_text("asked@example.com: kept")
    assert len(started) == 2
    expect(page.get_by_role("button", name="Email", exact=True)).to_be_focused()


def test_references_of_what_is_saved_replace_those_of_what_was_typed(
    service: ServiceProcess, visit: Visit
) -> None:
    uid = make(service, "Saved", text("base", "two"))
    page = open_at(visit, uid)
    outline = page.get_by_role("navigation", name="Outline")
    visit.press("Text")
    form = page.get_by_label("New Text block")
    form.get_by_label("Name").fill("words")
    with page.expect_response("**/references"):
        form.get_by_label("Text", exact=True).fill("{{ base }} {{ nowhere }}")
    visit.press("Add the block")
    expect(outline.get_by_role("listitem").nth(1)).to_contain_text("uses base")
    expect(outline).to_contain_text("Unknown: nowhere")
    expect(block(page, "words")).to_contain_text("Unknown names: nowhere.")

    page.get_by_role("button", name="Edit words").press("Enter")
    with page.expect_response("**/references"):
        block(page, "words").get_by_label("Text", exact=True).fill("{{ base }}")
    expect(block(page, "words")).not_to_contain_text("Unknown names")
    block(page, "words").get_by_role("button", name="Save").press("Enter")
    visit.wait_for_notice("“words” is saved")
    choose(page, "More actions for base", "Delete")
    visit.press("Delete")
    expect(block(page, "words")).to_contain_text("Unknown names: base.")


def test_all_that_uses_a_block_runs_also_if_the_page_is_left(service: ServiceProcess, visit: Visit) -> None:
    uid = make(service, "Left", TOP, text("one", "one {{ top }}"), text("two", "two {{ top }}"))
    page = open_at(visit, uid)
    expect(block(page, "two")).to_be_visible()
    page.route("**/app/notebook/**", lambda _route: None)  # what follows the runs is not answered
    ends = re.compile(f"/block/{find_uids(service, uid)['two']}/run$")
    with page.expect_response(ends):
        choose(page, "More actions for top", "Run from here")
    visit.follow("Runs")
    page.unroute("**/app/notebook/**")
    page.go_back()
    for name in ("one", "two"):
        expect(block(page, name).locator(".result-output")).to_contain_text(f"{name} 5")


def test_run_from_a_parameter_that_nothing_uses_says_so(service: ServiceProcess, visit: Visit) -> None:
    page = open_at(visit, make(service, "Unused", TOP, text("words", "x")))
    choose(page, "More actions for top", "Run from here")
    visit.wait_for_notice("Nothing was run: no block that can run uses top")


def test_run_from_a_block_asks_if_a_block_between_sends(service: ServiceProcess, visit: Visit) -> None:
    content = {"to_": "between@example.com", "subject": "s", "value": "{{ top }}"}
    mail = {"type": "email", "name": "mail", "content": content}
    page = open_at(visit, make(service, "Between", TOP, mail, text("words", "{{ mail }}")))
    started = list_started(page)
    for name in ("Run from here", None):
        if name:
            choose(page, "More actions for top", name)
        else:
            page.get_by_role("button", name="Run words").press("Enter")
        expect(visit.front).to_contain_text("These blocks send messages: mail.")
        visit.press("Keep")
    assert started == []


def test_focus_in_the_outline_stays_on_the_link_of_the_same_block(
    service: ServiceProcess, visit: Visit
) -> None:
    uid = make(service, "Focus", text("base", "two"), sql("numbers", "SELECT no_such_column {{ base }}"))
    page = open_at(visit, uid)
    outline = page.get_by_role("navigation", name="Outline")
    used = outline.get_by_role("listitem").nth(1).get_by_role("link", name="base")
    used.focus()
    assert service.client.post(f"/api/v1/report/{uid}/run/noteflow").status_code == 200
    expect(outline.get_by_role("listitem").nth(1)).to_contain_text("failed")
    expect(used).to_be_focused()


def test_service_that_is_away_while_one_types_is_told_once(service: ServiceProcess, visit: Visit) -> None:
    visit.expected = ["net::ERR_FAILED"]
    page = open_at(visit, make(service, "Away", text("words", "two")))
    page.get_by_role("button", name="Edit words").press("Enter")
    editor = block(page, "words").get_by_label("Text", exact=True)
    page.route("**/references", lambda route: route.abort())
    for typed in ("one", "two {{ one }}", "three"):
        with page.expect_event("requestfailed"):
            editor.fill(typed)
    expect(page.locator("#notices .notice")).to_have_count(1)
    visit.wait_for_notice("The service does not respond")
    page.unroute("**/references")
    editor.fill("{{ nowhere }}")
    expect(block(page, "words")).to_contain_text("Unknown names: nowhere.")
