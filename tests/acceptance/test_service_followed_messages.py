"""What becomes of messages, on pages that follow it while somebody works there."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.acceptance.test_service_loading import wait_for
from tests.acceptance.test_service_notebook import block, make
from tests.fakes.browser import Visit, find_violations
from tests.fakes.saved_reports import wait_for_run
from tests.fakes.service_process import ServiceProcess

MAIL = {
    "type": "email",
    "name": "mail",
    "content": {
        "to_": "ann@example.com, bob@example.com, eve@example.com",
        "subject": "Sums",
        "value": "Dear all",
    },
}


def run_mail(service: ServiceProcess, name: str) -> tuple[str, int]:
    """Run a notebook with three mails, which are kept: the service has no mail server."""
    uid = make(service, name, MAIL)
    answer = service.client.post(f"/api/v1/report/{uid}/run/noteflow", json={}).raise_for_status()
    run = int(answer.json()["result"]["run_id"])
    wait_for_run(service, run)
    return uid, run


@pytest.mark.parametrize("of_run", [False, True], ids=["notebook", "run"])
def test_own_address_without_the_preview_sends_nothing(
    service: ServiceProcess, visit: Visit, of_run: bool
) -> None:
    """Without the address, the mails would go to their own recipients."""
    visit.expected = ["status of 422"]
    uid, run = run_mail(service, f"Preview {of_run}")
    page = visit.enter(f"app/reports/{uid}" + (f"/runs/{run}" if of_run else ""))
    visit.press("Run again with changes" if of_run else "Run")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("My address").fill("me@example.com")
    dialog.get_by_role("button", name="Run", exact=True).click()
    expect(dialog).to_contain_text("email is only for a preview: set send_to_me to true as well")
    runs = service.client.get("/api/v1/noteflow_run/").json()["result"]
    assert max(one["id"] for one in runs) == run


def find_message(page: Page, recipient: str) -> Locator:
    return block(page, "mail").locator(".messages li").filter(has_text=recipient)


def mark(place: Locator) -> None:
    """Mark an element: one that is drawn again has no mark."""
    place.evaluate("element => { element.isSame = true; }")


def is_marked(place: Locator) -> bool:
    return bool(place.evaluate("element => element.isSame"))


@pytest.mark.parametrize("of_run", [False, True], ids=["notebook", "run"])
def test_message_that_is_sent_again_takes_no_focus_and_no_selection_of_others(
    service: ServiceProcess, visit: Visit, of_run: bool
) -> None:
    uid, run = run_mail(service, "Focus")
    page = visit.enter(f"app/reports/{uid}" + (f"/runs/{run}" if of_run else ""))
    ann, bob, eve = (find_message(page, name) for name in ("ann", "bob", "eve"))
    for message in (ann, bob, eve):
        expect(message).to_contain_text("kept, not delivered")
    assert find_violations(page) == []
    for message in (ann, bob, eve):
        mark(message)
    ann.get_by_role("button", name="Send again").click()
    visit.wait_for_notice("The message will be sent")
    bob.get_by_role("button", name="Send again").focus()
    eve.locator(".fault").evaluate("element => getSelection().selectAllChildren(element)")
    wait_for(page, lambda: not is_marked(ann))
    expect(ann).to_contain_text("kept, not delivered")
    expect(ann.get_by_role("button", name="Send again")).to_be_visible()
    expect(bob.get_by_role("button", name="Send again")).to_be_focused()
    assert page.evaluate("String(getSelection())").startswith("kept, not delivered")
    assert (is_marked(bob), is_marked(eve)) == (True, True)


def test_focus_stays_at_a_message_that_is_sent_again_by_the_keyboard(
    service: ServiceProcess, visit: Visit
) -> None:
    uid, _ = run_mail(service, "Keyboard")
    page = visit.enter(f"app/reports/{uid}")
    bob = find_message(page, "bob")
    mark(bob)
    bob.get_by_role("button", name="Send again").press("Enter")
    wait_for(page, lambda: not is_marked(bob))
    expect(bob).to_contain_text("kept, not delivered")
    expect(bob).to_be_focused()
    page.keyboard.press("Tab")
    expect(bob.get_by_role("button", name="Send again")).to_be_focused()


@pytest.mark.parametrize("of_run", [False, True], ids=["notebook", "run"])
def test_messages_are_followed_on_after_a_read_that_fails(
    service: ServiceProcess, visit: Visit, of_run: bool
) -> None:
    visit.expected = ["status of 502", "ERR_FAILED"]
    uid, run = run_mail(service, "Outage")
    page = visit.enter(f"app/reports/{uid}" + (f"/runs/{run}" if of_run else ""))
    ann = find_message(page, "ann")
    expect(ann).to_contain_text("kept, not delivered")
    # A new connection for changes would let the page read everything again.
    page.route("**/app/changes", lambda route: route.abort())
    reads = 0

    def answer(route: Route) -> None:
        """Answer that the messages wait, then twice that the service is away, and then what is so."""
        nonlocal reads
        reads += 1
        if reads in (2, 3):
            return route.fulfill(status=502, body="")
        answer = route.fetch()
        body: Any = answer.json()
        for result in body["blocks"] if of_run else body["result"]["results"]:
            for message in result["messages"] if reads == 1 else []:
                message["status"] = "pending"
        return route.fulfill(response=answer, json=body)

    page.route(f"**/api/reports/*/run/{run}" if of_run else f"**/app/notebook/{uid}", answer)
    ann.get_by_role("button", name="Send again").click()
    expect(ann).to_contain_text("waits to be sent")
    expect(ann).to_contain_text("kept, not delivered")
    assert reads >= 4
    expect(page.locator("#notices")).not_to_contain_text("502")
