"""Results in a folder of this machine, or one that several share."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from airflow_provider_pushmetrics.service.results.files.base import ENDINGS, OWNERS, FoundFile
from airflow_provider_pushmetrics.service.results.stored_result import ResultAwayError, ResultsNotMountedError
from airflow_provider_pushmetrics.serving.private_files import make_private_folder, sync_folder

NOT_MOUNTED = "The folder of results is empty, as one whose file system is not mounted"


class FolderFiles:
    """
    Keeps files in a folder. A reader can read a deleted file to its end.

    :param folder: The folder; created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        make_private_folder(folder)

    def prepare(self, wait_seconds: float) -> None:
        """Do nothing: the folder is there."""

    def put(self, name: str, path: Path) -> None:
        """Rename a file, which must be on the same file system, and make it durable."""
        target = self._folder / name
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        _rename_into_folder(path, target)
        for folder in (target.parent, self._folder):
            sync_folder(folder)

    def list_names(self, folder: str) -> list[str]:
        try:
            return [path.name for path in (self._folder / folder).iterdir()]
        except FileNotFoundError:
            return []

    def find(self, name: str) -> FoundFile | None:
        path = self._folder / name
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            self._require_mounted()
            return None
        except OSError as error:
            raise ResultAwayError(f"the folder of results cannot be read: {error.strerror}.") from error
        if not stat.S_ISREG(found.st_mode):
            return None
        return FoundFile(found.st_size, str(found.st_mtime_ns), path, lambda: open(path, "rb"))

    def has_any(self) -> bool:
        return next(self._list(), None) is not None

    def delete(self, names: Iterable[str]) -> None:
        for path in (self._folder / name for name in names):
            with suppress(OSError):  # another process was first, or the folder has more in it
                path.unlink()
                path.parent.rmdir()

    def delete_folders(self, names: Iterable[str]) -> None:
        if self._is_empty():
            raise FileNotFoundError(errno.ENOENT, NOT_MOUNTED, str(self._folder))
        folders = [self._folder / name for name in names]
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)  # another process may be first
        for folder in folders:
            if folder.exists():
                shutil.rmtree(folder)  # raises the reason

    def list_written(self, before: datetime) -> Iterator[str]:
        for path in self._list():
            with suppress(OSError):  # it was just deleted
                if path.stat().st_mtime < before.timestamp():
                    yield path.relative_to(self._folder).as_posix()

    def clean(self, before: datetime, spared: Collection[str]) -> int:
        found = (path for path in self._list() if path.parent.name not in spared)
        return delete_older(found, before, self._folder)

    def _require_mounted(self) -> None:
        """Raise an error if no file can be missed, since none is there: they are elsewhere."""
        try:
            is_empty = self._is_empty()
        except OSError as error:
            raise ResultAwayError(f"the folder of results cannot be read: {error.strerror}.") from error
        if is_empty:
            raise ResultsNotMountedError(f"{NOT_MOUNTED}.")

    def _is_empty(self) -> bool:
        with os.scandir(self._folder) as entries:  # raises if there is none
            # A mark says nothing: a service that starts without the file system writes one.
            return all(entry.name == OWNERS for entry in entries)

    def _list(self) -> Iterator[Path]:
        return (path for path in self._folder.glob("*/*") if path.name.endswith(ENDINGS))

    def __str__(self) -> str:
        return f"the folder {str(self._folder)!r}"


def _rename_into_folder(path: Path, target: Path) -> None:
    """
    Rename a file, and make the folder that it is then in.

    Another process may delete that folder at this moment, because its last file was deleted.
    """
    for is_last in (False, False, True):
        make_private_folder(target.parent)
        try:
            path.rename(target)
            return
        except FileNotFoundError:
            if is_last:
                raise


def delete_older(paths: Iterable[Path], before: datetime, within: Path) -> int:
    """
    Delete files written before a time, and their folders in a folder if those are empty then.

    :return: How many there were.
    """
    count = 0
    for path in list(paths):
        try:
            if path.stat().st_mtime < before.timestamp():
                path.unlink()
                count += 1
                if path.parent != within:
                    path.parent.rmdir()
        except OSError:
            continue  # another process was first, or the folder has more in it
    return count
