"""The web interface of a real service in a real browser, as a team uses it."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from playwright.sync_api import expect

from tests.fakes.browser import Visit
from tests.fakes.service_process import API_TOKEN, ServiceProcess
from tests.fakes.service_subscriber import listen
from tests.fakes.waiting import LIMIT_SECONDS

HOSTILE = "<img src=x onerror='window.hacked=1'>"


def test_who_signs_in_comes_back_to_the_page_and_leaves_no_token_behind(visit: Visit, data_dir: Path) -> None:
    visit.expected = ["status of 401"]
    page = visit.page
    visit.open("")
    assert page.url.endswith("/app/")
    visit.sign_in("pmpat_" + "x" * 43)
    expect(page.get_by_role("alert")).to_contain_text("invalid")
    visit.sign_in()
    expect(page.get_by_role("heading", name="Welcome to the demo")).to_be_visible()
    visit.follow("Reports")
    expect(page.get_by_role("heading", name="Reports")).to_be_visible()
    visit.take_picture("reports")

    page.context.clear_cookies()  # as when the session has ended
    visit.follow("Settings")
    visit.sign_in()
    expect(page.get_by_role("heading", name="Databases")).to_be_visible()
    expect(page.get_by_role("cell", name="flights", exact=True)).to_be_visible()
    visit.press("Test")
    visit.wait_for_notice("The database answers")

    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert stored == '[{},{},""]'
    assert API_TOKEN not in page.content()
    cookie = page.context.cookies()[0]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert API_TOKEN not in str(cookie)
    log = data_dir.with_suffix(".log").read_text("utf-8")
    assert "POST /app/session 200" in log
    assert API_TOKEN not in log
    assert cookie["value"] not in log

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.context.cookies() == []


def test_a_report_is_made_run_read_and_downloaded(service: ServiceProcess, visit: Visit) -> None:
    visit.expected = ["status of 422"]
    page = visit.enter("app/reports")
    visit.press("New report")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="New report")).to_be_focused()
    page.keyboard.press("Enter")
    visit.fill("Name", f"Sums {HOSTILE}")
    visit.press("Create")
    expect(page.get_by_text("This report has no blocks yet")).to_be_visible()
    visit.add_block("Parameter", "top", {"Type": "integer", "Default": "120"})
    visit.add_block(
        "SQL",
        "numbers",
        {
            "Database": "flights",
            "SQL": f"SELECT range AS n, $${HOSTILE}$$ AS hostile FROM range(CAST({{{{ top }}}} AS INTEGER))",
        },
    )
    visit.add_block("Text", "summary", {"Text": "{{ numbers.data | length }} rows"})
    visit.add_block("Chart", "bars", {"Rows of": "numbers", "X": "n", "X has": "Ordered values", "Y": "n"})
    expect(page.locator("ol.blocks > li")).to_have_count(4)

    # a circle is refused where it is written
    page.get_by_role("button", name="Edit numbers").click()
    for name in ("Contents", "main", "airlines"):
        page.get_by_text(name, exact=True).click()
    expect(page.locator(".catalog").first).to_contain_text("carrier VARCHAR")
    page.get_by_label("SQL", exact=True).fill("SELECT '{{ summary }}'")
    visit.press("Save")
    expect(page.get_by_role("alert")).to_contain_text("summary")
    visit.press("Cancel")
    visit.press("Discard")

    # one block alone, then all of them
    page.get_by_role("form", name="Parameters").get_by_label("top").fill("7")
    page.get_by_role("button", name="Run numbers").click()
    expect(page.get_by_label("Block numbers").locator(".result")).to_contain_text("7 rows")
    page.get_by_role("button", name="Use the defaults").click()
    page.get_by_role("button", name="Move summary up").click()
    expect(page.locator("ol.blocks > li").nth(1)).to_contain_text("summary")
    visit.take_picture("report")
    visit.press("Run")
    visit.press("Run")
    expect(page.get_by_role("button", name="Run again", exact=True)).to_be_visible()
    expect(page.locator("dl.facts")).to_contain_text("success")
    numbers = page.get_by_label("Block numbers")
    expect(numbers).to_contain_text("120 rows")
    expect(numbers.locator("tbody tr")).to_have_count(50)
    expect(numbers.locator("tbody tr").first).to_contain_text("<img src=x")
    numbers.get_by_role("button", name="Next").click()
    expect(numbers).to_contain_text("Rows 51 to 100 of 120")
    expect(page.get_by_label("Block summary")).to_contain_text("120 rows")
    expect(page.get_by_label("Log")).to_contain_text("the run ends: success")
    chart = page.get_by_role("img", name="Chart bars")
    expect(chart).to_be_visible()
    expect(chart.locator("svg")).to_contain_text("119")
    visit.take_picture("run")
    with page.expect_download() as download:
        numbers.get_by_role("link", name="Download as CSV").click()
    lines = download.value.path().read_text("utf-8").splitlines()
    assert (lines[0], len(lines)) == ("n,hostile", 121)
    assert re.fullmatch(r"numbers-\d+\.csv", download.value.suggested_filename)

    first = page.url
    visit.press("Run again")
    page.wait_for_url(lambda url: url != first)
    expect(page.locator("dl.facts")).to_contain_text("success")
    assert page.evaluate("window.hacked") is None


def test_a_failing_block_says_what_the_database_said_and_a_running_one_can_be_cancelled(visit: Visit) -> None:
    page = visit.enter("app/reports")
    visit.press("From YAML")
    visit.fill(
        "YAML",
        "name: Broken\nblocks:\n"
        "- {name: typo, type: sql, content: {database: flights, sql: 'SELECT no_such_column FROM flights'}}\n"
        "- {name: after, type: text, content: {text: '{{ typo.data }}'}}\n",
    )
    visit.press("Create")
    visit.press("Run")
    visit.press("Run")
    expect(page.get_by_label("Block typo")).to_contain_text("no_such_column")
    expect(page.get_by_label("Block after")).to_contain_text("not run")

    page.get_by_role("link", name="Broken").click()
    visit.follow("YAML")
    visit.fill(
        "YAML",
        "name: Slow\nblocks:\n- name: endless\n  type: sql\n  content:\n    database: flights\n"
        "    sql: SELECT sum(hash(a.range + b.range)) FROM range(1200000000) a, range(20000) b\n",
    )
    visit.press("Show changes")
    expect(page.locator("pre.diff")).to_contain_text("endless")
    visit.press("Apply")
    visit.wait_for_notice("The YAML is applied")
    visit.press("Run")
    visit.press("Run")
    expect(page.get_by_label("Block endless")).to_contain_text(re.compile("pending|running"))
    visit.press("Cancel")
    expect(page.locator("dl.facts")).to_contain_text("cancelled")
    visit.take_picture("cancelled")


def test_a_refreshed_trigger_has_another_url_and_the_old_one_is_dead(
    service: ServiceProcess, visit: Visit
) -> None:
    report = service.client.post("/api/v1/report/", json={"name": "Triggered"}).json()["result"]
    page = visit.enter(f"app/reports/{report['uid']}/triggers")
    visit.press("Generate a trigger")
    assert "token=" not in page.content()
    visit.press("Copy URL")
    visit.wait_for_notice("Trigger URL copied")
    old = page.evaluate("navigator.clipboard.readText()")
    assert httpx.post(old, timeout=LIMIT_SECONDS).json()["success"] is True
    visit.press("Refresh token")
    visit.press("Refresh")
    visit.wait_for_notice("The trigger has a new URL")
    visit.press("Show")
    new = page.get_by_label("Trigger URL", exact=True).input_value()
    assert (
        httpx.post(old, timeout=LIMIT_SECONDS).status_code,
        httpx.get(new, timeout=LIMIT_SECONDS).status_code,
    ) == (401, 200)
    visit.fill("Mail to", "team@example.com")
    page.get_by_label("Mail on").select_option(label="failure")
    visit.press("Save recipients")
    visit.wait_for_notice("Saved")
    visit.press("Disable")
    expect(page.get_by_text("disabled", exact=True)).to_be_visible()
    assert httpx.post(new, timeout=LIMIT_SECONDS).status_code == 403
    expect(page.get_by_label("Mail to")).to_have_value("team@example.com")
    expect(page.get_by_label("Mail on")).to_have_value("failure")
    visit.take_picture("trigger")

    visit.press("New schedule")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("every morning")
    dialog.get_by_label("First time").fill("2099-01-01T06:30")
    dialog.get_by_label("Time zone").fill("Europe/Berlin")
    dialog.get_by_label("Repeats").select_option("cron")
    dialog.get_by_label("Cron").fill("30 6 * * MON-FRI")
    visit.press("Save")
    row = page.get_by_role("row").filter(has_text="every morning")
    expect(row).to_contain_text("2099")
    for item in ("Pause", "Run now"):
        row.get_by_role("button", name="Actions for every morning").click()
        row.get_by_role("menuitem", name=item).click()
        expect(row).to_contain_text("paused")
    visit.wait_for_notice("The report runs now")
    visit.take_picture("schedule")


def test_a_subscription_shows_its_secret_once_and_what_was_delivered(visit: Visit) -> None:
    page = visit.page
    with listen() as subscriber:
        visit.enter("app/webhooks")
        visit.press("New webhook")
        visit.fill("Name", HOSTILE)
        visit.fill("URL", subscriber.url)
        visit.press("Create")
        secret = page.get_by_role("textbox", name="Secret").input_value()
        visit.take_picture("secret")
        visit.press("I have kept it")
        assert secret not in page.content()
        visit.press("Send a test")
        page.get_by_role("link", name=re.compile(r"^Delivery \d+$")).first.click()
        expect(page.locator("dl.facts")).to_contain_text("delivered")
        received = subscriber.wait_for(lambda one: one.event["event"] == "webhook.test")
        assert received.verify(secret)
        expect(page.get_by_label("Attempts").first).to_contain_text("202")
        visit.take_picture("delivery")

        subscriber.statuses[:] = [410]
        visit.press("Send again")
        visit.wait_for_notice("is sent again")
        expect(page.locator("dl.facts")).to_contain_text("failed")
        visit.follow("Webhooks")
        row = page.get_by_role("row").nth(1)
        expect(row).to_contain_text("disabled")
        row.get_by_role("link").click()
        visit.press("Enable")
        subscriber.statuses[:] = [200]
        visit.press("Send events again")
        visit.press("Count")
        visit.press("Send 1 event again")
        visit.wait_for_notice("1 event on the way")
        visit.follow("Webhooks")
        visit.follow("All deliveries")
        expect(page.get_by_role("heading", name="Deliveries")).to_be_visible()
        expect(page.get_by_role("row").nth(1)).to_contain_text("delivered")
        visit.take_picture("deliveries")
    assert page.evaluate("window.hacked") is None


def test_tokens_users_and_kept_mails_are_shown(service: ServiceProcess, visit: Visit) -> None:
    page = visit.enter("app/tokens")
    visit.press("New token")
    visit.fill("Name", "airflow")
    visit.press("Create the token")
    token = page.get_by_role("textbox", name="Secret").input_value()
    visit.press("I have kept it")
    headers = {"Authorization": f"Bearer {token}"}
    own = f"{visit.base_url}/api/v1/user/current"
    assert httpx.get(own, headers=headers, timeout=LIMIT_SECONDS).status_code == 200
    page.get_by_role("row").filter(has_text="airflow").get_by_role("button", name="Revoke").click()
    visit.press("Revoke")
    visit.wait_for_notice("The token is revoked")
    assert httpx.get(own, headers=headers, timeout=LIMIT_SECONDS).status_code == 401

    visit.follow("Users")
    visit.press("Add a user")
    visit.fill("Mail address", "ann@example.com")
    page.get_by_role("combobox", name="Role").select_option(label="Guest")
    visit.press("Add")
    row = page.get_by_role("row").filter(has_text="ann@example.com")
    expect(row).to_contain_text("Guest")
    row.get_by_role("button", name="Change role").click()
    page.get_by_role("combobox", name="Role").select_option(label="User")
    visit.press("Save")
    expect(row).to_contain_text("User")
    visit.take_picture("users")
    visit.follow("Messages")
    expect(page.get_by_label("Messages").first).to_contain_text("ann@example.com")
    visit.take_picture("messages")

    visit.follow("Users")
    row.get_by_role("button", name="Change role").click()
    page.get_by_role("combobox", name="Role").select_option(label="Guest")
    visit.press("Save")
    row.get_by_role("button", name="Tokens").click()
    visit.press("New token")
    visit.fill("Name", "laptop")
    visit.press("Create the token")
    token = page.get_by_role("textbox", name="Secret").input_value()
    visit.press("I have kept it")
    page.get_by_role("button", name="Sign out").click()
    visit.sign_in(token)
    visit.follow("Reports")
    visit.follow("Departure delays")
    expect(page.get_by_label("Block worst")).to_be_visible()
    expect(page.locator("main button:not(.reads):visible")).to_have_count(0)


def test_the_documented_url_of_a_run_leads_a_browser_to_its_page(
    service: ServiceProcess, visit: Visit
) -> None:
    started = service.client.post("/api/v1/report/1/run/noteflow").json()["result"]
    visit.open(f"api/reports/1/run/{started['run_id']}")
    assert page_path(visit) == f"/app/reports/1/runs/{started['run_id']}"
    visit.sign_in()
    expect(visit.page.get_by_role("heading", name="of Departure delays")).to_be_visible()
    expect(visit.page.get_by_label("Block by_day")).to_contain_text("365 rows")


def page_path(visit: Visit) -> str:
    return visit.page.url.removeprefix(visit.base_url)


def test_report_shows_its_time_zone_and_the_choices_of_its_parameters(
    service: ServiceProcess, visit: Visit
) -> None:
    content = {"type": "text", "multiple": True, "choices": ["red", "green"], "default": ["red"]}
    made = service.client.post(
        "/api/v1/report/",
        json={
            "name": "Colors",
            "time_zone": "Europe/Berlin",
            "blocks": [{"type": "parameter", "name": "colors", "content": content}],
        },
    ).json()
    page = visit.enter(f"app/reports/{made['id']}")
    expect(page.get_by_label("Block colors")).to_contain_text(
        'list of text, default ["red"], one of "red", "green"'
    )
    expect(page.locator("main .head")).to_contain_text("time zone Europe/Berlin")
    expect(page.locator("main .trail")).to_have_text("Reports")


def test_long_subject_hides_no_column_of_the_messages(service: ServiceProcess, visit: Visit) -> None:
    content = {"to_": "long@example.com", "subject": "x" * 250, "value": "v"}
    block = {"type": "email", "name": "mail", "content": content}
    made = service.client.post("/api/v1/report/", json={"name": "Long", "blocks": [block]}).json()
    service.client.post(f"/api/v1/report/{made['id']}/run/noteflow", json={})
    visit.enter("app/messages")
    table = visit.page.locator("main .scroll").first
    row = visit.page.get_by_role("row").filter(has_text="long@example.com")
    expect(row).to_be_visible()
    assert table.evaluate("element => element.scrollWidth <= element.clientWidth")
    visit.take_picture("long-subject")
