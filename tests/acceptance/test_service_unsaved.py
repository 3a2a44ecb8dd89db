"""What is typed in the web interface and not saved: it is still there, or the person is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Locator, Page, expect

from tests.fakes.browser import Visit, find_violations, visit_service
from tests.fakes.service_process import API_TOKEN, ServiceProcess
from tests.fakes.service_subscriber import listen

TYPED = "SELECT 'typed and not saved'"
DRAFTS = "Object.keys(localStorage).filter(key => key.startsWith('pushmetrics-draft/')).length"
STORED = "JSON.stringify([{...localStorage}, {...sessionStorage}])"
FORBIDDEN_STORAGE = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no'); }})"
RESTORED = "were restored"
ASKED = "Leave the page?"


@pytest.fixture(name="report")
def make_report(service: ServiceProcess, request: pytest.FixtureRequest) -> dict[str, Any]:
    """A report of three blocks: two queries and a text."""
    blocks = [
        {"type": "sql", "name": "first", "content": {"sql": "SELECT 1 AS n", "database_id": 1}},
        {"type": "sql", "name": "second", "content": {"sql": "SELECT 2 AS n", "database_id": 1}},
        {"type": "text", "name": "third", "content": {"text": "three"}},
    ]
    made = service.client.post("/api/v1/report/", json={"name": request.node.name, "blocks": blocks})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()["result"]
    return found


@contextmanager
def unasked(page: Page) -> Iterator[None]:
    """Let the page end, and check that the browser does not ask whether it may."""
    asked: list[str] = []

    def accept(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", accept)
    yield
    page.remove_listener("dialog", accept)
    assert asked == []


def reload_and_stay(page: Page) -> None:
    """Reload a page, and stay when the browser asks."""
    with page.expect_event("dialog") as asked:
        page.evaluate("setTimeout(() => location.reload())")
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()


def edit(page: Page, name: str) -> Locator:
    """Open the editor of a block, and return the field of its text."""
    page.get_by_role("button", name=f"Edit {name}").click()
    return find_text(page, name)


def find_text(page: Page, name: str) -> Locator:
    return page.get_by_label(f"Block {name}").locator("textarea").first


def delete(page: Page, name: str) -> None:
    """Choose Delete in the menu of a block."""
    page.get_by_role("button", name=f"More actions for {name}").click()
    page.get_by_role("menuitem", name=f"Delete {name}").click()


def find_names(service: ServiceProcess, report: dict[str, Any]) -> list[str]:
    """The names of a report's blocks in their order, as the service has them."""
    found = service.client.get(f"/api/v1/report/{report['uid']}").json()["result"]["blocks"]
    return [block["name"] for block in found]


def find_block(service: ServiceProcess, report: dict[str, Any], name: str) -> dict[str, Any]:
    found = service.client.get(f"/api/v1/report/{report['uid']}").json()["result"]["blocks"]
    uid = next(block["uid"] for block in found if block["name"] == name)
    row: dict[str, Any] = service.client.get(f"/api/v1/block/{uid}").json()["result"]
    return row


def test_typed_text_is_there_after_a_link_and_back_and_a_reload(visit: Visit, report: dict[str, Any]) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    edit(page, "first").fill(TYPED)
    visit.follow("Schedules")
    expect(page.get_by_role("heading", name="Schedules")).to_be_visible()
    page.go_back()
    expect(find_text(page, "first")).to_have_value(TYPED)
    expect(page.get_by_label("Block first")).to_contain_text(RESTORED)

    find_text(page, "first").fill(f"{TYPED}, 2")
    with unasked(page):
        page.reload()
        expect(find_text(page, "first")).to_have_value(f"{TYPED}, 2")
    expect(page.get_by_label("Block second").locator("textarea")).to_have_count(0)
    visit.take_picture("restored-draft")
    assert find_violations(page) == []


def test_typed_text_is_there_when_the_tab_was_closed(visit: Visit, report: dict[str, Any]) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    edit(page, "first").fill(TYPED)
    with unasked(page), page.expect_event("close"):
        page.close(run_before_unload=True)
    visit.page = page = page.context.new_page()
    visit.open(f"app/reports/{report['uid']}")
    expect(find_text(page, "first")).to_have_value(TYPED)


def test_moving_and_saving_other_blocks_keeps_an_open_editor_as_it_is(
    service: ServiceProcess, visit: Visit, report: dict[str, Any]
) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    typed = edit(page, "first")
    editor = page.get_by_role("textbox", name="SQL editor")
    expect(editor).to_be_visible()
    typed.fill(TYPED)
    editor.evaluate("element => { window.editor = element; }")

    page.get_by_role("button", name="Move third up").click()
    expect(page.locator("ol.blocks > li").nth(1)).to_have_accessible_name("Block third")
    page.get_by_role("button", name="Move first down").click()
    expect(page.locator("ol.blocks > li").nth(1)).to_have_accessible_name("Block first")
    edit(page, "second").fill("SELECT 22 AS n")
    page.get_by_label("Block second").get_by_role("button", name="Save").click()
    visit.wait_for_notice("“second” is saved")
    visit.add_block("Text", "fourth", {"Text": "four"})

    expect(typed).to_have_value(TYPED)
    assert editor.evaluate("element => element === window.editor")
    editor.press("Control+z")
    expect(typed).to_have_value("SELECT 1 AS n")
    editor.press("Control+y")
    expect(typed).to_have_value(TYPED)
    assert find_names(service, report) == ["third", "first", "second", "fourth"]
    page.get_by_label("Block first").get_by_role("button", name="Save").click()
    visit.wait_for_notice("“first” is saved")
    assert TYPED in find_block(service, report, "first")["content_json"]


def test_text_typed_while_a_block_is_saved_stays_in_its_editor(
    service: ServiceProcess, visit: Visit, report: dict[str, Any]
) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    held = hold_requests(page, "PUT")
    typed = edit(page, "first")
    typed.fill("SELECT 11 AS n")
    page.get_by_label("Block first").get_by_role("button", name="Save").click()
    typed.fill(TYPED)
    held.release()
    visit.wait_for_notice("“first” is saved")
    expect(typed).to_have_value(TYPED)
    assert "SELECT 11" in find_block(service, report, "first")["content_json"]
    page.get_by_label("Block first").get_by_role("button", name="Save").click()
    expect(page.get_by_label("Block first").locator("textarea")).to_have_count(0)
    assert TYPED in find_block(service, report, "first")["content_json"]


class HeldRequests:
    """Requests that wait until they are released, as on a slow network."""

    def __init__(self) -> None:
        self.is_held = True
        self.waiting: list[Any] = []

    def take(self, route: Any) -> None:
        if self.is_held:
            self.waiting.append(route)
        else:
            route.continue_()

    def release(self) -> None:
        self.is_held = False
        for route in self.waiting:
            route.continue_()


def hold_requests(page: Page, method: str) -> HeldRequests:
    """Hold requests of a method to the API's blocks."""
    held = HeldRequests()
    page.route(
        "**/api/v1/block/**",
        lambda route: held.take(route) if route.request.method == method else route.fallback(),
    )
    return held


def test_late_redraw_keeps_what_was_typed_meanwhile(visit: Visit, report: dict[str, Any]) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    expect(page.get_by_label("Block first")).to_be_visible()
    held = hold_requests(page, "GET")
    page.get_by_role("button", name="Move third up").click()
    typed = edit(page, "first")
    typed.fill(TYPED)
    held.release()
    expect(page.locator("ol.blocks > li").nth(1)).to_have_accessible_name("Block third")
    expect(typed).to_have_value(TYPED)
    expect(page.get_by_role("textbox", name="SQL editor")).to_be_focused()

    # The page of an action that draws all again: its dialog, then the whole page
    page.get_by_role("button", name="Edit", exact=True).first.click()
    visit.fill("Description", "now with a description")
    visit.press("Save")
    visit.wait_for_notice("The report is saved")
    expect(find_text(page, "first")).to_have_value(TYPED)


def test_several_new_blocks_are_written_at_once_and_survive_a_reload(
    visit: Visit, report: dict[str, Any]
) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    visit.press("SQL")
    page.get_by_label("New SQL block").get_by_label("SQL", exact=True).fill(TYPED)
    visit.press("Text")
    page.get_by_label("New Text block").get_by_label("Text", exact=True).fill("a new text")
    visit.press("SQL")
    expect(page.get_by_label("New SQL block").get_by_label("Name")).to_be_focused()
    page.reload()
    expect(page.get_by_label("New SQL block").get_by_label("SQL", exact=True)).to_have_value(TYPED)
    expect(page.get_by_label("New Text block").get_by_label("Text", exact=True)).to_have_value("a new text")
    page.get_by_label("New SQL block").get_by_label("Name").fill("added")
    page.get_by_label("New SQL block").get_by_role("button", name="Add the block").click()
    visit.wait_for_notice("“added” is saved")
    expect(page.get_by_role("button", name="Edit added")).to_be_focused()
    expect(page.get_by_label("New Text block").get_by_label("Text", exact=True)).to_have_value("a new text")


def test_saved_and_discarded_drafts_are_removed(visit: Visit, report: dict[str, Any]) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    edit(page, "first").fill(TYPED)
    edit(page, "second").fill(TYPED)
    edit(page, "third").fill("typed")
    assert page.evaluate(DRAFTS) == 3
    page.get_by_label("Block first").get_by_role("button", name="Save").click()
    visit.wait_for_notice("“first” is saved")
    assert page.evaluate(DRAFTS) == 2
    page.get_by_label("Block second").get_by_role("button", name="Cancel").click()
    visit.press("Keep")
    expect(find_text(page, "second")).to_have_value(TYPED)
    page.get_by_label("Block second").get_by_role("button", name="Cancel").click()
    visit.press("Discard")
    expect(page.get_by_label("Block second")).to_contain_text("SELECT 2 AS n")
    assert page.evaluate(DRAFTS) == 1

    page.reload()
    page.get_by_label("Block third").get_by_role("button", name="Discard the draft").click()
    visit.press("Discard")
    expect(find_text(page, "third")).to_have_value("three")
    assert page.evaluate(DRAFTS) == 0
    page.reload()
    expect(page.get_by_label("Block third")).to_be_visible()
    expect(page.locator("main textarea")).to_have_count(0)


def test_signing_out_asks_for_drafts_and_removes_them(visit: Visit, report: dict[str, Any]) -> None:
    visit.expected = ["status of 401"]  # of a read that the page began before it was left
    page = visit.enter(f"app/reports/{report['uid']}")
    edit(page, "first").fill(TYPED)
    page.get_by_role("button", name="Sign out").click()
    expect(visit.front).to_contain_text("1 draft with unsaved changes will be discarded.")
    visit.press("Keep")
    expect(find_text(page, "first")).to_have_value(TYPED)
    page.get_by_role("button", name="Sign out").click()
    with unasked(page):
        visit.press("Sign out")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.evaluate(STORED) == "[{},{}]"


def test_drafts_of_a_user_are_not_shown_to_another_one(
    service: ServiceProcess, visit: Visit, report: dict[str, Any]
) -> None:
    visit.expected = ["status of 401"]
    page = visit.enter(f"app/reports/{report['uid']}")
    edit(page, "first").fill(TYPED)
    user = {"email": "bob@example.com", "roles": [2]}
    made = service.client.post("/api/v1/user/?skip_welcome_email=true", json=user).json()
    token = service.client.post(f"/api/v1/user/{made['id']}/access_token/", json={"name": "t"}).json()[
        "token"
    ]

    page.context.clear_cookies()  # as when the session has ended
    visit.follow("Runs")
    with page.expect_navigation():  # nothing of the first user is left in the page
        visit.sign_in(token)
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    visit.open(f"app/reports/{report['uid']}")
    expect(page.get_by_label("Block first")).to_contain_text("SELECT 1 AS n")
    expect(page.locator("main textarea")).to_have_count(0)

    page.context.clear_cookies()
    visit.open(f"app/reports/{report['uid']}")
    visit.sign_in()
    expect(find_text(page, "first")).to_have_value(TYPED)


def test_draft_of_a_block_that_was_changed_meanwhile_says_so_before_it_overwrites(
    service: ServiceProcess, visit: Visit, report: dict[str, Any]
) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    edit(page, "first").fill(TYPED)
    block = find_block(service, report, "first")
    change = {"content": {"sql": "SELECT 'of a colleague'", "database_id": 1}}
    assert service.client.put(f"/api/v1/block/{block['uid']}", json=change).status_code == 200

    # also without a reload
    page.get_by_label("Block first").get_by_role("button", name="Save").click()
    expect(visit.front).to_contain_text("Overwrite the newer version?")
    visit.press("Keep")
    assert "of a colleague" in find_block(service, report, "first")["content_json"]

    page.reload()
    expect(find_text(page, "first")).to_have_value(TYPED)
    shown = page.get_by_label("Block first")
    expect(shown).to_contain_text("changed on the server meanwhile")
    shown.get_by_text("Show what the server has").click()
    expect(shown.locator(".draft details .hint")).to_have_text("SQL")
    expect(shown.locator(".draft pre")).to_have_text("SELECT 'of a colleague'")
    visit.take_picture("changed-meanwhile")
    assert find_violations(page) == []
    shown.get_by_role("button", name="Save").click()
    visit.press("Keep")
    assert "of a colleague" in find_block(service, report, "first")["content_json"]
    shown.get_by_role("button", name="Save").click()
    visit.press("Overwrite")
    visit.wait_for_notice("“first” is saved")
    assert TYPED in find_block(service, report, "first")["content_json"]


def test_draft_of_a_block_that_others_deleted_can_be_added_again(
    service: ServiceProcess, visit: Visit, report: dict[str, Any]
) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    edit(page, "first").fill(TYPED)
    block = find_block(service, report, "first")
    assert service.client.delete(f"/api/v1/block/{block['uid']}").status_code == 200
    page.get_by_role("button", name="Move third up").click()
    lost = page.get_by_label("New SQL block")
    expect(lost).to_contain_text("Somebody has deleted this block")
    page.reload()
    expect(lost.get_by_label("SQL", exact=True)).to_have_value(TYPED)
    expect(lost.get_by_label("Name")).to_have_value("first")
    lost.get_by_role("button", name="Add the block").click()
    visit.wait_for_notice("“first” is saved")
    assert TYPED in find_block(service, report, "first")["content_json"]
    assert page.evaluate(DRAFTS) == 0


def test_deleted_block_comes_back_with_its_text_and_place(
    service: ServiceProcess, visit: Visit, report: dict[str, Any]
) -> None:
    exact = '{"type": "integer", "default": 9007199254740993}'
    uid = service.client.post(
        "/api/v1/block/",
        json={
            "report_id": report["id"],
            "type": "parameter",
            "name": "big",
            "verbose_name": "A big one",
            "content_json": exact,
        },
    ).json()["result"]["uid"]
    assert service.client.put(f"/api/v1/block/{uid}", json={"position": 1}).status_code == 200
    before = find_block(service, report, "big")
    page = visit.enter(f"app/reports/{report['uid']}")
    typed = edit(page, "third")
    typed.fill("typed")
    delete(page, "big")
    visit.press("Keep")
    delete(page, "big")
    visit.press("Delete")
    expect(page.get_by_label("Block big")).to_have_count(0)
    expect(page.get_by_role("button", name="Edit second")).to_be_focused()
    assert find_names(service, report) == ["first", "second", "third"]
    visit.take_picture("undo")
    assert find_violations(page) == []
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("ol.blocks > li").nth(1)).to_have_accessible_name("Block big")
    expect(page.get_by_role("button", name="Edit big")).to_be_focused()
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    assert find_names(service, report) == ["first", "big", "second", "third"]
    after = find_block(service, report, "big")
    assert [after[key] for key in ("type", "verbose_name", "content_json", "position")] == [
        before[key] for key in ("type", "verbose_name", "content_json", "position")
    ]
    expect(typed).to_have_value("typed")


def test_undo_brings_back_what_was_typed_in_the_deleted_block(visit: Visit, report: dict[str, Any]) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    edit(page, "first").fill(TYPED)
    delete(page, "first")
    expect(visit.front).to_contain_text("and your unsaved changes")
    visit.press("Delete")
    expect(page.get_by_label("Block first")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(find_text(page, "first")).to_have_value(TYPED)


def test_focus_stays_where_the_hand_is(visit: Visit, report: dict[str, Any]) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    up = page.get_by_role("button", name="Move third up")
    for place in (1, 0):
        up.focus()
        page.keyboard.press("Enter")
        expect(page.locator("ol.blocks > li").nth(place)).to_have_accessible_name("Block third")
        expect(up).to_be_focused()
    expect(up).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("Enter")
    expect(up).to_be_focused()

    edit_button = page.get_by_role("button", name="Edit first")
    edit(page, "first")
    page.get_by_label("Block first").get_by_role("button", name="Cancel").click()
    expect(edit_button).to_be_focused()
    edit(page, "first").fill(TYPED)
    page.get_by_label("Block first").get_by_role("button", name="Save").press("Enter")
    visit.wait_for_notice("“first” is saved")
    expect(edit_button).to_be_focused()
    visit.press("Chart")
    page.get_by_label("New Chart block").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Chart", exact=True)).to_be_focused()

    visit.press("Generate a trigger")
    visit.wait_for_notice("The trigger is ready")
    page.get_by_role("button", name="Disable").press("Enter")
    expect(page.get_by_role("button", name="Enable")).to_be_focused()


def test_yaml_and_recipients_are_there_after_leaving_and_redrawing(
    service: ServiceProcess, visit: Visit, report: dict[str, Any]
) -> None:
    page = visit.enter(f"app/reports/{report['uid']}/yaml")
    document = page.get_by_role("textbox", name="YAML")
    typed = document.input_value().replace("SELECT 1 AS n", "SELECT 111 AS n")
    document.fill(typed)
    visit.follow("Report")
    visit.press("Generate a trigger")
    visit.fill("Mail to", "typed@example.com")
    visit.press("Disable")
    expect(page.get_by_role("button", name="Enable")).to_be_visible()
    expect(page.get_by_label("Mail to")).to_have_value("typed@example.com")
    visit.press("Save recipients")
    visit.wait_for_notice("Saved")
    page.reload()
    expect(page.get_by_label("Mail to")).to_have_value("typed@example.com")
    expect(page.get_by_text(RESTORED)).to_have_count(0)

    visit.follow("YAML")
    expect(document).to_have_value(typed)
    block = find_block(service, report, "third")
    change = {"content": {"text": "of a colleague"}}
    assert service.client.put(f"/api/v1/block/{block['uid']}", json=change).status_code == 200
    visit.press("Apply")
    expect(visit.front).to_contain_text("Overwrite the newer version?")
    visit.press("Keep")
    assert "of a colleague" in find_block(service, report, "third")["content_json"]
    expect(document).to_have_value(typed)


def test_dialog_asks_before_it_throws_typed_text_away(visit: Visit) -> None:
    page = visit.enter("app/runs")
    visit.follow("Reports")
    visit.press("From YAML")
    visit.fill("YAML", "name: typed")
    for key in ("Escape", "Escape", "Escape"):  # browsers close a dialog at the second one in a row
        page.keyboard.press(key)
        expect(visit.front).to_contain_text("Discard your changes?")
        assert find_violations(page) == []
        page.keyboard.press(key)
        expect(visit.front).to_contain_text("New report from YAML")
    visit.press("Cancel")
    visit.press("Keep")
    page.go_back()
    expect(visit.front).to_contain_text(ASKED)
    assert page.url.endswith("/app/reports")
    visit.press("Keep")
    reload_and_stay(page)
    expect(visit.front.get_by_role("textbox", name="YAML")).to_have_value("name: typed")
    visit.press("Cancel")
    visit.press("Discard")
    expect(page.get_by_role("button", name="From YAML")).to_be_focused()
    assert page.evaluate(STORED) == "[{},{}]"


def test_passwords_and_headers_are_asked_for_and_never_stored(visit: Visit) -> None:
    page = visit.enter("app/databases")
    visit.press("Add a database")
    visit.fill("URL", "postgresql://reader:s3cret@host/sales")
    reload_and_stay(page)
    expect(visit.front.get_by_role("textbox", name="URL")).to_have_value(
        "postgresql://reader:s3cret@host/sales"
    )
    assert page.evaluate(STORED) == "[{},{}]"
    page.keyboard.press("Escape")
    visit.press("Discard")
    visit.follow("Webhooks")
    visit.press("New webhook")
    visit.fill("Headers", "Authorization: Bearer s3cret")
    assert page.evaluate(STORED) == "[{},{}]"
    page.keyboard.press("Escape")
    visit.press("Discard")


def test_token_in_a_block_is_not_stored_and_the_browser_asks(visit: Visit, report: dict[str, Any]) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    edit(page, "third").fill(f"a token: {API_TOKEN}")
    assert page.evaluate(STORED) == "[{},{}]"
    visit.follow("Runs")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    reload_and_stay(page)
    page.go_back()
    expect(find_text(page, "third")).to_have_value(f"a token: {API_TOKEN}")


def test_secret_that_is_shown_once_stays_until_it_is_kept(visit: Visit) -> None:
    page = visit.enter("app/reports")
    visit.follow("Settings")
    visit.follow("API tokens")
    visit.press("New token")
    visit.fill("Name", "kept")
    visit.press("Create the token")
    secret = page.get_by_role("textbox", name="Secret")
    token = secret.input_value()
    assert token.startswith("pmpat_")
    for _ in range(4):
        page.keyboard.press("Escape")
        expect(secret).to_have_value(token)
    expect(visit.front.get_by_role("alert")).to_contain_text("The secret is shown only now")
    visit.take_picture("secret-stays")
    assert find_violations(page) == []
    page.go_back()
    expect(visit.front).to_contain_text(ASKED)
    page.keyboard.press("Escape")
    expect(secret).to_have_value(token)
    reload_and_stay(page)
    expect(secret).to_have_value(token)
    visit.press("I have kept it")
    expect(page.get_by_role("row").filter(has_text="kept")).to_be_visible()
    assert token not in page.evaluate(STORED)


def test_signing_secret_stays_when_escape_is_pressed_in_creating_and_rotating(visit: Visit) -> None:
    with listen() as subscriber:
        page = visit.enter("app/webhooks")
        visit.press("New webhook")
        visit.fill("Name", "once")
        visit.fill("URL", subscriber.url)
        visit.press("Create")
        secret = page.get_by_role("textbox", name="Secret")
        first = secret.input_value()
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(secret).to_have_value(first)
        visit.press("I have kept it")
        visit.press("Rotate secret")
        visit.press("Rotate")
        expect(visit.front).to_contain_text("The new signing secret")
        rotated = secret.input_value()
        assert rotated != first
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(secret).to_have_value(rotated)
        visit.press("I have kept it")


def test_escape_does_not_end_the_sign_in(visit: Visit) -> None:
    page = visit.page
    visit.open("app/reports")
    page.get_by_label("API token").fill("pmpat_")
    for _ in range(3):
        page.keyboard.press("Escape")
    visit.sign_in()
    expect(page.get_by_role("heading", name="Reports")).to_be_visible()


def test_two_tabs_do_not_take_each_other_the_text(visit: Visit, report: dict[str, Any]) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    expect(page.get_by_label("Block first")).to_be_visible()
    other = page.context.new_page()
    other.goto(page.url)
    edit(other, "first").fill("SELECT 'in the other tab'")
    edit(page, "first").fill(TYPED)
    reload_and_stay(other)
    other.get_by_role("link", name="Runs", exact=True).first.click()
    expect(other.get_by_role("heading", name="Runs")).to_be_visible()
    other.go_back()
    expect(find_text(other, "first")).to_have_value("SELECT 'in the other tab'")
    expect(find_text(page, "first")).to_have_value(TYPED)
    page.get_by_label("Block first").get_by_role("button", name="Save").click()
    visit.wait_for_notice("“first” is saved")
    other.get_by_label("Block first").get_by_role("button", name="Save").click()
    expect(other.get_by_role("dialog")).to_contain_text("Overwrite the newer version?")


def test_typed_text_is_asked_for_where_the_browser_has_no_storage(
    service: ServiceProcess, browser: Browser, report: dict[str, Any]
) -> None:
    with visit_service(browser, service) as visit:
        page = visit.page
        page.add_init_script(
            "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no'); }})"
        )
        visit.enter(f"app/reports/{report['uid']}")
        edit(page, "first").fill(TYPED)
        visit.follow("Runs")
        expect(page.get_by_role("heading", name="Runs")).to_be_visible()
        page.go_back()
        expect(find_text(page, "first")).to_have_value(TYPED)
        reload_and_stay(page)
        expect(find_text(page, "first")).to_have_value(TYPED)


def test_run_says_that_it_uses_what_is_saved(visit: Visit, report: dict[str, Any]) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    edit(page, "first").fill(TYPED)
    visit.press("Run")
    expect(visit.front).to_contain_text("Run without the unsaved changes?")
    visit.press("Keep")
    page.get_by_role("button", name="Run second").click()
    expect(page.get_by_label("Block second").locator(".result")).to_contain_text("run alone")
    page.get_by_role("button", name="Run first").click()  # as it is typed
    expect(page.get_by_label("Block first").locator("tbody")).to_contain_text("typed and not saved")
    page.get_by_role("button", name="More actions for first").click()
    page.get_by_role("menuitem", name="Run from here").click()
    expect(visit.front).to_contain_text("Run without the unsaved changes?")
    visit.press("Keep")
    visit.press("Run")
    visit.press("Run what is saved")
    visit.press("Run")
    expect(page.get_by_role("button", name="Run again", exact=True)).to_be_visible()
    expect(page.get_by_label("Block first")).to_contain_text("1 row")
    page.go_back()
    expect(find_text(page, "first")).to_have_value(TYPED)


def test_text_is_saved_after_signing_in_again(
    service: ServiceProcess, visit: Visit, report: dict[str, Any]
) -> None:
    visit.expected = ["status of 401"]
    page = visit.enter(f"app/reports/{report['uid']}")
    edit(page, "third").fill(TYPED)
    page.context.clear_cookies()  # as when the session has ended
    page.get_by_label("Block third").get_by_role("button", name="Save").click()
    visit.sign_in()
    visit.wait_for_notice("“third” is saved")
    assert TYPED in find_block(service, report, "third")["content_json"]


def test_signing_out_in_another_tab_leaves_the_text_on_the_page_and_nothing_in_the_storage(
    visit: Visit, report: dict[str, Any]
) -> None:
    visit.expected = ["status of 401"]  # the references of what is typed then
    page = visit.enter(f"app/reports/{report['uid']}")
    edit(page, "first").fill(TYPED)
    other = page.context.new_page()
    other.goto(f"{visit.base_url}/app/runs")
    other.get_by_role("button", name="Sign out").click()
    other.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    find_text(page, "first").fill(f"{TYPED}, 2")
    assert other.evaluate(STORED) == "[{},{}]"
    reload_and_stay(page)
    expect(find_text(page, "first")).to_have_value(f"{TYPED}, 2")
    assert other.evaluate(STORED) == "[{},{}]"


def test_description_and_recipients_of_a_colleague_are_not_overwritten_silently(
    service: ServiceProcess, visit: Visit, report: dict[str, Any]
) -> None:
    path = f"/api/v1/report/{report['uid']}"
    page = visit.enter(f"app/reports/{report['uid']}/triggers")
    page.get_by_role("button", name="Edit", exact=True).click()
    visit.fill("Description", "mine")
    assert service.client.put(path, json={"description": "of a colleague"}).status_code == 200
    visit.press("Save")
    expect(visit.front).to_contain_text("Overwrite the newer version?")
    visit.press("Keep")
    assert service.client.get(path).json()["result"]["description"] == "of a colleague"
    visit.press("Save")
    visit.press("Overwrite")
    visit.wait_for_notice("The report is saved")
    assert service.client.get(path).json()["result"]["description"] == "mine"

    visit.press("Generate a trigger")
    visit.wait_for_notice("The trigger is ready")
    triggers = service.client.get("/api/v1/webhook/").json()["result"]
    trigger = next(one for one in triggers if one["report_id"] == report["id"])
    path = f"/api/v1/webhook/{trigger['uid']}"
    visit.fill("Mail to", "mine@example.com")
    assert service.client.put(path, json={"recipients": ["colleague@example.com"]}).status_code == 200
    visit.press("Save recipients")
    expect(visit.front).to_contain_text("Overwrite the newer version?")
    visit.press("Overwrite")
    visit.wait_for_notice("Saved")
    assert service.client.get(path).json()["result"]["recipients_json"] == ["mine@example.com"]
    visit.fill("Mail to", "two@example.com")
    visit.press("Save recipients")
    expect(page.get_by_role("button", name="Save recipients")).to_be_enabled()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_drafts_of_a_deleted_report_are_removed(visit: Visit, report: dict[str, Any]) -> None:
    page = visit.enter(f"app/reports/{report['uid']}")
    edit(page, "first").fill(TYPED)
    assert page.evaluate(DRAFTS) == 1
    page.get_by_role("button", name="More actions for the report").click()
    page.get_by_role("menuitem", name="Delete the report").click()
    visit.press("Delete")
    visit.wait_for_notice("The report is deleted")
    assert page.evaluate(DRAFTS) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_notes_of_drafts_fit_a_telephone(visit: Visit, report: dict[str, Any], scheme: Any) -> None:
    page = visit.page
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme=scheme)
    visit.enter(f"app/reports/{report['uid']}")
    edit(page, "third").fill("typed " * 40)
    delete(page, "second")
    visit.press("Delete")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Block second")).to_be_visible()
    page.reload()
    expect(page.get_by_text(RESTORED)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert find_violations(page) == []
    visit.take_picture(f"restored-narrow-{scheme}")
