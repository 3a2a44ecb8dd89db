"""A real browser in front of the service: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    expect,
    sync_playwright,
)

from tests.fakes.service_process import API_TOKEN, ServiceProcess
from tests.fakes.waiting import LIMIT_SECONDS

ROOT = Path(__file__).resolve().parents[2]


@cache
def read_axe() -> str:
    """Install axe with the other npm tools, and read it; where that fails, the test is skipped, but in CI."""
    script = ROOT / "scripts" / "install_npm_tools"
    done = subprocess.run([script], capture_output=True, text=True, timeout=600)
    if done.returncode != 0 and os.environ.get("CI") != "true":
        pytest.skip(f"axe is not installed: {done.stderr}")
    assert done.returncode == 0, done.stderr
    return (ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Open a browser; the test is skipped where there is none, except in CI."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium and os.environ.get("CI") != "true":
        pytest.skip("no chromium is installed: apt-get install chromium, or set CI=true to insist on it")
    assert chromium, "CI must have a browser: apt-get install chromium"
    expect.set_options(timeout=LIMIT_SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """
    A browser in front of the service.

    :param expected: Parts of the messages on its console that the test expects; any other fails it.
    """

    page: Page
    base_url: str
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(f"{self.base_url}/{path}")

    def enter(self, path: str) -> Page:
        """Open a page and sign in."""
        self.open(path)
        self.sign_in()
        return self.page

    def sign_in(self, token: str = API_TOKEN) -> None:
        self.page.get_by_label("API token").fill(token)
        self.front.get_by_role("button", name="Sign in", exact=True).click()

    @property
    def front(self) -> Locator:
        """The dialog, or else the page."""
        return self.page.locator("body:not(:has(> dialog)) > main, body > dialog:last-child")

    def press(self, name: str) -> None:
        """Press a button as soon as it is there."""
        self.front.get_by_role("button", name=name, exact=True, disabled=False).first.click()

    def fill(self, label: str, text: str) -> None:
        self.front.get_by_role("textbox", name=label, exact=True).fill(text)

    def follow(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).first.click()

    def add_block(self, kind: str, name: str, fields: dict[str, str]) -> None:
        """Fill the form of a new block and save it."""
        self.press(kind)
        form = self.page.get_by_label(f"New {kind} block")
        form.get_by_label("Name").fill(name)
        for label, text in fields.items():
            control = form.get_by_label(label, exact=True)
            if control.evaluate("element => element.tagName") == "SELECT":
                control.select_option(label=text)
            else:
                control.fill(text)
        self.press("Add the block")
        self.wait_for_notice(f"“{name}” is saved")

    def wait_for_notice(self, text: str) -> None:
        expect(self.page.locator("#notices")).to_contain_text(text)

    def note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def take_picture(self, name: str) -> None:
        folder = os.environ.get("PUSHMETRICS_SCREENSHOTS")
        if folder:
            self.page.screenshot(path=Path(folder) / f"service-{name}.png", full_page=True)


def find_violations(page: Page) -> list[str]:
    """Let axe check the page, as far as it is shown."""
    page.evaluate(read_axe())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{one['id']}: {node['html']}" for one in found["violations"] for node in one["nodes"]]


@contextmanager
def visit_service(
    browser: Browser, service: ServiceProcess, *, timezone: str | None = None
) -> Iterator[Visit]:
    """Put a page of the browser in front of the service; unexpected messages on its console are an error."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, accept_downloads=True, timezone_id=timezone
    )
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(LIMIT_SECONDS * 1000)
    visit = Visit(page, str(service.client.base_url).rstrip("/"))
    page.on("console", visit.note)
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    yield visit
    context.close()
    assert [one for one in visit.complaints if not any(part in one for part in visit.expected)] == []
