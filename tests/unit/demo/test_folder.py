from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_pushmetrics.demo.folder import DemoFolder, find_dags_folder
from airflow_provider_pushmetrics.exceptions import DemoError


def test_a_new_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path / "new" / ".demo")
    folder.claim()
    assert folder.root.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_the_demo_is_taken_again(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path / ".demo")
    folder.claim()
    folder.clear()
    folder.claim()


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "thesis.txt").write_text("mine")
    with pytest.raises(DemoError, match="is not a folder of the demo"):
        DemoFolder(tmp_path).claim()
    assert (tmp_path / "airflow" / "thesis.txt").read_text() == "mine"


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".demo").write_text("mine")
    with pytest.raises(DemoError, match="is not a folder of the demo"):
        DemoFolder(tmp_path / ".demo").claim()


def test_what_an_earlier_demo_left_is_removed(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path / ".demo")
    folder.claim()
    folder.clear()
    (folder.results / "old.json").write_text("[]")
    folder.clear()
    assert list(folder.results.iterdir()) == []


def test_the_dags_are_those_of_the_checkout() -> None:
    assert find_dags_folder() == Path(__file__).resolve().parents[3] / "dags"
