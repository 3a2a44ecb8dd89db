"""Write the pictures of the documentation anew: what ``scripts/make_screenshots`` runs."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Browser

from demo.display import Display
from demo.folder import DemoFolder
from demo.main_job import start_everything
from demo.settings import find_free_ports
from demo.system import DemoSystem
from tests.fakes.browser import open_browser
from tests.fakes.short_folder import make_short_folder
from tests.screenshots.airflow_pictures import do_work, take_airflow_pictures
from tests.screenshots.pictures import IMAGES, MAX_BYTES, take_pictures


def main() -> int:
    """Take the pictures, and say what each weighs; with ``--service`` only those of the service's pages."""
    IMAGES.mkdir(exist_ok=True)
    is_whole = "--service" not in sys.argv[1:]
    for path in IMAGES.glob("*.png"):
        if is_whole or not path.name.startswith("airflow-"):
            path.unlink()
    with open_browser() as browser:
        paths = take_pictures(browser, IMAGES)
        if is_whole:
            paths += take_of_airflow(browser)
    for path in paths:
        sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes\n")
    return 1 if any(path.stat().st_size > MAX_BYTES for path in paths) else 0


def take_of_airflow(browser: Browser) -> list[Path]:
    """Take the pictures of Airflow's pages, in a demo of their own."""
    with make_short_folder() as parent:
        folder = DemoFolder(parent / "demo")
        folder.clear()
        system, display = DemoSystem(folder, *find_free_ports(2)), Display()
        try:
            start_everything(system, display)
            outcome = do_work(system, display)
            return list(take_airflow_pictures(browser, system, outcome, IMAGES))
        finally:
            system.stop()


if __name__ == "__main__":
    sys.exit(main())
