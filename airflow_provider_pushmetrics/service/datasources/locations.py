"""The folders of files, on this machine and in object storage, that SQL blocks may query."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.storage.object_store import PROVIDERS

SOURCES_FOLDER = "sources"
TEMP_FOLDER = "temp"

RULE = (
    f"files and folders must be in the folder {SOURCES_FOLDER!r} of the service's data folder, or in one that"
    " the service was started with (--source-dir, PUSHMETRICS_SERVICE_SOURCE_DIRS), with all links followed."
)

URL_RULE = (
    "a folder of object storage must be one that the service was started with (--source-url,"
    " PUSHMETRICS_SERVICE_SOURCE_URLS), or in one."
)

SAFE_PART = re.compile(r"(?!\.{1,2}\Z)[^\x00-\x1f\x7f/\\*?\[\]{}#%:@]{1,200}\Z")
"""
A name between two slashes, and none that a library takes for another place or a pattern: HTTP clients resolve
``..``, decode ``%2e``, and split at ``?`` and ``#``.
"""


def has_safe_parts(url: str) -> bool:
    """Return whether the URL of a folder of object storage has nothing but names. A credential is none."""
    return all(map(SAFE_PART.match, url.partition("://")[2].rstrip("/").split("/")))


def is_object_url(location: str) -> bool:
    """Return whether a location is in object storage."""
    scheme, separator, _ = location.partition("://")
    return bool(separator) and scheme in PROVIDERS


@dataclass(frozen=True)
class SourcePlaces:
    """
    The folders of files that may be queried. The rest of the data folder contains keys and is excluded.

    :param data_dir: The service's data folder.
    :param source_dirs: More folders, besides the one for sources in the data folder.
    :param source_urls: Folders of object storage, without a slash at their end.
    """

    data_dir: Path
    source_dirs: tuple[Path, ...] = ()
    source_urls: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        """The folder of relative locations."""
        return self.data_dir / SOURCES_FOLDER

    @property
    def temp_dir(self) -> Path:
        """The folder for data of queries that does not fit in memory."""
        return self.data_dir / TEMP_FOLDER

    def resolve(self, location: str) -> Path:
        """
        Find the file or folder of a location, which need not exist.

        :return: Its path without links, which could be changed later.
        :raises SourceError: if it is outside of the folders, or contains data of the service.
        """
        try:
            path = (self.home / location).resolve()
            own = self.data_dir.resolve()
            roots = [folder.resolve() for folder in (self.home, *self.source_dirs)]
        except (OSError, ValueError, RuntimeError) as error:
            raise SourceError(f"{location!r} is not a path: {error}.") from error
        if own.is_relative_to(path) or (
            path.is_relative_to(own) and not path.is_relative_to(own / SOURCES_FOLDER)
        ):
            raise SourceError(
                f"{location!r} is, or contains, the service's own data and cannot be queried: {RULE}"
            )
        if not any(path.is_relative_to(root) for root in roots):
            raise SourceError(f"{location!r} is outside of the folders that can be queried: {RULE}")
        return path

    def split(self, location: str) -> tuple[str, str]:
        """
        Find where a folder of object storage is.

        :return: The one of the ``source_urls`` that it is in, and the rest of its name.
        :raises SourceError: if it is in none.
        """
        location = location.rstrip("/")
        if not has_safe_parts(location):  # not shown: it may hold a credential
            raise SourceError(f"the location is not the name of a folder: {URL_RULE}")
        for url in self.source_urls:
            if f"{location}/".startswith(f"{url}/"):
                return url, location.removeprefix(url).lstrip("/")
        raise SourceError(f"{location!r} is outside of the folders that can be queried: {URL_RULE}")
