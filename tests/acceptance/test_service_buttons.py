"""The buttons that act on something that runs or was refused, pressed in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.fakes.browser import Visit
from tests.fakes.loopback import RawServer, serve_raw
from tests.fakes.saved_reports import save_report
from tests.fakes.service_process import ServiceProcess, run_ready_service
from tests.fakes.service_reports import ENDLESS

NOT_FINISHED = "not finished, because the run was cancelled"


def answer(body: bytes) -> bytes:
    """Make an answer of Slack's API."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


REFUSED = answer(b'{"ok": false, "error": "not_in_channel"}')
TAKEN = answer(b'{"ok": true, "ts": "1.2"}')


@pytest.fixture(scope="module", name="slack")
def start_slack() -> Iterator[RawServer]:
    with serve_raw(REFUSED) as slack:
        yield slack


@pytest.fixture(scope="module", name="service")
def start_service(tmp_path_factory: pytest.TempPathFactory, slack: RawServer) -> Iterator[ServiceProcess]:
    data_dir = tmp_path_factory.mktemp("buttons") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUSHMETRICS_SERVICE_SLACK_TOKEN", "xoxb-1234567890-s3cret")
        patch.setenv("PUSHMETRICS_SERVICE_SLACK_BASE_URL", f"{slack.url}/api/")
        with run_ready_service(data_dir, "--demo") as service:
            yield service


def test_refused_slack_message_is_shown_on_the_run_and_sent_again(
    service: ServiceProcess, slack: RawServer, visit: Visit
) -> None:
    content = {"channels": ["#sales"], "value_markdown": "Hello"}
    report_id = save_report(service, "Posts", ("slack", "post", content))
    slack.reply = REFUSED
    page = visit.enter(f"app/reports/{report_id}")
    visit.press("Run")
    visit.press("Run")
    block = page.get_by_label("Block post")
    expect(page.locator("dl.facts")).to_contain_text("success")
    expect(block).to_contain_text("#sales: kept, not delivered: not_in_channel")
    visit.take_picture("slack-refused")
    block.get_by_role("button", name="Send again").click()
    visit.wait_for_notice("The message will be sent")

    # The button is there again because the message was refused again.
    expect(block.get_by_role("button", name="Send again")).to_be_visible()
    slack.reply = TAKEN
    posted = len(slack.requests)
    block.get_by_role("button", name="Send again").click()
    visit.wait_for_notice("The message will be sent")
    expect(block).to_contain_text("#sales: sent")

    visit.follow("Settings")
    visit.follow("Messages")
    expect(page.get_by_role("row").filter(has_text="#sales")).to_contain_text("sent")
    assert len(slack.requests) == posted + 1


def test_database_dialog_tests_a_url_before_it_is_saved(service: ServiceProcess, visit: Visit) -> None:
    visit.expected = ["status of 422"]
    page = visit.enter("app/databases")
    visit.press("Add a database")
    visit.fill("Name", "tried")
    visit.fill("URL", "duckdb:///nothing-here.duckdb")
    visit.press("Test")
    visit.wait_for_notice("nothing-here.duckdb")
    visit.fill("URL", "duckdb:///flights.duckdb")
    visit.press("Test")
    visit.wait_for_notice("The database answers")
    names = [row["database_name"] for row in service.client.get("/api/v1/database/").json()["result"]]
    assert "tried" not in names

    visit.fill("Name", "flights")
    visit.press("Save")
    expect(visit.front.get_by_role("alert")).to_contain_text("already a database called 'flights'")
    visit.fill("Name", "tried")
    visit.press("Save")
    row = page.get_by_role("row").filter(has_text="tried")
    expect(row).to_be_visible()
    row.get_by_role("button", name="Edit").click()
    visit.press("Test")
    visit.wait_for_notice("tried: The database answers")


def test_cancelled_run_says_of_its_blocks_that_they_were_not_finished(
    service: ServiceProcess, visit: Visit
) -> None:
    endless = ("sql", "endless", {"sql": ENDLESS, "database_id": 1})
    report_id = save_report(service, "Slow", endless, ("text", "after", {"text": "{{ endless.data }}"}))
    page = visit.enter(f"app/reports/{report_id}")
    visit.press("Run")
    visit.press("Run")
    expect(page.locator("dl.facts")).to_contain_text("running")
    visit.press("Cancel")
    expect(page.locator("dl.facts")).to_contain_text("cancelled")
    for name in ("endless", "after"):
        expect(page.get_by_label(f"Block {name}")).to_contain_text(NOT_FINISHED)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    visit.take_picture("cancelled-blocks")
    run_id = page.url.rpartition("/")[2]
    outputs = service.client.get(f"/api/reports/{report_id}/run/{run_id}").json()
    assert (outputs["status"], outputs["error"]) == ("cancelled", "the run was cancelled")
    assert {block["error"] for block in outputs["blocks"]} == {NOT_FINISHED}


def test_block_that_runs_alone_is_cancelled_where_it_was_started(
    service: ServiceProcess, visit: Visit
) -> None:
    report_id = save_report(service, "Alone", ("sql", "endless", {"sql": ENDLESS, "database_id": 1}))
    page = visit.enter(f"app/reports/{report_id}")
    block = page.get_by_label("Block endless")
    block.get_by_role("button", name="Run endless").click()
    block.get_by_role("button", name="Cancel").click()
    expect(block.locator(".result")).to_contain_text(NOT_FINISHED)
    expect(block.locator(".result")).to_contain_text("not run")


def test_list_without_a_ticked_box_is_empty_and_not_the_default(
    service: ServiceProcess, visit: Visit
) -> None:
    colors = {"type": "text", "multiple": True, "choices": ["red", "green"], "default": ["red"]}
    text = {"text": "{{ colors | length }} colors"}
    report_id = save_report(service, "Colors", ("parameter", "colors", colors), ("text", "count", text))
    page = visit.enter(f"app/reports/{report_id}")
    visit.press("Run")
    page.get_by_role("dialog").get_by_label("red", exact=True).uncheck()
    visit.press("Run")
    expect(page.get_by_label("Block count")).to_contain_text("0 colors")

    visit.open(f"app/reports/{report_id}")
    visit.press("Run")
    page.get_by_role("dialog").get_by_label("green", exact=True).check()
    visit.press("Run")
    expect(page.get_by_label("Block count")).to_contain_text("2 colors")


def test_required_list_without_a_ticked_box_is_refused(service: ServiceProcess, visit: Visit) -> None:
    visit.expected = ["status of 422"]
    colors = {"type": "text", "multiple": True, "choices": ["red"], "default": ["red"], "required": True}
    report_id = save_report(service, "Required", ("parameter", "colors", colors))
    page = visit.enter(f"app/reports/{report_id}")
    visit.press("Run")
    page.get_by_role("dialog").get_by_label("red", exact=True).uncheck()
    visit.press("Run")
    expect(visit.front.get_by_role("alert")).to_contain_text("parameter 'colors' is required")
    assert re.search(r"/reports/\w+$", page.url)
