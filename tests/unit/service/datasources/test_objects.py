"""Copies of the files that a query names: whole, of one version, and within a limit."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from airflow_provider_pushmetrics.service.datasources.base import SourceError, Stopper
from airflow_provider_pushmetrics.service.datasources.duckdb.objects import ObjectFolder
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS
from airflow_provider_pushmetrics.service.storage.object_store import ObjectStore, StoredObject


class File(io.BytesIO):
    """An object that is open for reading."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.size = len(content)
        self.version = str(hash(content))


@dataclass
class Store:
    """
    Object storage in memory.

    :param after_opening: Called each time that an object was opened.
    """

    objects: dict[str, bytes]
    after_opening: Callable[[], object] = lambda: None
    opened: list[str] = field(default_factory=list)

    def list(self, folder: str, *, is_deep: bool) -> list[StoredObject]:
        assert (folder, is_deep) == ("f", False)
        now = datetime.now(UTC)
        return [StoredObject(name, len(content), now) for name, content in self.objects.items()]

    def open(self, name: str) -> File:
        self.opened.append(name)
        if name not in self.objects:
            raise FileNotFoundError(name)
        file = File(self.objects[name])
        self.after_opening()
        return file

    def copy(self, sql: str, folder: Path, max_bytes: int = 1000, stopper: Stopper | None = None) -> Path:
        limits = replace(DEFAULT_LIMITS, max_memory_bytes=max_bytes // 20)
        place = ObjectFolder(lambda: cast("ObjectStore", self), "f")
        return place.copy(sql, folder, limits, stopper or Stopper())


def test_only_the_files_that_a_query_names_are_copied(tmp_path: Path) -> None:
    store = Store({"f/shops.csv": b"a\n1\n", "f/others.csv": b"b\n", "f/notes.txt": b"shops"})
    copies = store.copy('SELECT * FROM "Shops"', tmp_path)
    assert {one.name: one.read_bytes() for one in copies.iterdir()} == {"shops.csv": b"a\n1\n"}
    assert set(store.opened) == {"f/shops.csv"}


@pytest.mark.parametrize("name", ["..csv", "a*.csv", "a?.csv", "a[1].csv", "a\x00.csv", "a%2f.csv"])
def test_name_that_means_something_to_a_file_system_or_to_duckdb_is_no_table(
    tmp_path: Path, name: str
) -> None:
    store = Store({f"f/{name}": b"a\n", "f/b.csv": b"b\n"})
    copies = store.copy("SHOW TABLES", tmp_path)
    assert [one.name for one in copies.iterdir()] in (["b.csv"], ["b.csv", name], [name, "b.csv"])
    assert name == "..csv" or f"f/{name}" not in store.opened


def test_more_than_the_limit_is_not_read(tmp_path: Path) -> None:
    store = Store({"f/a.csv": b"x" * 600, "f/b.csv": b"x" * 600})
    with pytest.raises(SourceError, match="1,200 bytes, and the limit is 1,000"):
        store.copy("SELECT * FROM a, b", tmp_path)
    assert store.opened == []


@pytest.mark.parametrize("content", [b"a\n2\n", b"a\n12345\n", None])
def test_file_that_is_replaced_meanwhile_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    store = Store({"f/a.csv": b"a\n1\n"})

    def change() -> None:
        if content is None:
            store.objects.clear()
        else:
            store.objects["f/a.csv"] = content

    store.after_opening = change
    with pytest.raises(SourceError, match=r"'a\.csv' was replaced"):
        store.copy("SELECT * FROM a", tmp_path)


def test_copying_ends_when_the_query_is_stopped(tmp_path: Path) -> None:
    stopper: Any = Stopper()
    store = Store({"f/a.csv": b"a\n1\n"}, after_opening=lambda: stopper.stop("it was cancelled"))
    with pytest.raises(SourceError, match="it was cancelled"):
        store.copy("SELECT * FROM a", tmp_path, stopper=stopper)
