from __future__ import annotations

from pathlib import Path

import pytest

from demo.errors import DemoError
from demo.state import DemoFolder

ACCESS = {"api_token": "pmpat_x"}


@pytest.fixture(name="folder")
def make_folder(tmp_path: Path) -> DemoFolder:
    folder = DemoFolder(tmp_path / "new" / ".demo")
    with folder.lock():
        folder.clear()
    return folder


def test_the_access_is_found_until_it_is_cleared_and_by_its_owner_only(folder: DemoFolder) -> None:
    folder.write_access(ACCESS)
    with folder.lock():
        assert folder.find_access() == ACCESS
    assert folder.state_file.stat().st_mode & 0o777 == 0o600
    folder.write_access({})
    assert folder.find_access() == {}


@pytest.mark.parametrize("text", ["", "[1]", "{", "7"])
def test_a_state_that_cannot_be_read_is_of_no_kept_demo(folder: DemoFolder, text: str) -> None:
    folder.state_file.write_text(text)
    assert folder.find_access() == {}
    with folder.lock():
        pass


def test_a_folder_is_held_by_one_demo_at_a_time(folder: DemoFolder) -> None:
    for _ in range(2):
        with (
            folder.lock(),
            pytest.raises(DemoError, match=r"a demo is already running in .*"),
            DemoFolder(folder.root).lock(),
        ):
            pass


def test_a_folder_is_its_owners_and_is_cleared_of_what_an_earlier_demo_left(folder: DemoFolder) -> None:
    assert folder.root.stat().st_mode & 0o777 == 0o700
    (folder.results / "old.json").write_text("[]")
    folder.clear()
    assert list(folder.results.iterdir()) == []


@pytest.mark.parametrize("name", ["thesis.txt", ".demo"])
def test_what_is_not_the_demos_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    root = tmp_path / name if name == ".demo" else tmp_path
    with pytest.raises(DemoError, match="is not a folder of the demo"), DemoFolder(root).lock():
        pass
    assert (tmp_path / name).read_text() == "mine"
