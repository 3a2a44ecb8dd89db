"""The pictures: a real service with the same data each time, and a browser that opens its pages."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, TimeoutError

from tests.fakes.browser import Visit
from tests.fakes.saved_reports import BlockParts, save_report
from tests.fakes.service_process import ServiceProcess, run_ready_service
from tests.fakes.service_subscriber import Subscriber, listen
from tests.fakes.waiting import LIMIT_SECONDS, wait_until
from tests.screenshots.png import shrink

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
WIDTH, HEIGHT = 1280, 800
MAX_BYTES = 100_000
SCHEMES = ("light", "dark")
SETTLE_MILLISECONDS = 5000
"""How long a page may read until its picture is taken; a live page never stops."""


FAULT = re.compile("not found|cannot be", re.I)
"""What the title of a page says that has nothing to show."""


PICTURES = {
    "reports": ("app/reports", "main tbody tr"),
    "notebook": ("app/reports/{notebook}", "main .chart svg"),
    "run": ("app/reports/1/runs/{run}", "main .rows tbody tr"),
    "webhooks": ("app/webhooks", "main tbody tr"),
    "settings": ("app/settings", "main tbody tr"),
}
"""The first part of the names of a picture's files, where the page is, and what it shows at last."""

REPORTS = {
    "Busiest days": "SELECT month, day, count(*) AS flights FROM flights GROUP BY ALL ORDER BY flights DESC",
    "Cancelled flights": "SELECT month, count(*) AS n FROM flights WHERE dep_delay IS NULL GROUP BY ALL",
}

BY_AIRPORT = """\
SELECT dest, count(*) AS flights
FROM flights
WHERE origin = {{ origin }}
GROUP BY dest
ORDER BY flights DESC
LIMIT 15"""

BARS: dict[str, Any] = {
    "mark": "bar",
    "width": 560,
    "height": 190,
    "encoding": {
        "x": {"field": "dest", "type": "nominal", "sort": None, "title": "destination"},
        "y": {"field": "flights", "type": "quantitative"},
    },
}

NOTEBOOK: list[BlockParts] = [
    ("parameter", "origin", {"type": "text", "default": "JFK", "choices": ["EWR", "JFK", "LGA"]}),
    ("chart", "busiest", {"query": "by_airport", "spec": BARS}),
    ("sql", "by_airport", {"database_id": 1, "sql": BY_AIRPORT}),
    ("text", "summary", {"text": "The destinations with the most flights from {{ origin }}."}),
]


@contextmanager
def open_service(folder: Path) -> Iterator[tuple[ServiceProcess, dict[str, int]]]:
    """Run a service whose reports have run, and give it with the ids that addresses have."""
    with run_ready_service(folder / "data", "--demo") as service, listen() as subscriber:
        yield service, make_data(service, subscriber)


def make_data(service: ServiceProcess, subscriber: Subscriber) -> dict[str, int]:
    """Make reports, runs and webhooks, with the same names each time."""
    body = {"name": "Airflow", "url": subscriber.url, "events": ["report.run"], "active": True}
    service.client.post("/api/v1/webhook_subscription/", json=body).raise_for_status()
    runs = [run_report(service, 1, origin="JFK", month=2), run_report(service, 1)]
    for name, sql in REPORTS.items():
        report = make_report(service, name, [("sql", "result", {"database_id": 1, "sql": sql})], "report")
        runs += [run_report(service, report) for _ in range(3)]
    tomorrow = f"{date.today() + timedelta(days=1)}T06:00:00+00:00"
    schedule = {"report_id": report, "name": "Every morning", "first_start": tomorrow}
    service.client.post("/api/v1/schedule/", json=schedule).raise_for_status()
    notebook = make_report(service, "Flights by airport", NOTEBOOK, "notebook")
    runs.append(run_report(service, notebook))
    wait_until(lambda: len(subscriber.received) >= len(runs), "the webhooks")
    return {"run": runs[0], "notebook": notebook}


def make_report(service: ServiceProcess, name: str, blocks: Sequence[BlockParts], kind: str) -> int:
    """Make a report or notebook in the folder of all of them, and give its id."""
    report = save_report(service, name, *blocks)
    change = {"type": kind, "folder": "Operations"}
    service.client.put(f"/api/v1/report/{report}", json=change).raise_for_status()
    return report


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
    with tempfile.TemporaryDirectory() as name, open_service(Path(name)) as (service, ids):
        return [path for scheme in SCHEMES for path in take_scheme(browser, service, scheme, ids, target)]


def take_scheme(
    browser: Browser, service: ServiceProcess, scheme: str, ids: Mapping[str, int], target: Path
) -> Iterator[Path]:
    """Take the pictures in light or in dark colors."""
    with open_context(browser, scheme) as context:
        visit = Visit(context.new_page(), str(service.client.base_url).rstrip("/"))
        visit.page.set_default_timeout(LIMIT_SECONDS * 1000)
        visit.enter("app/reports")
        visit.page.get_by_role("heading", level=1).first.wait_for()
        for name, (path, part) in PICTURES.items():
            open_page(visit, path.format(**ids), part)
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


def open_page(visit: Visit, path: str, part: str) -> None:
    """Open a page, and wait until it shows what it has."""
    visit.open(path)
    title = visit.page.locator("main h1").first
    title.wait_for()
    if not FAULT.search(title.inner_text()):
        visit.page.locator(part).first.wait_for()
    settle(visit.page)
    assert not FAULT.search(title.inner_text()), f"the service has no page {path}"


def settle(page: Page) -> None:
    """Wait until a page reads nothing more, as far as it ever does."""
    try:
        page.wait_for_load_state("networkidle", timeout=SETTLE_MILLISECONDS)
    except TimeoutError:
        page.evaluate("document.fonts.ready")
