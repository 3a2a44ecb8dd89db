"""Signing in to a real Airflow in a browser."""

from __future__ import annotations

from playwright.sync_api import Page

from demo.settings import AIRFLOW_USER
from demo.system import DemoSystem

PATIENCE_MILLISECONDS = 120_000


def sign_in(page: Page, system: DemoSystem) -> None:
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    page.goto(system.airflow_url, wait_until="domcontentloaded")
    page.locator("input[name='username']").fill(AIRFLOW_USER)
    page.locator("input[name='password']").fill(system.credentials.airflow_password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Dags").first.wait_for(timeout=PATIENCE_MILLISECONDS)
