"""The pictures of the documentation can be taken anew: each of their pages is still there."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from playwright.sync_api import Browser

from demo.main_job import MainJobOutcome
from demo.system import DemoSystem
from tests.screenshots.airflow_pictures import take_airflow_pictures
from tests.screenshots.pictures import IMAGES, MAX_BYTES, take_pictures

OF_AIRFLOW = "airflow-"


def assert_taken(taken: Collection[Path], names: set[str]) -> None:
    assert {path.name for path in taken} == names
    assert {path.name: path.stat().st_size for path in taken if path.stat().st_size > MAX_BYTES} == {}
    assert len({path.read_bytes() for path in taken}) == len(taken)  # each is of another page


def test_every_picture_of_the_service_can_be_taken_anew(browser: Browser, tmp_path: Path) -> None:
    names = {path.name for path in IMAGES.iterdir() if not path.name.startswith(OF_AIRFLOW)}
    assert_taken(take_pictures(browser, tmp_path), names)


def test_every_picture_of_airflow_can_be_taken_anew(
    browser: Browser, system: DemoSystem, outcome: MainJobOutcome, tmp_path: Path
) -> None:
    names = {path.name for path in IMAGES.iterdir() if path.name.startswith(OF_AIRFLOW)}
    assert_taken(list(take_airflow_pictures(browser, system, outcome, tmp_path)), names)
