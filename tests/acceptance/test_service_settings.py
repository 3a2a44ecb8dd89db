"""The pages of the settings in a browser, with a real mail server and Slack at the wire."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import expect

from tests.acceptance.test_service_live import HIDE
from tests.acceptance.test_service_new_blocks import open_form
from tests.acceptance.test_service_notebook import block, make
from tests.fakes.browser import Visit, find_violations
from tests.fakes.loopback import RawServer, serve_raw
from tests.fakes.mail_server import MailServer, serve_mail_in_thread
from tests.fakes.service_process import ServiceProcess, run_ready_service

PAGES = {
    "databases": "Databases",
    "notifications": "Notifications",
    "messages": "Messages",
    "tokens": "API tokens",
    "users": "Users",
    "workspace": "Workspace",
    "appearance": "Appearance",
}


def answer(body: bytes) -> bytes:
    """Make an answer of Slack's API."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.fixture(scope="module", name="mail")
def start_mail_server() -> Iterator[MailServer]:
    with serve_mail_in_thread() as mail:
        yield mail


@pytest.fixture(scope="module", name="slack")
def start_slack() -> Iterator[RawServer]:
    with serve_raw(answer(b'{"ok": true, "ts": "1.2"}')) as slack:
        yield slack


@pytest.fixture(scope="module", name="service")
def start_service(
    tmp_path_factory: pytest.TempPathFactory, mail: MailServer, slack: RawServer
) -> Iterator[ServiceProcess]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUSHMETRICS_SERVICE_SLACK_TOKEN", "xoxb-1234567890-s3cret")
        patch.setenv("PUSHMETRICS_SERVICE_SLACK_BASE_URL", f"{slack.url}/api/")
        patch.setenv("PUSHMETRICS_SERVICE_SMTP_HOST", "127.0.0.1")
        patch.setenv("PUSHMETRICS_SERVICE_SMTP_PORT", str(mail.port))
        patch.setenv("PUSHMETRICS_SERVICE_SMTP_SECURITY", "none")
        patch.setenv("PUSHMETRICS_SERVICE_SMTP_SENDER", "reports@example.com")
        with run_ready_service(tmp_path_factory.mktemp("settings") / "data", "--demo") as service:
            yield service


def test_pages_of_the_settings_are_reached_by_the_keyboard(visit: Visit) -> None:
    page = visit.enter("app/reports")
    page.get_by_role("link", name="Settings", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Databases")).to_be_visible()
    for path, heading in PAGES.items():
        link = page.get_by_role("navigation", name="Settings").get_by_role("link", name=heading, exact=True)
        link.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        expect(page).to_have_url(f"{visit.base_url}/app/settings/{path}")
        expect(link).to_have_attribute("aria-current", "page")
        assert (path, find_violations(page)) == (path, [])
        visit.take_picture(f"settings-{path}")


@pytest.mark.parametrize("old", ["databases", "messages", "tokens", "users", "appearance"])
def test_old_addresses_lead_to_the_settings(visit: Visit, old: str) -> None:
    page = visit.enter(f"app/{old}")
    expect(page).to_have_url(f"{visit.base_url}/app/settings/{old}")
    expect(page.get_by_role("heading", name=PAGES[old], level=1)).to_be_visible()


def test_test_messages_show_what_the_servers_answered(
    visit: Visit, mail: MailServer, slack: RawServer
) -> None:
    page = visit.enter("app/settings/notifications")
    expect(page.get_by_label("Mail", exact=True)).to_contain_text(f"127.0.0.1:{mail.port}")
    assert "s3cret" not in page.content()
    visit.fill("Recipient", "ops@example.com")
    visit.press("Send a test mail")
    expect(page.get_by_label("Mail", exact=True)).to_contain_text(
        "Sent. The mail server accepted the message to ops@example.com."
    )
    assert [message["To"] for message in mail.taken] == ["ops@example.com"]
    visit.fill("Channel", "#reports")
    visit.press("Post a test message")
    expect(page.get_by_label("Slack", exact=True)).to_contain_text(
        "Sent. Slack accepted the message to #reports."
    )
    slack.reply = answer(b'{"ok": false, "error": "not_in_channel"}')
    visit.press("Post a test message")
    expect(page.get_by_label("Slack", exact=True)).to_contain_text("Not sent. not_in_channel")
    assert find_violations(page) == []
    visit.take_picture("settings-tests")
    assert len(slack.requests) == 2


def test_message_that_waits_to_be_sent_is_followed_on_the_page_of_its_notebook(
    service: ServiceProcess, visit: Visit, mail: MailServer
) -> None:
    visit.expected = ["ERR_FAILED"]
    content = {"to_": "ann@example.com", "subject": "s", "value": "Dear"}
    uid = make(service, "Slow mail", {"type": "email", "name": "mail", "content": content})
    mail.is_holding = True
    try:
        page = visit.enter(f"app/reports/{uid}")
        saved = block(page, "mail")
        expect(saved).to_be_visible()
        # A new connection for changes would let the page read everything again.
        page.route("**/app/changes", lambda route: route.abort())
        page.locator("main .head").get_by_role("button", name="Run", exact=True).click()
        preview = page.get_by_role("dialog").get_by_role("checkbox")
        expect(preview).to_have_accessible_description("It sends messages: mail.")
        visit.press("Run")
        expect(saved).to_contain_text("ann@example.com: waits to be sent")
        form = open_form(visit, "Email", "news")
        form.get_by_label("To", exact=True).fill("bob@example.com")
        form.get_by_label("Subject").fill("s")
        form.get_by_role("button", name="Run as typed").click()
        expect(visit.front).to_contain_text("These blocks send messages: news.")
        visit.press("Run")
        expect(form).to_contain_text("bob@example.com: waits to be sent")
        mail.is_holding = False
        expect(saved).to_contain_text("ann@example.com: sent")
        expect(form).to_contain_text("bob@example.com: sent")
    finally:
        mail.is_holding = False


def test_token_that_was_given_at_the_start_has_no_prefix(visit: Visit) -> None:
    page = visit.enter("app/settings/tokens")
    prefix = page.get_by_role("row").filter(has_text="bootstrap").get_by_role("cell").nth(1)
    expect(prefix).to_have_text(re.compile("\N{EN DASH}$"))


def test_database_that_does_not_answer_is_saved_only_on_purpose(
    service: ServiceProcess, visit: Visit
) -> None:
    visit.expected = ["status of 422"]
    page = visit.enter("app/settings/databases")
    visit.press("Add a database")
    visit.fill("Name", "later")
    visit.fill("URL", "duckdb:///nothing-here.duckdb")
    visit.press("Save")
    expect(visit.front).to_contain_text("nothing-here.duckdb")
    expect(visit.front.get_by_role("heading")).to_have_text("The test failed. Save the database anyway?")
    assert find_violations(page) == []
    visit.press("Keep")
    expect(visit.front.get_by_role("alert")).to_contain_text("nothing-here.duckdb")
    names = [row["database_name"] for row in service.client.get("/api/v1/database/").json()["result"]]
    assert "later" not in names
    visit.press("Save")
    visit.press("Save anyway")
    visit.wait_for_notice("later is saved, and was not tested successfully")
    expect(page.get_by_role("row").filter(has_text="later")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 360])
def test_form_of_a_database_says_what_is_kept_of_a_hidden_password(
    service: ServiceProcess, visit: Visit, width: int
) -> None:
    visit.expected = ["status of 422"]
    visit.page.set_viewport_size({"width": width, "height": 800})
    name = f"masked {width}"
    body = {"database_name": name, "sqlalchemy_uri": "postgresql://reader:s3cret@127.0.0.1:9/shop"}
    service.client.post("/api/v1/database/?skip_test=true", json=body).raise_for_status()
    page = visit.enter("app/settings/databases")
    page.get_by_role("row").filter(has_text="flights").get_by_role("button", name="Edit").click()
    url = visit.front.get_by_label("URL")
    expect(url).not_to_have_accessible_description(re.compile(r"\*\*\*"))
    visit.press("Cancel")
    page.get_by_role("row").filter(has_text=name).get_by_role("button", name="Edit").click()
    expect(url).to_have_accessible_description(
        re.compile(
            r"Empty: unchanged\. Now it is postgresql\+psycopg://reader:\*\*\*@127\.0\.0\.1:9/shop\. "
            r"In a new URL with the same user and server, \*\*\* keeps what is hidden here, and nothing else"
        )
    )
    assert find_violations(page) == []
    visit.take_picture(f"settings-masked-{width}")
    visit.fill("URL", "postgresql://other:***@127.0.0.1:9/shop")
    visit.press("Save")
    expect(visit.front.get_by_role("heading")).to_have_text("The test failed. Save the database anyway?")
    expect(visit.front).to_contain_text("names another user or server")
    visit.press("Keep")
    visit.fill("URL", "postgresql://reader:***@127.0.0.1:9/sales")
    visit.press("Save")
    visit.press("Save anyway")
    visit.wait_for_notice(f"{name} is saved, and was not tested successfully")
    expect(page.get_by_role("row").filter(has_text=name)).to_contain_text(
        "postgresql+psycopg://reader:***@127.0.0.1:9/sales"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_settings_fit_a_small_screen(visit: Visit, scheme: Literal["light", "dark"]) -> None:
    visit.page.set_viewport_size({"width": 360, "height": 740})
    visit.page.emulate_media(color_scheme=scheme)
    page = visit.enter("app/settings")
    expect(page.get_by_role("heading", name="Databases")).to_be_visible()
    for path, heading in PAGES.items():
        visit.open(f"app/settings/{path}")
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        for name, place in (("Settings", heading), ("Main", "Settings")):
            chosen = page.get_by_role("navigation", name=name).get_by_role("link", name=place, exact=True)
            expect(chosen).to_have_attribute("aria-current", "page")
            expect(chosen).to_be_in_viewport(ratio=0.95)
        wide = page.evaluate(
            "[...document.querySelectorAll('main :not(.sections *, pre *, .scroll *)')]"
            ".filter(one => one.getBoundingClientRect().right > innerWidth + 1)"
            ".map(one => one.outerHTML.slice(0, 80))"
        )
        assert (path, wide) == (path, [])
        if path in ("databases", "tokens", "users"):
            # Each row is a card with the names of its values: nothing is beyond the edge of a scrolled table.
            expect(page.locator(".as-cards tbody .cell-name").last).to_be_visible()
            hidden = "places => places.filter(one => one.scrollWidth > one.clientWidth + 1).length"
            assert (path, page.locator(".as-cards .scroll").evaluate_all(hidden)) == (path, 0)
        assert (path, find_violations(page)) == (path, [])
        visit.take_picture(f"settings-small-{scheme}-{path}")


def test_workspace_is_renamed_and_named_so_everywhere(service: ServiceProcess, visit: Visit) -> None:
    old = service.client.get("/api/v1/workspace/current").json()["name"]
    page = visit.enter("app/settings/workspace")
    visit.press("Rename")
    expect(visit.front.get_by_label("Name")).to_have_value(old)
    visit.fill("Name", "<b>Marketing</b> & sales")
    assert find_violations(page) == []
    visit.press("Save")
    visit.wait_for_notice("The workspace is renamed")
    expect(page.locator("#bar")).to_contain_text("<b>Marketing</b> & sales")
    expect(page.locator("main dd").first).to_have_text("<b>Marketing</b> & sales")
    assert service.client.get("/api/v1/workspace/current").json()["name"] == "<b>Marketing</b> & sales"
    page.reload()
    expect(page.locator("#bar")).to_contain_text("<b>Marketing</b> & sales")
    service.client.put("/api/v1/workspace/1", json={"name": old}).raise_for_status()


def test_tab_that_is_shown_again_has_the_new_name_and_theme(service: ServiceProcess, visit: Visit) -> None:
    old = service.client.get("/api/v1/workspace/current").json()["name"]
    page = visit.enter("app/settings/workspace")
    other = page.context.new_page()
    other.goto(f"{visit.base_url}/app/settings/appearance")
    expect(other.get_by_label("System")).to_be_checked()
    page.evaluate(HIDE, True)
    service.client.put("/api/v1/workspace/1", json={"name": "Renamed <elsewhere>"}).raise_for_status()
    other.get_by_label("Dark").check()
    expect(page.locator("#bar")).to_contain_text(old)
    page.evaluate(HIDE, False)
    expect(page.locator("#workspace")).to_have_text("Renamed <elsewhere>")
    expect(page.locator("#workspace")).to_have_attribute("title", re.compile("^Renamed <elsewhere>, "))
    expect(page.locator("main dd").first).to_have_text("Renamed <elsewhere>")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    visit.press("Rename")
    expect(visit.front.get_by_label("Name")).to_have_value("Renamed <elsewhere>")
    visit.press("Cancel")

    # Also the choice of the theme itself follows.
    visit.open("app/settings/appearance")
    expect(page.get_by_label("Dark")).to_be_checked()
    other.get_by_label("System").check()
    page.evaluate(HIDE, True)
    page.evaluate(HIDE, False)
    expect(page.get_by_label("System")).to_be_checked()
    service.client.put("/api/v1/workspace/1", json={"name": old}).raise_for_status()
