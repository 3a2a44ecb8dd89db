"""Write the pictures of the documentation anew: what ``scripts/make_screenshots`` runs."""

from __future__ import annotations

import sys

from tests.fakes.browser import open_browser
from tests.screenshots.pictures import IMAGES, MAX_BYTES, take_pictures


def main() -> int:
    """Take the pictures, and say what each weighs."""
    IMAGES.mkdir(exist_ok=True)
    for path in IMAGES.glob("*.png"):
        path.unlink()
    with open_browser() as browser:
        paths = take_pictures(browser, IMAGES)
    for path in paths:
        sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes\n")
    return 1 if any(path.stat().st_size > MAX_BYTES for path in paths) else 0


if __name__ == "__main__":
    sys.exit(main())
