"""What a place for the files of results can do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

from airflow_provider_pushmetrics.service.storage.object_file import ObjectFile

ROWS_ENDING, PICTURES_ENDING = ".parquet", ".zip"
"""How the names of files end: of the rows of a query, and of the pictures of a chart."""

ENDINGS = (ROWS_ENDING, PICTURES_ENDING)


OWNERS = "owner"
"""The folder of the marks of installations: texts whose names are their uids."""


@dataclass(frozen=True)
class FoundFile:
    """
    The file of a result.

    :param size: Its size in bytes.
    :param version: What changes when another file gets its name.
    :param source: Its path on this machine, or else an open file, whose every read is a request.
    :param open: Opens it for reading from its beginning to its end.
    """

    size: int
    version: str
    source: Path | ObjectFile
    open: Callable[[], IO[bytes]]


class ResultFiles(Protocol):
    """
    The files of results: one folder for each run.

    All methods but ``prepare`` raise :class:`ObjectStoreError` if the place does not answer.
    """

    def prepare(self, wait_seconds: float) -> None:
        """
        Make sure that files can be written, read and deleted.

        :param wait_seconds: How long to wait for a store that is away.
        :raises PushMetricsConfigurationError: if not.
        """

    def put(self, name: str, path: Path) -> None:
        """Take over a file of this machine: it is there whole when this returns, or not at all."""

    def list_names(self, folder: str) -> Iterable[str]:
        """List the names of the files in a folder."""

    def find(self, name: str) -> FoundFile | None:
        """Find a file; None if it was deleted."""

    def has_any(self) -> bool:
        """Return whether there are files."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete files, and their folders if those are empty then."""

    def delete_folders(self, names: Iterable[str]) -> None:
        """
        Delete the folders of runs.

        :raises OSError: if a folder of this machine cannot be deleted; the others are deleted.
        """

    def list_written(self, before: datetime) -> Iterable[str]:
        """List the files written before a time."""

    def clean(self, before: datetime, spared: Collection[str]) -> int:
        """Delete the files written before a time, except those in some folders; return their number."""

    def __str__(self) -> str:
        """Name the place, without a secret."""
