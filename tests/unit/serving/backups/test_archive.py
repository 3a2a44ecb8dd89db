"""The archive of a backup: whole or refused."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.serving.backups.archive import (
    MANIFEST,
    Contents,
    extract_archive,
    write_archive,
)

CONTENTS = Contents("service", "sqlite", "0.1_0001", "2026-01-02T03:04:05+00:00")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar"
    with write_archive(path, CONTENTS) as writer:
        writer.add("database.sqlite", io.BytesIO(b"rows"), 4)
        writer.add("results/run-1/q.parquet", io.BytesIO(b"x" * 3_000_000), 3_000_000)
    return path


def extract(archive: Path, kind: str = "service", engine: str = "sqlite") -> Path:
    folder = archive.parent / "out"
    folder.mkdir()
    extract_archive(archive, folder, kind, engine)
    return folder


def rewrite(archive: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> None:
    """Write the members again, each as a function changes it; None leaves it out."""
    with tarfile.open(archive) as tar:
        members = [(one.name, tar.extractfile(one).read()) for one in tar]  # type: ignore[union-attr]
    with tarfile.open(archive, "w") as tar:
        for name, content in filter(None, (change(*member) for member in members)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_files_come_back_for_their_owner_only(archive: Path) -> None:
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    folder = extract(archive)
    assert (folder / "database.sqlite").read_bytes() == b"rows"
    assert (folder / "results/run-1/q.parquet").stat().st_size == 3_000_000
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*.*")} == {0o600}


def test_archive_that_fails_is_not_there(tmp_path: Path) -> None:
    for size, error in ((9, PushMetricsConfigurationError), (4, ZeroDivisionError)):
        with (  # noqa: PT012
            pytest.raises(error),
            write_archive(tmp_path / "a.tar", CONTENTS) as writer,
        ):
            writer.add("short", io.BytesIO(b"rows"), size)
            raise ZeroDivisionError
        assert list(tmp_path.iterdir()) == []


def test_existing_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("mine")
    with (
        pytest.raises(PushMetricsConfigurationError, match="exists already"),
        write_archive(tmp_path / "a.tar", CONTENTS),
    ):
        pass
    assert (tmp_path / "a.tar").read_text() == "mine"


def test_second_backup_to_one_name_neither_replaces_the_first_nor_spoils_it(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with (  # noqa: PT012
        pytest.raises(PushMetricsConfigurationError, match="exists already"),
        write_archive(path, CONTENTS) as slow,
    ):
        slow.add("database.sqlite", io.BytesIO(b"slow"), 4)
        with write_archive(path, CONTENTS) as quick:
            quick.add("database.sqlite", io.BytesIO(b"rows"), 4)
    assert list(tmp_path.iterdir()) == [path]
    assert (extract(path) / "database.sqlite").read_bytes() == b"rows"


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(PushMetricsConfigurationError, match="cannot be written to"),
        write_archive(tmp_path / "no" / "a.tar", CONTENTS),
    ):
        pass


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_part_of_an_archive_is_refused(archive: Path, share: float) -> None:
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole.rstrip(b"\0")) * share)])
    with pytest.raises(PushMetricsConfigurationError, match=r"cannot be read|not whole"):
        extract(archive)


def test_changed_file_is_refused(archive: Path) -> None:
    rewrite(archive, lambda name, content: (name, b"rowz" if content == b"rows" else content))
    with pytest.raises(PushMetricsConfigurationError, match=r"damaged: 'database\.sqlite'"):
        extract(archive)


def test_missing_file_is_refused(archive: Path) -> None:
    rewrite(archive, lambda name, content: None if "parquet" in name else (name, content))
    with pytest.raises(PushMetricsConfigurationError, match=r"damaged: 'results/run-1/q\.parquet'"):
        extract(archive)


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside"])
def test_file_outside_of_the_folder_is_refused(archive: Path, name: str) -> None:
    rewrite(archive, lambda old, content: (name if "parquet" in old else old, content))
    with pytest.raises(PushMetricsConfigurationError, match="not a plain file"):
        extract(archive)
    assert not (archive.parent / "outside").exists()


@pytest.mark.parametrize(
    ("kind", "engine", "message"),
    [
        ("receiver", "sqlite", "is of a service: use 'pushmetrics service restore'"),
        ("service", "postgresql", "is from sqlite, and cannot be restored to postgresql"),
    ],
)
def test_other_kind_is_refused(archive: Path, kind: str, engine: str, message: str) -> None:
    with pytest.raises(PushMetricsConfigurationError, match=message):
        extract(archive, kind, engine)


@pytest.mark.parametrize("manifest", ["{}", "[]", "x", json.dumps({"format": 2})])
def test_other_manifest_is_refused(archive: Path, manifest: str) -> None:
    rewrite(archive, lambda name, content: (name, manifest.encode() if name == MANIFEST else content))
    with pytest.raises(PushMetricsConfigurationError, match="cannot be used: its"):
        extract(archive)
