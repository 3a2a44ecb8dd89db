"""The pictures of a real Airflow after the main job: the grid of its Dag, a task's tab, and the events."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page

from demo.display import Display
from demo.main_job import TRIGGER_DAG, MainJobOutcome, run_main_job
from demo.system import DemoSystem
from tests.acceptance.signed_in import PATIENCE_MILLISECONDS, sign_in
from tests.screenshots.pictures import SCHEMES, open_context, save_picture, settle

MORE_MONTHS = (3, 4, 5, 6)
"""The runs before that of the main job, so that there is something to compare."""

TITLE = re.compile(r"Run \d+: Departure delays")


def do_work(system: DemoSystem, display: Display) -> MainJobOutcome:
    """Run the first Dag for several months, and the main job at last."""
    runs = [system.airflow.trigger_dag(TRIGGER_DAG, {"month": month}) for month in MORE_MONTHS]
    for run in runs:
        system.wait_for_success(run)
    return run_main_job(system, display)


def take_airflow_pictures(
    browser: Browser, system: DemoSystem, outcome: MainJobOutcome, target: Path
) -> Iterator[Path]:
    """Take them into a folder, in light and in dark colors."""
    for scheme in SCHEMES:
        with open_context(browser, scheme) as context:
            page = context.new_page()
            sign_in(page, system)
            for name, show in AIRFLOW_PICTURES.items():
                show(page, system, outcome)
                settle(page)
                yield save_picture(page, target / f"{name}-{scheme}.png")


def show_grid(page: Page, system: DemoSystem, outcome: MainJobOutcome) -> None:
    """Show the Dag of the main job with the tasks of its run."""
    page.goto(f"{system.airflow_url}/{get_run_path(outcome)}", wait_until="domcontentloaded")
    # In the list of tasks, as the name of a row, and in the grid, which comes last.
    page.locator("a[href*='/tasks/save_results']").nth(2).wait_for()


def show_tab(page: Page, system: DemoSystem, outcome: MainJobOutcome) -> None:
    """Show the tab of the task that ran the report."""
    path = f"{get_run_path(outcome)}/tasks/run_report/plugin/pushmetrics"
    page.goto(f"{system.airflow_url}/{path}", wait_until="domcontentloaded")
    tab = page.frame_locator("iframe[title='PushMetrics']")
    tab.get_by_role("heading", name=TITLE).wait_for()
    rows = tab.locator("table").first
    rows.locator("tbody tr").last.wait_for()
    rows.evaluate("table => table.scrollIntoView({block: 'center'})")


def show_events(page: Page, system: DemoSystem, outcome: MainJobOutcome) -> None:
    """Show the webhooks that came, with the one that started the second Dag."""
    page.goto(system.airflow_url, wait_until="domcontentloaded")
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="PushMetrics events").click()
    frame = page.frame_locator("iframe")
    frame.locator("#rows tr").last.click()
    started = frame.locator("#effects", has_text=f"Started {outcome.webhook_run.dag_id}")
    started.wait_for(timeout=PATIENCE_MILLISECONDS)


def get_run_path(outcome: MainJobOutcome) -> str:
    """Get where the page of the first Dag's run is."""
    return f"dags/{outcome.trigger_run.dag_id}/runs/{quote(outcome.trigger_run.run_id, safe='')}"


AIRFLOW_PICTURES: dict[str, Callable[[Page, DemoSystem, MainJobOutcome], None]] = {
    "airflow-grid": show_grid,
    "airflow-task": show_tab,
    "airflow-events": show_events,
}
