"""The result store: one Parquet file for each query of a run, and one of pictures for each chart."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from shutil import move
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, BinaryIO, cast

import pyarrow as pa

from airflow_provider_pushmetrics.service.datasources.base import RowBatches
from airflow_provider_pushmetrics.service.results.columns import read_rows
from airflow_provider_pushmetrics.service.results.files.base import OWNERS, FoundFile, ResultFiles
from airflow_provider_pushmetrics.service.results.files.folder import FolderFiles, delete_older
from airflow_provider_pushmetrics.service.results.files.objects import ObjectFiles
from airflow_provider_pushmetrics.service.results.result_writer import write_parquet
from airflow_provider_pushmetrics.service.results.stored_result import (
    Completeness,
    ResultAwayError,
    ResultError,
    ResultGoneError,
    StoredResult,
)
from airflow_provider_pushmetrics.service.storage.ids import generate_uid, is_uid
from airflow_provider_pushmetrics.service.storage.object_store import ObjectStore, ObjectStoreError
from airflow_provider_pushmetrics.serving.private_files import make_private_folder, open_private

UNFINISHED = "unfinished"
"""The folder of files that are being written, on this machine."""

PARTIAL = ".partial"

FOLDER_NAME = re.compile("[a-z]+(-[a-z]+)*-[0-9]+")
"""The name of the folder of a run: never a way out of the folder of all results."""

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What writing fails with when the disk, or what a user may have of it, is full."""

MAX_TEMPLATE_ROWS = 100_000
MAX_TEMPLATE_BYTES = 16 * 1024 * 1024
"""The maximum number of rows of ``query_1.data`` in a template, and their maximum size in Arrow."""


class ResultStore:
    """
    Stores results.

    :param folder: A folder of this machine, for results or, if they are elsewhere, for what is being written.
    :param files: Where they are, if not in the folder.
    """

    def __init__(self, folder: Path, files: ResultFiles | None = None) -> None:
        self._folder = folder
        self._unfinished = folder / UNFINISHED
        is_new = not folder.exists()
        self._files: ResultFiles = files or FolderFiles(folder)
        if files is None and is_new:  # a folder that is empty is one that is not mounted
            make_private_folder(self._unfinished)

    @classmethod
    def connect(cls, folder: Path, url: str | None) -> ResultStore:
        """
        Open the store at a URL of object storage, or else in the folder.

        :raises PushMetricsConfigurationError: if the URL cannot be used.
        """
        return cls(folder, None if url is None else ObjectFiles(ObjectStore.connect(url)))

    def prepare(self, wait_seconds: float) -> None:
        """
        Make sure that results can be written, read and deleted.

        :param wait_seconds: How long to wait for object storage that is away.
        :raises PushMetricsConfigurationError: if not.
        """
        self._files.prepare(wait_seconds)

    def write(
        self, name: str, rows: RowBatches, get_truncation: Callable[[], Completeness] = Completeness
    ) -> int:
        """
        Write a result: it is there whole when this returns, or not at all.

        :param name: The file, relative to the store.
        :param get_truncation: Called after all rows were read.
        :return: The number of rows.
        :raises ResultError: if a format could not represent a value, with its column and rows; or if the disk
            is full.
        :raises ObjectStoreError: if the object storage does not take it.
        """
        with self._begin_file(name) as file:
            return write_parquet(file, rows, get_truncation)

    def write_bytes(self, name: str, content: bytes) -> None:
        """
        Write the pictures of a chart: they are there whole when this returns, or not at all.

        :raises ResultError: if the disk is full.
        :raises ObjectStoreError: if the object storage does not take them.
        """
        with self._begin_file(name) as file:
            file.write(content)

    def read_bytes(self, name: str) -> bytes:
        """
        Read the pictures of a chart.

        :raises ResultGoneError: if they were deleted.
        :raises ObjectStoreError: if the object storage does not answer.
        """
        found = self.find(name)
        try:
            if found is not None:
                with found.open() as file:
                    return file.read()
        except FileNotFoundError:
            pass
        raise ResultGoneError(f"the result {name!r} is no longer kept.")

    def put(self, name: str, path: Path) -> None:
        """Take over the file of a result that another store had."""
        make_private_folder(self._unfinished)
        moved = self._unfinished / f"{generate_uid()}{PARTIAL}"
        try:
            self._files.put(name, Path(move(path, moved)))
        finally:
            moved.unlink(missing_ok=True)

    @contextmanager
    def _begin_file(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file that gets its name when the block has ended without an error."""
        make_private_folder(self._unfinished)
        path = self._unfinished / f"{generate_uid()}{PARTIAL}"
        try:
            with open_private(path, "wb") as file:
                yield file
            self._files.put(name, path)
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
            raise ResultError(f"the result cannot be stored: {os.strerror(error.errno)}.") from error
        finally:
            path.unlink(missing_ok=True)

    def find(self, name: str) -> FoundFile | None:
        """Find the file of a result; None if it was deleted."""
        return self._files.find(name)

    def has_any(self) -> bool:
        """Return whether there are results."""
        return self._files.has_any()

    def list_owners(self) -> list[str]:
        """List the uids of the installations that have marked the place."""
        return sorted(name for name in self._files.list_names(OWNERS) if is_uid(name))

    def add_owner(self, uid: str, note: str) -> None:
        """
        Mark the place as that of an installation, with a note for people.

        :raises ObjectStoreError: if the object storage does not take it.
        """
        folder = self._folder / OWNERS  # a folder that gets one for unfinished files looks like one in use
        make_private_folder(folder)
        path = folder / f"{generate_uid()}{PARTIAL}"
        try:
            with open_private(path, "w", encoding="utf-8") as file:
                file.write(f"{note}\n")
            self._files.put(f"{OWNERS}/{uid}", path)
        finally:
            path.unlink(missing_ok=True)

    def read_owner(self, uid: str) -> str:
        """Read the note of a mark."""
        try:
            return self.read_bytes(f"{OWNERS}/{uid}").decode(errors="replace").strip()
        except ResultGoneError:
            return "just deleted"

    def delete_owner(self, uid: str) -> None:
        """
        Delete the mark of an installation.

        :raises ObjectStoreError: if the object storage does not answer.
        """
        self._files.delete([f"{OWNERS}/{uid}"])

    def open(self, name: str) -> StoredResult:
        """
        Open a result.

        :raises ResultGoneError: if it was deleted.
        :raises ResultError: if it is damaged.
        """
        found = self.find(name)
        if found is None:
            raise ResultGoneError(f"the result {name!r} is no longer kept.")
        return open_result(name, found)

    @contextmanager
    def make_export_folder(self) -> Iterator[Path]:
        """Create a folder for temporary exports, and delete it afterwards."""
        make_private_folder(self._unfinished)
        with TemporaryDirectory(dir=self._unfinished) as name:
            yield Path(name)

    def open_unnamed(self) -> BinaryIO:
        """Open a temporary file that nobody else finds, and that is deleted when it is closed."""
        make_private_folder(self._unfinished)
        return cast("BinaryIO", TemporaryFile(dir=self._unfinished))

    def delete(self, names: Iterable[str]) -> None:
        """Delete results that nothing refers to; what cannot be deleted now is deleted with its run."""
        with suppress(ObjectStoreError):
            self._files.delete(names)

    def delete_folders(self, names: Iterable[str]) -> None:
        """
        Delete all results of runs, also those that no run refers to.

        :raises ResultError: if a name is none of a folder of results; nothing is deleted then.
        :raises ObjectStoreError: if the object storage does not answer.
        :raises OSError: if a folder of this machine cannot be deleted; the others are deleted.
        """
        names = list(names)
        for name in names:
            if not FOLDER_NAME.fullmatch(name):
                raise ResultError(f"{name!r} is not the name of a folder of results.")
        self._files.delete_folders(names)

    def list_written(self, before: datetime) -> Iterable[str]:
        """List the names of the results written before a time."""
        return self._files.list_written(before)

    def clean(self, before: datetime, spared: Collection[str] = ()) -> int:
        """
        Delete results written before a time.

        :param spared: The folders of runs whose results are kept.
        :return: How many there were.
        """
        return self._files.clean(before, spared)

    def clean_unfinished(self, before: datetime) -> int:
        """Delete files of dead processes that have not grown since a time; return their number."""
        found = [*self._unfinished.glob(f"*{PARTIAL}"), *self._unfinished.glob("*/*")]
        return delete_older(found, before, self._unfinished)

    def __str__(self) -> str:
        """Name its place, without a secret."""
        return str(self._files)

    def read_rows(self, name: str) -> list[dict[str, Any]]:
        """
        Read a whole result into memory as exact Python values, for a template.

        :raises ResultError: if it is too large for that.
        """
        with self.open(name) as result:
            if result.row_count > MAX_TEMPLATE_ROWS:
                raise ResultError(
                    f"{result.row_count} rows are too many for a template, which accepts"
                    f" {MAX_TEMPLATE_ROWS}: aggregate them in the query."
                )
            rows: list[dict[str, Any]] = []
            size = 0
            for batch in result.read_batches():
                size += batch.nbytes
                if size > MAX_TEMPLATE_BYTES:
                    raise ResultError(
                        f"the rows have more than {MAX_TEMPLATE_BYTES:,} bytes, the limit for a template:"
                        " select fewer columns, or aggregate them in the query."
                    )
                rows += read_rows(batch)
            return rows


def open_result(name: str, found: FoundFile) -> StoredResult:
    """
    Open the file of a result.

    :raises ResultGoneError: if it was deleted.
    :raises ResultError: if it is damaged.
    :raises ResultAwayError: if it cannot be read now.
    """
    try:
        return StoredResult(found.source)
    except FileNotFoundError:
        raise ResultGoneError(f"the result {name!r} is no longer kept.") from None
    except (pa.ArrowException, OSError) as error:
        # Arrow's own errors of a file that it cannot decode have no number.
        if getattr(error, "errno", None) is not None:
            raise ResultAwayError(f"the result {name!r} cannot be read now: {error.strerror}.") from error
        raise ResultError(f"the result {name!r} is damaged.") from error
