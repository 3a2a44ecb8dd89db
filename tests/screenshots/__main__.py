"""Write the pictures of the documentation anew: what ``scripts/make_screenshots`` runs."""

from __future__ import annotations

import sys

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
    """Take the pictures, and say what each weighs."""
    IMAGES.mkdir(exist_ok=True)
    for path in IMAGES.glob("*.png"):
        path.unlink()
    with make_short_folder() as parent, open_browser() as browser:
        paths = take_pictures(browser, IMAGES)
        folder = DemoFolder(parent / "demo")
        folder.clear()
        system, display = DemoSystem(folder, *find_free_ports(2)), Display()
        try:
            start_everything(system, display)
            outcome = do_work(system, display)
            paths += take_airflow_pictures(browser, system, outcome, IMAGES)
        finally:
            system.stop()
    for path in paths:
        sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes\n")
    return 1 if any(path.stat().st_size > MAX_BYTES for path in paths) else 0


if __name__ == "__main__":
    sys.exit(main())
