"""The pictures of the documentation can be taken anew: the service still has each of their pages."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

from tests.screenshots.pictures import IMAGES, MAX_BYTES, take_pictures


def test_every_picture_of_the_documentation_can_be_taken_anew(browser: Browser, tmp_path: Path) -> None:
    taken = take_pictures(browser, tmp_path)
    assert {path.name for path in taken} == {path.name for path in IMAGES.iterdir()}
    assert {path.name: path.stat().st_size for path in taken if path.stat().st_size > MAX_BYTES} == {}
    assert len({path.read_bytes() for path in taken}) == len(taken)  # each is of another page
