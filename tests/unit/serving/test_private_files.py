"""Folders and files for their owner only."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.service.storage.encryption import load_secret_keys
from airflow_provider_pushmetrics.serving.private_files import (
    create_private_file,
    make_private_folder,
    name_new_file,
    open_private,
    write_private_file,
    write_private_file_once,
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


def test_private_file_replaces_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("older")
    write_private_file(tmp_path / "f", "whole")
    assert (tmp_path / "f").read_text() == "whole\n"
    assert get_mode(tmp_path / "f") == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "f"]


def test_private_file_that_is_written_once_keeps_its_first_text(tmp_path: Path) -> None:
    for text in ("first", "second"):
        write_private_file_once(tmp_path / "f", text)
    assert (tmp_path / "f").read_text() == "first\n"
    assert get_mode(tmp_path / "f") == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "f"]


NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)


def lose_hard_links(monkeypatch: pytest.MonkeyPatch, number: int = errno.EPERM) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", fail)


@pytest.mark.parametrize("number", NO_LINKS)
def test_a_file_system_without_hard_links_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    lose_hard_links(monkeypatch, number)
    for text in ("first", "second"):
        write_private_file_once(tmp_path / "f", text)
    assert (tmp_path / "f").read_text() == "first\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "f"]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_new_name_replaces_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:
        lose_hard_links(monkeypatch)
    for name in ("mine", "other"):
        (tmp_path / name).write_text(name)
    with pytest.raises(FileExistsError):
        name_new_file(tmp_path / "mine", tmp_path / "other")
    assert (tmp_path / "other").read_text() == "other"
    assert (tmp_path / "mine").read_text() == "mine"


def test_another_error_of_a_link_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_hard_links(monkeypatch, errno.ENOSPC)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(OSError, match="No space left"):
        name_new_file(tmp_path / "mine", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("has_links", [True, False])
def test_processes_that_start_at_once_have_the_same_secret_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:
        lose_hard_links(monkeypatch)
    starters, rounds = 4, 10
    barrier = threading.Barrier(starters)

    def start(number: int) -> tuple[str, ...]:
        folder = tmp_path / str(number)
        folder.mkdir(exist_ok=True)
        barrier.wait()
        return load_secret_keys(folder)

    with ThreadPoolExecutor(starters) as threads:
        for number in range(rounds):
            assert len(set(threads.map(start, [number] * starters))) == 1
