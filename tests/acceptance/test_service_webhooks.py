"""The pages of webhooks in a browser, before real endpoints, and the code that they give for receivers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Page, expect

from airflow_provider_pushmetrics.signatures import decode_secret, sign
from tests.fakes.browser import Visit, find_violations
from tests.fakes.service_process import ServiceProcess, find_free_port
from tests.fakes.service_subscriber import Received, Subscriber
from tests.fakes.waiting import LIMIT_SECONDS, wait_until

SUBSCRIPTIONS = "/api/v1/webhook_subscription"
HOSTILE = "<script>window.hacked = 1</script> \u202e عربى 🙂 " + "x" * 150


@pytest.fixture(name="webhook")
def make_webhook(service: ServiceProcess, subscriber: Subscriber) -> Iterator[dict[str, str]]:
    made = service.subscribe(subscriber.url, "report.updated")
    yield {"uid": made["result"]["uid"], "id": made["id"], "secret": made["signing_secret"]}
    service.client.delete(f"{SUBSCRIPTIONS}/{made['id']}")


def tell_wide(page: Page) -> list[str]:
    """List what is wider than the screen and cannot be scrolled."""
    wide: list[str] = page.evaluate(
        "[...document.querySelectorAll('main :not(pre *)')]"
        ".filter(one => one.getBoundingClientRect().right > innerWidth + 1)"
        ".map(one => one.outerHTML.slice(0, 80))"
    )
    return wide


def test_webhook_is_created_tested_and_deleted_by_the_keyboard(
    service: ServiceProcess, visit: Visit, subscriber: Subscriber
) -> None:
    page = visit.enter("app/webhooks")
    expect(page.get_by_role("heading", name="Webhooks", exact=True)).to_be_visible()
    page.get_by_role("button", name="New webhook").first.focus()
    page.keyboard.press("Enter")
    visit.front.get_by_label("Name", exact=True).focus()
    page.keyboard.type("By hand")
    page.keyboard.press("Tab")
    page.keyboard.type(subscriber.url)
    page.keyboard.press("Enter")
    secret = page.get_by_role("textbox", name="Secret").input_value()
    page.get_by_role("button", name="I have kept it").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="By hand")).to_be_visible()
    expect(page.locator("dl.facts")).to_contain_text("no deliveries")
    assert secret not in page.content()

    subscriber.answer = b"taken <b>well</b>"
    page.get_by_role("button", name="Send a test").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main").get_by_role("status")).to_contain_text("The test event was delivered.")
    expect(page.locator("main").get_by_role("status")).to_contain_text("The endpoint answered 202 in")
    expect(page.locator("main").get_by_role("status")).to_contain_text("taken <b>well</b>")
    subscriber.wait_for(lambda one: one.event["event"] == "webhook.test").verify(secret)
    expect(page.locator("dl.facts")).to_contain_text("1 of 1 delivery")
    expect(page.get_by_role("row").nth(1)).to_contain_text("answered 202")
    expect(page.get_by_role("button", name="Send a test")).to_be_focused()
    assert find_violations(page) == []
    visit.take_picture("webhook")

    page.get_by_role("button", name="Delete the webhook").focus()
    page.keyboard.press("Enter")
    visit.front.get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    visit.wait_for_notice("The webhook is deleted")
    expect(page).to_have_url(re.compile("/app/webhooks$"))


def test_failed_test_shows_the_answer_and_the_rate_says_so(
    visit: Visit, subscriber: Subscriber, webhook: dict[str, str]
) -> None:
    subscriber.statuses[:] = [503]
    subscriber.answer = b"out of order"
    page = visit.enter(f"app/webhooks/{webhook['uid']}")
    visit.press("Send a test")
    expect(page.locator("main").get_by_role("status")).to_contain_text("The test event was not delivered.")
    expect(page.locator("main").get_by_role("status")).to_contain_text("The endpoint answered 503")
    expect(page.locator("main").get_by_role("status")).to_contain_text("out of order")
    expect(page.locator("dl.facts")).to_contain_text("0 of 1 delivery, 1 retry pending")
    assert find_violations(page) == []
    visit.take_picture("webhook-failed")

    subscriber.statuses[:] = [410]
    visit.press("Send again")
    visit.wait_for_notice("is sent again")
    expect(page.get_by_role("row").nth(1)).to_contain_text("answered 410")
    visit.follow("Webhooks")
    row = page.get_by_role("row").filter(has=page.locator(f"a[href$='{webhook['uid']}']"))
    expect(row).to_contain_text("0%")
    expect(row).to_contain_text("disabled")
    expect(row).to_contain_text("410 Gone")
    visit.take_picture("webhooks")
    row.get_by_role("link").click()
    expect(page.get_by_role("button", name="Send a test")).to_have_count(0)
    visit.press("Enable")
    expect(page.get_by_role("button", name="Send a test")).to_be_visible()
    subscriber.statuses[:] = [200]
    visit.press("Send events again")
    visit.press("Count")
    visit.press("Send 1 event again")
    visit.wait_for_notice("1 event on the way")
    expect(page.get_by_role("row").nth(1)).to_contain_text("answered 200")
    visit.follow("Delivery " + page.get_by_role("row").nth(1).inner_text().split()[1])
    expect(page.get_by_label("Attempts").first).to_contain_text("410")
    assert find_violations(page) == []
    visit.take_picture("delivery")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_events_that_the_endpoint_accepted_are_sent_again_if_wanted(
    visit: Visit, subscriber: Subscriber, webhook: dict[str, str], scheme: Literal["light", "dark"]
) -> None:
    visit.page.emulate_media(color_scheme=scheme)
    if scheme == "dark":
        visit.page.set_viewport_size({"width": 360, "height": 740})
    page = visit.enter(f"app/webhooks/{webhook['uid']}")
    visit.press("Send a test")
    expect(page.locator("main").get_by_role("status")).to_contain_text("The endpoint answered 202")
    visit.press("Send events again")
    visit.press("Count")
    visit.wait_for_notice("No failed event in this period")

    visit.press("Send events again")
    visit.front.get_by_label("Also events that the endpoint accepted").check()
    assert find_violations(page) == []
    visit.take_picture(f"webhook-resend-{scheme}")
    visit.press("Count")
    expect(visit.front).to_contain_text("1 failed or accepted event in this period.")
    assert len(subscriber.received) == 1, "nothing is sent before it is confirmed"
    visit.press("Send 1 event again")
    visit.wait_for_notice("1 event on the way")
    wait_until(lambda: len(subscriber.received) == 2, "the event is sent again")
    assert len({one.headers["webhook-id"] for one in subscriber.received}) == 1


def test_filters_are_in_the_address(
    service: ServiceProcess, visit: Visit, subscriber: Subscriber, webhook: dict[str, str]
) -> None:
    service.client.post(f"{SUBSCRIPTIONS}/{webhook['id']}/test").raise_for_status()
    report = service.client.post("/api/v1/report/", json={"name": "Changed"}).raise_for_status().json()
    service.client.put(f"/api/v1/report/{report['id']}", json={"name": "Changed again"}).raise_for_status()
    subscriber.wait_for(lambda one: one.event["event"] == "report.updated")
    page = visit.enter(f"app/webhooks/{webhook['uid']}")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(page.get_by_text("pending")).to_have_count(1)  # only the option: both have arrived
    page.get_by_label("Event").select_option("report.updated")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("report.updated")
    expect(page).to_have_url(re.compile(r"\?event=report\.updated$"))
    page.get_by_label("State").select_option("failed")
    expect(page.get_by_text("No matching delivery")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("State")).to_have_value("")
    expect(page.get_by_label("Event")).to_have_value("report.updated")
    expect(rows).to_have_count(1)
    rows.first.get_by_role("link").click()
    expect(page.get_by_label("Payload")).to_contain_text("Changed again")
    page.go_back()
    expect(rows).to_have_count(1)
    visit.open(f"app/webhooks/deliveries?webhook={webhook['id']}&event=webhook.test")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("webhook.test")
    assert find_violations(page) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("subscriptions", "webhooks"),
        ("deliveries?subscription=1", "webhooks/deliveries?webhook=1"),
        ("deliveries/1", "webhooks/deliveries/1"),
    ],
)
def test_old_addresses_lead_to_the_pages(visit: Visit, old: str, new: str) -> None:
    visit.expected = ["status of 404"]
    page = visit.enter(f"app/{old}")
    expect(page).to_have_url(f"{visit.base_url}/app/{new}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_small_screen(
    service: ServiceProcess, visit: Visit, subscriber: Subscriber, scheme: Literal["light", "dark"]
) -> None:
    body = {"name": HOSTILE, "url": f"{subscriber.url}/{'long' * 60}", "events": ["report.run", "query.run"]}
    made = service.client.post(f"{SUBSCRIPTIONS}/", json=body).raise_for_status().json()
    delivery = service.client.post(f"{SUBSCRIPTIONS}/{made['id']}/test").raise_for_status().json()
    subscriber.wait_for(lambda one: True)
    visit.page.set_viewport_size({"width": 360, "height": 740})
    visit.page.emulate_media(color_scheme=scheme)
    page = visit.enter("app/webhooks")
    expect(page.get_by_role("heading", name="Webhooks", exact=True)).to_be_visible()
    uid = made["result"]["uid"]
    places = (
        "webhooks",
        f"webhooks/{uid}",
        "webhooks/deliveries",
        f"webhooks/deliveries/{delivery['result']['uid']}",
    )
    for number, place in enumerate(places):
        visit.open(f"app/{place}")
        expect(page.locator("tbody tr").first).to_be_visible()
        assert (place, tell_wide(page)) == (place, [])
        assert (place, find_violations(page)) == (place, [])
        visit.take_picture(f"webhooks-small-{scheme}-{number}")
    assert page.evaluate("window.hacked") is None
    service.client.delete(f"{SUBSCRIPTIONS}/{made['id']}")


def test_rotated_secret_is_shown_once_with_the_end_of_the_old_one(
    visit: Visit, subscriber: Subscriber, webhook: dict[str, str]
) -> None:
    page = visit.enter(f"app/webhooks/{webhook['uid']}")
    visit.press("Rotate secret")
    visit.press("Rotate")
    expect(visit.front).to_contain_text("The old secret signs too until")
    secret = page.get_by_role("textbox", name="Secret").input_value()
    assert find_violations(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("textbox", name="Secret")).to_have_value(secret)
    visit.press("I have kept it")
    assert secret not in page.content()
    visit.press("Send a test")
    received = subscriber.wait_for(lambda one: one.event["event"] == "webhook.test")
    received.verify(secret)
    received.verify(webhook["secret"])


# --- the code for receivers ---------------------------------------------------------------------------------


def read_sample(visit: Visit, uid: str, name: str) -> str:
    """Copy a sample from the page of a webhook."""
    page = visit.enter(f"app/webhooks/{uid}")
    visit.press(name)
    visit.press("Copy the code")
    visit.wait_for_notice(f"The code for {name} copied")
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


@contextmanager
def run_receiver(command: list[str], secret: str, port: int) -> Iterator[str]:
    """Run a sample that is a receiver."""
    environment = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(port)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/hook"

    def answers() -> bool:
        assert process.poll() is None
        try:
            return httpx.post(url, trust_env=False).status_code == 401
        except httpx.TransportError:
            return False

    try:
        wait_until(answers, "the receiver")
        yield url
    finally:
        process.kill()
        process.wait(LIMIT_SECONDS)


def post_signed(url: str, secret: str, *, sent: bytes = b"{}", age: int = 0) -> int:
    """Post the signature of an empty event with this body, made some seconds ago."""
    timestamp = int(time.time()) - age
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,bm90IGl0 {sign(decode_secret(secret), 'msg_1', timestamp, b'{}')}",
    }
    return httpx.post(url, content=sent, headers=headers, trust_env=False).status_code


@pytest.mark.parametrize(
    ("name", "file", "program"),
    [("Python", "receiver.py", sys.executable), ("Node.js", "receiver.mjs", "node")],
)
def test_receiver_of_a_sample_takes_real_deliveries_and_refuses_others(
    service: ServiceProcess, visit: Visit, tmp_path: Path, name: str, file: str, program: str
) -> None:
    port = find_free_port()
    made = service.subscribe(f"http://127.0.0.1:{port}/hook", "report.created")
    uid, secret = made["result"]["uid"], made["signing_secret"]
    (tmp_path / file).write_text(read_sample(visit, uid, name), "utf-8")
    other = service.subscribe("http://127.0.0.1:1/hook", "report.created")["signing_secret"]
    with run_receiver([program, str(tmp_path / file)], secret, port) as url:
        visit.press("Send a test")
        expect(visit.page.locator("main").get_by_role("status")).to_contain_text("The endpoint answered 204")
        visit.press("Rotate secret")
        visit.press("Rotate")
        visit.press("I have kept it")
        visit.press("Send a test")
        expect(visit.page.locator("tbody tr").filter(has_text="answered 204")).to_have_count(2)
        assert post_signed(url, secret) == 204
        assert post_signed(url, secret, sent=b'{"a": 1}') == 401
        assert post_signed(url, other) == 401
        assert post_signed(url, secret, age=301) == 401
        assert post_signed(url, secret, age=-310) == 401


def save_delivery(service: ServiceProcess, subscriber: Subscriber, webhook: dict[str, str]) -> Received:
    service.client.post(f"{SUBSCRIPTIONS}/{webhook['id']}/test").raise_for_status()
    return subscriber.wait_for(lambda one: one.event["event"] == "webhook.test")


def test_sample_of_openssl_verifies_a_saved_delivery(
    service: ServiceProcess, visit: Visit, subscriber: Subscriber, webhook: dict[str, str], tmp_path: Path
) -> None:
    script, saved = tmp_path / "verify.sh", tmp_path / "body.json"
    script.write_text(read_sample(visit, webhook["uid"], "openssl"), "utf-8")
    received = save_delivery(service, subscriber, webhook)
    environment = {
        **os.environ,
        "WEBHOOK_SECRET": webhook["secret"],
        "WEBHOOK_ID": received.headers["webhook-id"],
        "WEBHOOK_TIMESTAMP": received.headers["webhook-timestamp"],
        "WEBHOOK_SIGNATURE": f"v1,bm90IGl0 {received.headers['webhook-signature']}",
    }

    def run(body: bytes, **changes: str) -> tuple[int, str, str]:
        saved.write_bytes(body)
        done = subprocess.run(
            ["sh", str(script), str(saved)], env={**environment, **changes}, capture_output=True, text=True
        )
        return done.returncode, done.stdout, done.stderr

    assert run(received.body) == (0, "genuine\n", "")
    assert run(received.body + b" ") == (1, "", "not genuine\n")
    assert run(received.body, WEBHOOK_SECRET="whsec_" + "A" * 43 + "=") == (1, "", "not genuine\n")
    assert run(received.body, WEBHOOK_SIGNATURE="v1,*") == (1, "", "not genuine\n")
    assert run(received.body, WEBHOOK_TIMESTAMP="") == (1, "", "no timestamp\n")
    old = str(int(received.headers["webhook-timestamp"]) - 400)
    assert run(received.body, WEBHOOK_TIMESTAMP=old)[0] == 1


def test_sample_of_curl_sends_what_a_receiver_verifies(
    service: ServiceProcess, visit: Visit, subscriber: Subscriber, tmp_path: Path
) -> None:
    body = {
        "name": "curl",
        "url": f"{subscriber.url}?it's=1&home=$HOME;exit",
        "events": ["report.run"],
        "headers": {"X-Own-Key": "hidden"},
    }
    made = service.client.post(f"{SUBSCRIPTIONS}/", json=body).raise_for_status().json()
    script = tmp_path / "send.sh"
    script.write_text(read_sample(visit, made["result"]["uid"], "curl"), "utf-8")
    environment = {**os.environ, "WEBHOOK_SECRET": made["signing_secret"], "X_OWN_KEY": "given"}
    done = subprocess.run(["sh", str(script)], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "202" in done.stdout.splitlines()[0]
    received = subscriber.wait_for(lambda one: one.event["event"] == "webhook.test")
    received.verify(made["signing_secret"])
    assert received.headers["x-own-key"] == "given"
    assert received.path == "/hook?it's=1&home=$HOME;exit"
