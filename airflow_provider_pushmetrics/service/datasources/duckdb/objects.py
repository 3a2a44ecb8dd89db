"""
Folders of CSV and Parquet files in object storage.

The files that a query names are copied to a folder of its own, which DuckDB reads as any other: the process
that runs the SQL has neither credentials nor a network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.datasources.base import SourceError, Stopper
from airflow_provider_pushmetrics.service.datasources.duckdb.call import SPILL_FACTOR
from airflow_provider_pushmetrics.service.datasources.duckdb.tables import (
    EXTENSIONS,
    group_by_table,
    select_named,
)
from airflow_provider_pushmetrics.service.datasources.limits import MIB, QueryLimits
from airflow_provider_pushmetrics.service.datasources.locations import SAFE_PART
from airflow_provider_pushmetrics.service.storage.object_store import (
    ObjectStore,
    ObjectStoreError,
    StoredObject,
)
from airflow_provider_pushmetrics.serving.private_files import (
    create_private_file,
    make_private_folder,
    open_private,
)

COPY_BYTES = 8 * MIB
"""How much is read at a time."""

COPIES = "objects"


@dataclass(frozen=True)
class ObjectFolder:
    """
    A folder of object storage.

    :param connect: Connects to the store, which an operator allowed.
    :param name: The folder, relative to the store; empty for all of it.
    """

    connect: Callable[[], ObjectStore]
    name: str

    def copy(self, sql: str, temp_dir: Path, limits: QueryLimits, stopper: Stopper) -> Path:
        """
        Copy the files whose tables a query names.

        :param temp_dir: A folder for this query only.
        :return: The folder with the copies.
        :raises SourceError: if there are none in the folder, they are too large, one was replaced meanwhile,
            the store does not answer, or the query is stopped.
        """
        folder = temp_dir / COPIES
        make_private_folder(folder)
        try:
            store = self.connect()
            tables = select_named(group_by_table(self._find_files(store)), sql).values()
            wanted = [one for files in tables if len(files) == 1 for one in files.values()]
            _check_size(wanted, SPILL_FACTOR * limits.max_memory_bytes)
            for one in wanted:
                _copy(store, one, folder / PurePosixPath(one.name).name, stopper)
            for name in (name for files in tables if len(files) > 1 for name in files):
                # The process that runs the SQL reports a table of several files by their names.
                create_private_file(folder / name)
        except (ObjectStoreError, PushMetricsConfigurationError) as error:
            raise SourceError(str(error)) from None
        except OSError as error:
            raise SourceError(f"the files cannot be copied to this machine: {error.strerror}.") from None
        return folder

    def _find_files(self, store: ObjectStore) -> dict[str, StoredObject]:
        """Find the files by their names."""
        found = {}
        for one in store.list(self.name, is_deep=False):
            path = PurePosixPath(one.name)
            if path.suffix.lower() in EXTENSIONS and SAFE_PART.match(path.name):
                found[path.name] = one
        if not found:
            raise SourceError("the folder has no CSV or Parquet files: check its name.")
        return found


def _check_size(wanted: list[StoredObject], max_bytes: int) -> None:
    size = sum(one.size for one in wanted)
    if size > max_bytes:
        raise SourceError(
            f"the files that the query names have {size:,} bytes, and the limit is {max_bytes:,}: use fewer"
            " or smaller files, or a database that reads them itself."
        )


def _copy(store: ObjectStore, one: StoredObject, path: Path, stopper: Stopper) -> None:
    """Copy one file, all of it from the same version."""
    replaced = SourceError(f"the file {path.name!r} was replaced while it was read: run the query again.")
    try:
        with store.open(one.name) as source, open_private(path, "wb") as target:
            if source.size != one.size:
                raise replaced
            while data := source.read(COPY_BYTES):
                if stopper.reason is not None:
                    raise SourceError(stopper.reason)
                target.write(data)
        with store.open(one.name) as now:
            if (now.version, now.size) != (source.version, one.size):
                raise replaced
    except FileNotFoundError:
        raise replaced from None
