"""The tab "PushMetrics" of a task instance, in a real Airflow and a real browser."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from demo.http_client import DagRun
from demo.main_job import MainJobOutcome
from demo.system import DemoSystem
from tests.acceptance.signed_in import sign_in

TAB = "plugin/pushmetrics"


def open_tab(page: Page, system: DemoSystem, run: DagRun, task_id: str) -> FrameLocator:
    run_path = f"dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}"
    page.goto(f"{system.airflow_url}/{run_path}/tasks/{task_id}/{TAB}", wait_until="domcontentloaded")
    return page.frame_locator("iframe[title='PushMetrics']")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "light")])
def test_tab_shows_the_run_of_the_task(
    system: DemoSystem, outcome: MainJobOutcome, browser: Browser, width: int, scheme: str, tmp_path: Path
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    sent: list[str] = []
    page.on("request", lambda request: sent.extend((request.url, *request.headers.values())))
    sign_in(page, system)
    tab = open_tab(page, system, outcome.trigger_run, "run_report")
    expect(tab.get_by_role("heading", level=1)).to_have_text(re.compile(r"Run \d+: Departure delays"))
    expect(tab.locator("#state")).to_have_text("success")
    expect(tab.locator("table").first.locator("tbody tr").first).to_be_visible()
    expect(tab.locator("html")).to_have_attribute("data-theme", scheme)
    tab.locator("summary", has_text="Log").click()
    expect(tab.locator("#log")).to_contain_text("by_carrier")
    width_of = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    (frame,) = (one for one in page.frames if "pushmetrics-task" in one.url)
    assert frame.evaluate(width_of) == 0  # wide tables scroll by themselves
    pictures = Path(os.environ.get("PUSHMETRICS_SCREENSHOTS", tmp_path))
    page.screenshot(path=pictures / f"tab-{width}-{scheme}.png")
    assert not [text for text in sent if system.credentials.api_token in text]
    with context.expect_page() as opened:
        tab.get_by_role("link", name="Open the run").click()
    assert opened.value.url.startswith(system.service_url)
    context.close()


def test_tab_of_another_task_says_that_it_has_no_run(
    system: DemoSystem, outcome: MainJobOutcome, page: Page
) -> None:
    tab = open_tab(page, system, outcome.trigger_run, "save_results")
    expect(tab.locator("#message")).to_contain_text("does not run or wait for a PushMetrics report")
