"""The page "PushMetrics events" of a real Airflow in a real browser; and what is open without a login."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import FrameLocator, Locator, Page, Route, expect

from demo.http_client import DagRun
from demo.main_job import MainJobOutcome
from demo.settings import SOURCE
from demo.system import DemoSystem
from tests.acceptance.signed_in import PATIENCE_MILLISECONDS

CLOSED = [
    ("GET", "/pushmetrics/events"),
    ("GET", "/pushmetrics/events/1"),
    ("POST", "/pushmetrics/events/1/replay"),
    ("POST", "/pushmetrics/events/replay?through=1"),
    ("GET", "/pushmetrics/cursor"),
    ("GET", "/pushmetrics/consumers/airflow"),
    ("PUT", "/pushmetrics/consumers/airflow"),
    ("GET", "/pushmetrics/rejections"),
    ("GET", "/pushmetrics/metrics"),
    ("POST", f"/pushmetrics/webhooks/{SOURCE}"),
    ("GET", "/pushmetrics-events/"),
    ("GET", "/pushmetrics-events/events.js"),
    ("GET", "/pushmetrics-events/events.css"),
    ("GET", "/pushmetrics-events/events"),
    ("GET", "/pushmetrics-events/events/1"),
    ("POST", "/pushmetrics-events/events/1/replay"),
    ("GET", "/pushmetrics-events/runs?event_id=1"),
    ("GET", "/pushmetrics-task/"),
    ("GET", "/pushmetrics-task/run?dag_id=a&run_id=b&task_id=c"),
    ("GET", "/pushmetrics-task/rows?dag_id=a&run_id=b&task_id=c"),
    ("GET", "/pushmetrics-task/chart?dag_id=a&run_id=b&task_id=c&block_uid=d"),
]
STARTED = "Started example_pushmetrics_webhook_receiver"
ABSENT = [
    "/pushmetrics/docs",
    "/pushmetrics/openapi.json",
    "/pushmetrics-events/docs",
    "/pushmetrics-events/openapi.json",
    "/pushmetrics-task/docs",
    "/pushmetrics-task/openapi.json",
]


@pytest.mark.usefixtures("outcome")
def test_nothing_but_ingest_and_health_is_open(system: DemoSystem) -> None:
    with httpx.Client(base_url=system.airflow_url, timeout=120) as client:
        for name in ("live", "ready"):
            assert client.get(f"/pushmetrics/health/{name}").status_code == 200
        for method, path in CLOSED:
            assert client.request(method, path, json={"event": "x"}).status_code == 401, (method, path)
        for path in ABSENT:
            assert client.get(path).status_code in (401, 404), path


def open_from_menu(page: Page) -> FrameLocator:
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="PushMetrics events").click()
    return page.frame_locator("iframe")


TRIES = 6


def press(frame: FrameLocator, button: Locator, *event_ids: int) -> None:
    """Press until one of these events is shown: again, as a person would, if the database was locked."""
    for _ in range(TRIES):
        button.click()
        title = re.compile(f"Event ({'|'.join(map(str, event_ids))}):")
        shown = frame.locator("#detail-title", has_text=title)
        shown.or_(frame.locator("#problem:visible")).first.wait_for()
        if shown.count():
            return
    raise AssertionError(frame.locator("#problem").inner_text())


def test_page_shows_the_event_that_started_the_dag_and_replays_it(
    system: DemoSystem, outcome: MainJobOutcome, page: Page, tmp_path: Path
) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    frame = open_from_menu(page)
    expect(frame.get_by_role("heading", name="PushMetrics events")).to_be_visible()
    rows = frame.locator("#rows tr")
    rows.first.wait_for()
    before = rows.count()
    frame.get_by_role("textbox", name="Event").fill("report.run")
    frame.get_by_role("button", name="Filter").click()
    in_column = re.compile(rf"{outcome.webhook_run.dag_id}|starts_by_api_server")
    expect(rows.last.locator("td").last).to_contain_text(in_column)
    linked_id = int(rows.last.inner_text().split()[0])
    press(frame, rows.last, linked_id)
    expect(frame.locator("#payload")).to_contain_text('"report_notebook_outputs"')
    expect(frame.locator("#detail-about")).to_contain_text(SOURCE)
    expect(frame.locator("#effects")).to_contain_text(STARTED, timeout=PATIENCE_MILLISECONDS)
    first_id = int(rows.first.inner_text().split()[0])
    picture = Path(os.environ.get("PUSHMETRICS_SCREENSHOTS", tmp_path)) / "pushmetrics-events.png"
    page.screenshot(path=picture)
    assert picture.stat().st_size > 20_000
    started = frame.locator("#effects a", has_text=outcome.webhook_run.dag_id).first
    run_id = started.inner_text().split(" ", 1)[1]
    replay = frame.get_by_role("button", name="Replay")
    press(frame, replay, *range(first_id + 1, first_id + 1 + TRIES))
    assert rows.count() >= min(before, 1)
    expect(frame.locator("#problem")).to_be_hidden()
    press(frame, rows.last, linked_id)
    started.click()  # leaves the frame, and shows the Dag run in Airflow
    expect(page).to_have_url(re.compile("/dags/example_pushmetrics_webhook_receiver/runs/"))
    expect(page.get_by_text(run_id).first).to_be_visible()
    page.goto(f"{system.airflow_url}/pushmetrics-events/#{linked_id}")  # as the link of a task does
    expect(page.locator("#detail-title")).to_contain_text(f"Event {linked_id}")
    expect(page.locator("#effects")).to_contain_text(STARTED, timeout=PATIENCE_MILLISECONDS)


def test_page_looks_again_after_a_failure(system: DemoSystem, api_server_run: DagRun, page: Page) -> None:
    numbers = itertools.count()

    def answer(route: Route) -> None:
        number = next(numbers)
        if number == 0:
            found = route.fetch()
            route.fulfill(response=found, json=found.json() | {"dag_runs": None})
        elif number == 1:
            route.fulfill(status=500, json={"detail": "database is locked"})
        else:
            route.continue_()

    page.route(re.compile(r"/pushmetrics-events/events/\d+$"), answer)
    (cause,) = system.airflow.find(f"{api_server_run.path}/upstreamAssetEvents")["asset_events"]
    page.goto(f"{system.airflow_url}/pushmetrics-events/#{cause['extra']['payload']['id']}")
    expect(page.locator("#effects")).to_contain_text(STARTED, timeout=PATIENCE_MILLISECONDS)
    expect(page.locator("#problem")).to_be_hidden()
    assert next(numbers) > 2


@contextmanager
def queue_again(page: Page, system: DemoSystem, run: DagRun) -> Iterator[None]:
    """Clear a Dag run while its Dag is paused, so that it is queued and stays it."""
    api = f"{system.airflow_url}/api/v2"
    assert page.request.patch(f"{api}/dags/{run.dag_id}", data={"is_paused": True}).ok
    try:
        system.airflow.post(f"{run.path}/clear", {"dry_run": False})
        yield
    finally:
        assert page.request.patch(f"{api}/dags/{run.dag_id}", data={"is_paused": False}).ok


def test_page_shows_a_dag_run_that_is_queued(
    system: DemoSystem, outcome: MainJobOutcome, api_server_run: DagRun, page: Page
) -> None:
    (cause,) = system.airflow.find(f"{api_server_run.path}/upstreamAssetEvents")["asset_events"]
    effects = page.locator("#effects")
    with queue_again(page, system, api_server_run):
        page.goto(f"{system.airflow_url}/pushmetrics-events/#{cause['extra']['payload']['id']}")
        expect(effects).to_contain_text(STARTED, timeout=PATIENCE_MILLISECONDS)
        expect(effects).to_contain_text(re.compile(rf"Started {api_server_run.dag_id} \S+ \(queued\)"))


def test_row_of_the_page_of_events_opens_by_key_and_keeps_the_focus(
    system: DemoSystem, outcome: MainJobOutcome, page: Page
) -> None:
    page.goto(f"{system.airflow_url}/pushmetrics-events/")
    row = page.locator("#rows tr").first
    expect(row.locator("time")).to_have_attribute("title", re.compile(r"^\d{4}-\d\d-\d\dT.*\+00:00$"))
    expect(row.locator("td").nth(4)).to_contain_text("Departure delays")
    for key in ("Enter", " "):
        page.locator("#detail").evaluate("element => { element.hidden = true; }")
        row.focus()
        page.keyboard.press(key)
        expect(page.locator("#detail")).to_be_visible()
        expect(row).to_be_focused()
    expect(row.locator("td").nth(7)).to_have_text("success")
    expect(row.get_by_role("link").first).to_have_attribute("href", re.compile("/api/reports/"))
