"""The pictures: a real service with the same data each time, and a browser that opens its pages."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, TimeoutError

from tests.fakes.browser import Visit
from tests.fakes.service_process import ServiceProcess, run_ready_service
from tests.fakes.service_subscriber import Subscriber, listen
from tests.fakes.waiting import LIMIT_SECONDS, wait_until
from tests.screenshots.png import shrink

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
WIDTH, HEIGHT = 1280, 800
MAX_BYTES = 120_000
SCHEMES = ("light", "dark")
SETTLE_MILLISECONDS = 5000
"""How long a page may read until its picture is taken; a live page never stops."""


FAULT = re.compile("not found|cannot be", re.I)
"""What the title of a page says that has nothing to show."""


PICTURES = {
    "reports": "app/reports",
    "report": "app/reports/1",
    "run": "app/reports/1/runs/{run_id}",
    "webhooks": "app/webhooks",
    "settings": "app/settings",
}
"""The first part of the names of a picture's files, and where the page is."""

REPORTS = {
    "Arrivals by airport": "SELECT dest, count(*) AS flights FROM flights GROUP BY ALL ORDER BY flights DESC",
    "Busiest days": "SELECT month, day, count(*) AS flights FROM flights GROUP BY ALL ORDER BY flights DESC",
    "Cancelled flights": "SELECT month, count(*) AS n FROM flights WHERE dep_delay IS NULL GROUP BY ALL",
}


@contextmanager
def open_service(folder: Path) -> Iterator[tuple[ServiceProcess, int]]:
    """Run a service whose reports have run, and give it with the run of the first one."""
    with run_ready_service(folder / "data", "--demo") as service, listen() as subscriber:
        yield service, make_data(service, subscriber)


def make_data(service: ServiceProcess, subscriber: Subscriber) -> int:
    """Make reports, runs and webhooks, with the same names each time."""
    body = {"name": "Airflow", "url": subscriber.url, "events": ["report.run"], "active": True}
    service.client.post("/api/v1/webhook_subscription/", json=body).raise_for_status()
    for name, sql in REPORTS.items():
        block = {"type": "sql", "name": "result", "content": {"database_id": 1, "sql": sql}}
        made = service.client.post("/api/v1/report/", json={"name": name, "blocks": [block]})
        run_report(service, made.raise_for_status().json()["id"])
    run_id = run_report(service, 1, origin="JFK", month=2)
    wait_until(lambda: len(subscriber.received) > len(REPORTS), "the webhooks")
    return run_id


def run_report(service: ServiceProcess, report_id: int, **parameters: object) -> int:
    """Run a report, and wait for its end."""
    path = f"/api/v1/report/{report_id}/run/noteflow"
    answer = service.client.post(path, json={"parameters": parameters}).raise_for_status()
    run_id = int(answer.json()["result"]["run_id"])

    def is_finished() -> bool:
        run = service.client.get(f"/api/v1/noteflow_run/{run_id}").raise_for_status().json()["result"]
        assert run["status"] != "failure", run
        return bool(run["status"] == "success")

    wait_until(is_finished, f"run {run_id}")
    return run_id


def take_pictures(browser: Browser, target: Path) -> list[Path]:
    """Take all pictures into a folder."""
    with tempfile.TemporaryDirectory() as name, open_service(Path(name)) as (service, run_id):
        return [path for scheme in SCHEMES for path in take_scheme(browser, service, scheme, run_id, target)]


def take_scheme(
    browser: Browser, service: ServiceProcess, scheme: str, run_id: int, target: Path
) -> Iterator[Path]:
    """Take the pictures in light or in dark colors."""
    with open_context(browser, scheme) as context:
        visit = Visit(context.new_page(), str(service.client.base_url).rstrip("/"))
        visit.page.set_default_timeout(LIMIT_SECONDS * 1000)
        visit.enter("app/reports")
        visit.page.get_by_role("heading", level=1).first.wait_for()
        for name, path in PICTURES.items():
            open_page(visit, path.format(run_id=run_id))
            yield save_picture(visit.page, target / f"{name}-{scheme}.png")


@contextmanager
def open_context(browser: Browser, scheme: str) -> Iterator[BrowserContext]:
    """Open a browser that looks the same each time, in light or in dark colors."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    yield context
    context.close()


def save_picture(page: Page, path: Path) -> Path:
    """Save a picture of a page that has been read, as a small file."""
    taken = page.screenshot(animations="disabled", caret="hide")
    path.write_bytes(taken if len(taken) <= MAX_BYTES else shrink(taken))
    return path


def open_page(visit: Visit, path: str) -> None:
    """Open a page, and wait until it shows what it has."""
    visit.open(path)
    title = visit.page.locator("main h1").first
    title.wait_for()
    settle(visit.page)
    assert not FAULT.search(title.inner_text()), f"the service has no page {path}"


def settle(page: Page) -> None:
    """Wait until a page reads nothing more, as far as it ever does."""
    try:
        page.wait_for_load_state("networkidle", timeout=SETTLE_MILLISECONDS)
    except TimeoutError:
        page.evaluate("document.fonts.ready")
