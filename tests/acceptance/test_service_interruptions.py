"""What pages do when a session ends, the service is away for a while, or its answer comes late."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from playwright.sync_api import Page, Response, Route, expect

from tests.acceptance.test_service_live import HIDE
from tests.acceptance.test_service_loading import count_event_bytes, wait_for_event
from tests.fakes.browser import Visit, find_violations
from tests.fakes.saved_reports import query, save_report, start_run, wait_for_run
from tests.fakes.service_process import ServiceProcess
from tests.fakes.service_reports import ENDLESS
from tests.fakes.service_subscriber import Subscriber
from tests.fakes.waiting import LIMIT_SECONDS

SIGNED_OUT = "You are signed out, and this page may be out of date."


def run_to_its_end(service: ServiceProcess, report_id: int) -> None:
    wait_for_run(service, start_run(service, report_id))


def find_uid(service: ServiceProcess, report_id: int) -> str:
    uid: str = service.client.get(f"/api/v1/report/{report_id}").json()["result"]["uid"]
    return uid


def send_test(service: ServiceProcess, url: str) -> str:
    """Send a test event to a new webhook, and give the uid of its delivery."""
    made = service.subscribe(url, "report.created")
    sent = service.client.post(f"/api/v1/webhook_subscription/{made['id']}/test").raise_for_status()
    uid: str = sent.json()["result"]["uid"]
    return uid


def sign_in_at_the_edge(visit: Visit) -> None:
    """Sign in by the notice of a live page."""
    outage = visit.page.locator("#outage")
    expect(outage).to_contain_text(SIGNED_OUT)
    expect(visit.page.get_by_role("dialog")).to_have_count(0)
    outage.get_by_role("button", name="Sign in").click()
    visit.sign_in()
    expect(outage).to_be_hidden()


def is_refused(part: str) -> Any:
    """Make the condition that a call of some path is refused."""

    def is_one(response: Response) -> bool:
        return response.status == 401 and part in response.url

    return is_one


def test_block_that_runs_while_the_session_ends_opens_no_dialog_and_is_followed_to_its_end(
    service: ServiceProcess, visit: Visit
) -> None:
    visit.expected = ["status of 401"]
    report = save_report(service, "Idle", query("endless", ENDLESS))
    page = visit.enter(f"app/reports/{report}")
    block = page.get_by_label("Block endless")
    with page.expect_response(lambda one: one.url.endswith("/run") and one.ok) as started:
        page.get_by_role("button", name="Run endless").click()
    run = started.value.json()["run_id"]
    expect(block).to_contain_text("running")
    with page.expect_response(is_refused("app/notebook/")):
        page.context.clear_cookies()
    uid = service.client.get(f"/api/v1/report/{report}").json()["result"]["blocks"][0]["uid"]
    service.client.post(f"/api/v1/block/{uid}/run/{run}/cancel").raise_for_status()
    sign_in_at_the_edge(visit)
    expect(block).to_contain_text("cancelled")
    expect(page.locator("#notices")).to_have_text("")


def test_result_that_is_scrolled_to_after_the_session_ended_is_read_on_demand(
    service: ServiceProcess, visit: Visit
) -> None:
    visit.expected = ["status of 401"]
    report = save_report(
        service, "Long", *(query(f"q{place}", f"SELECT {place} AS n") for place in range(30))
    )
    run_to_its_end(service, report)
    page = visit.enter(f"app/reports/{report}")
    expect(page.get_by_label("Block q0", exact=True).locator("tbody")).to_contain_text("0")
    page.context.clear_cookies()
    last = page.get_by_label("Block q29", exact=True)
    with page.expect_response(is_refused("/rows")):
        last.scroll_into_view_if_needed()
    expect(last.locator(".rows .fault")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    before = page.get_by_label("Block q28", exact=True)
    expect(before.locator(".rows .fault")).to_be_visible()
    last.get_by_role("button", name="Try again").click()
    visit.sign_in()
    expect(last.locator("tbody")).to_contain_text("29")
    expect(before.locator("tbody")).to_contain_text("28")


def test_live_list_of_reports_opens_no_sign_in_for_their_activity(
    service: ServiceProcess, visit: Visit
) -> None:
    visit.expected = ["status of 401"]
    report = save_report(service, "Active", query("one", "SELECT 1 AS n"))
    page = visit.enter("app/reports")
    expect(page.get_by_role("link", name="Active")).to_be_visible()
    page.route("**/app/activity/reports?*", lambda route: route.fulfill(status=401, body="{}"))
    run_to_its_end(service, report)
    expect(page.locator("#outage")).to_contain_text(SIGNED_OUT)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_delivery_that_is_followed_keeps_the_selection_and_opens_no_sign_in(
    service: ServiceProcess, visit: Visit, subscriber: Subscriber
) -> None:
    visit.expected = ["status of 401"]
    is_free = threading.Event()
    subscriber.before_answer = lambda: is_free.wait(LIMIT_SECONDS)
    try:
        delivery = send_test(service, subscriber.url)
        page = visit.enter(f"app/webhooks/deliveries/{delivery}")
        expect(page.locator("dl.facts")).to_contain_text("pending")
        select(page, "dl.facts code")
        with page.expect_response(f"**/api/v1/webhook_delivery/{delivery}"):
            pass
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.evaluate("String(getSelection())") == "webhook.test"
        page.context.clear_cookies()
        visit.wait_for_notice("You are signed out.")
        expect(page.get_by_role("dialog")).to_have_count(0)
    finally:
        is_free.set()


def select(page: Page, selector: str) -> None:
    """Select the text of an element, as a mouse does."""
    page.locator(selector).first.evaluate("element => getSelection().selectAllChildren(element)")


def test_filter_of_deliveries_that_fails_says_so(service: ServiceProcess, visit: Visit) -> None:
    visit.expected = ["status of 503"]
    page = visit.enter("app/webhooks/deliveries")
    expect(page.get_by_role("heading", name="Deliveries")).to_be_visible()
    answer = '{"message": "The service is busy"}'
    page.route(
        "**/api/v1/webhook_delivery/?*",
        lambda route: route.fulfill(status=503, body=answer, content_type="application/json"),
    )
    page.get_by_label("State").select_option("failed")
    visit.wait_for_notice("The service is busy")


def test_service_that_is_away_when_the_page_is_opened_is_said_with_a_button(visit: Visit) -> None:
    visit.expected = ["ERR_FAILED"]
    page = visit.page
    page.route("**/app/session", lambda route: route.abort())
    visit.open("app/runs")
    expect(page.get_by_role("alert")).to_contain_text("The service does not respond.")
    assert find_violations(page) == []
    page.unroute_all()
    visit.press("Reload")
    visit.sign_in()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()


def test_notice_of_a_dialog_is_read_and_closed_in_it(visit: Visit) -> None:
    page = visit.enter("app/settings/databases")
    visit.press("Add a database")
    visit.fill("URL", "duckdb:///flights.duckdb")
    visit.press("Test")
    visit.wait_for_notice("The database answers")
    assert find_violations(page) == []
    visit.take_picture("notice-in-dialog")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.locator("#notices")).to_have_text("")
    page.keyboard.press("Escape")
    visit.press("Discard")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("body > #notices")).to_have_count(1)


def test_late_queries_of_a_report_are_not_offered_for_another_one(
    service: ServiceProcess, visit: Visit
) -> None:
    first = find_uid(service, save_report(service, "First", query("of_first", "SELECT 1 AS n")))
    second = find_uid(service, save_report(service, "Second", query("of_second", "SELECT 2 AS n")))
    page = visit.enter("app/schedules")
    held: list[Route] = []
    page.route(f"**/api/v1/report/{first}", lambda route: held.append(route))
    visit.press("New schedule")
    visit.front.get_by_label("Report").select_option("Second")
    runs = visit.front.get_by_label("Runs", exact=True).first
    expect(runs).to_contain_text("only the query of_second")
    with page.expect_request(f"**/api/v1/report/{first}"):
        visit.front.get_by_label("Report").select_option("First")
    expect(runs).not_to_contain_text("of_second")
    with page.expect_response(f"**/api/v1/report/{second}"):
        visit.front.get_by_label("Report").select_option("Second")
    expect(runs).to_contain_text("only the query of_second")
    with page.expect_response(f"**/api/v1/report/{first}"):
        held[0].continue_()
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(runs.locator("option")).to_have_text(["the whole report", "only the query of_second"])


def test_changes_of_a_yaml_that_was_changed_meanwhile_are_not_shown(
    service: ServiceProcess, visit: Visit
) -> None:
    report = save_report(service, "Written", query("one", "SELECT 1 AS n"))
    page = visit.enter(f"app/reports/{report}/yaml")
    document = page.get_by_role("textbox", name="YAML")
    document.fill(document.input_value().replace("SELECT 1", "SELECT 2"))
    held: list[Route] = []
    page.route("**/config?*", lambda route: held.append(route))
    with page.expect_request("**/config?*"):
        visit.press("Show changes")
    document.fill(document.input_value().replace("SELECT 2", "SELECT 3"))
    held[0].continue_()
    page.unroute_all()
    expect(page.get_by_text("The form was changed while the service answered.")).to_be_visible()
    expect(page.locator("pre.diff")).to_have_count(0)
    visit.press("Show changes")
    expect(page.locator("pre.diff")).to_contain_text("SELECT 3")


def test_recipients_are_saved_beside_what_others_put_into_the_details(
    service: ServiceProcess, visit: Visit
) -> None:
    report = save_report(service, "Called", query("one", "SELECT 1 AS n"))
    visit.enter(f"app/reports/{report}/triggers")
    visit.press("Generate a trigger")
    visit.wait_for_notice("The trigger is ready")
    trigger = service.client.get("/api/v1/webhook/").json()["result"][-1]
    path = f"/api/v1/webhook/{trigger['uid']}"
    details = {"owner": "finance"}
    assert service.client.put(path, json={"details": details}).status_code == 200
    visit.fill("Mail to", "team@example.com")
    visit.press("Save recipients")
    visit.wait_for_notice("Saved")
    saved = service.client.get(path).json()["result"]
    assert saved["recipients_json"] == ["team@example.com"]
    assert "finance" in str(saved["details"])


@pytest.mark.parametrize("is_hidden", [False, True])
def test_live_page_whose_read_is_never_answered_says_so_and_is_live_again(
    service: ServiceProcess, visit: Visit, is_hidden: bool
) -> None:
    """A tab that was hidden meanwhile has another connection than the one on which the read began."""
    visit.page.clock.install()
    page = visit.enter("app/runs")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    outage = page.locator("#outage")
    hung: list[Route] = []
    page.route("**/api/v1/noteflow_run/?*", lambda route: hung.append(route))
    with page.expect_request("**/api/v1/noteflow_run/?*"):
        run = start_run(service, 1)
    if is_hidden:
        page.evaluate(HIDE, True)
        events = count_event_bytes(page)
        page.evaluate(HIDE, False)
        wait_for_event(page, events)
    expect(outage).to_be_hidden()
    page.clock.fast_forward(31_000)
    expect(outage).to_contain_text("The service does not respond, and this page may be out of date.")
    assert hung
    page.unroute_all()
    outage.get_by_role("button", name="Try now").click()
    expect(page.get_by_role("link", name=f"Run {run}", exact=True)).to_be_visible()
    expect(outage).to_be_hidden()
