"""The folders of files that SQL blocks may query."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from airflow_provider_pushmetrics.service.datasources.base import SourceError

SOURCES_FOLDER = "sources"
TEMP_FOLDER = "temp"

RULE = (
    f"files and folders must be in the folder {SOURCES_FOLDER!r} of the service's data folder, or in one that"
    " the service was started with (--source-dir, PUSHMETRICS_SERVICE_SOURCE_DIRS), with all links followed."
)


@dataclass(frozen=True)
class SourcePlaces:
    """
    The folders of files that may be queried. The rest of the data folder contains keys and is excluded.

    :param data_dir: The service's data folder.
    :param source_dirs: More folders, besides the one for sources in the data folder.
    """

    data_dir: Path
    source_dirs: tuple[Path, ...] = ()

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
