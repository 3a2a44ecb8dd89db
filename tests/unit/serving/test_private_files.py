"""Folders and files for their owner only."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.serving.private_files import (
    create_private_file,
    make_private_folder,
    open_private,
    write_private_file,
)


@pytest.fixture(autouse=True)
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def get_mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_and_its_new_parents_are_private(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(0o755)
    make_private_folder(tmp_path / "shared" / "a" / "b")
    make_private_folder(tmp_path / "shared" / "a" / "b")
    modes = [get_mode(tmp_path / name) for name in ("shared", "shared/a", "shared/a/b")]
    assert modes == [0o755, 0o700, 0o700]


def test_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(OSError, match="f"):
        make_private_folder(tmp_path / "f")
    with pytest.raises(OSError, match="f"):
        make_private_folder(tmp_path / "f" / "g")


def test_new_file_is_private_and_an_existing_one_keeps_mode_and_content(tmp_path: Path) -> None:
    with open_private(tmp_path / "new", "w") as file:
        file.write("text")
    create_private_file(tmp_path / "empty")
    (tmp_path / "old").write_text("old")
    (tmp_path / "old").chmod(0o640)
    create_private_file(tmp_path / "old")
    assert [get_mode(tmp_path / name) for name in ("new", "empty", "old")] == [0o600, 0o600, 0o640]
    assert [(tmp_path / name).read_text() for name in ("new", "empty", "old")] == ["text", "", "old"]


def test_private_file_replaces_what_a_crash_left(tmp_path: Path) -> None:
    (tmp_path / "f.partial").write_text("half")
    write_private_file(tmp_path / "f", "whole")
    assert (tmp_path / "f").read_text() == "whole\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "f"]
