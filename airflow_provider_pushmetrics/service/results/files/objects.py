"""Results in object storage, which needs no folder that several machines share."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from io import BufferedReader
from pathlib import Path

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.results.files.base import ENDINGS, FoundFile
from airflow_provider_pushmetrics.service.storage.object_store import (
    ObjectStore,
    ObjectStoreError,
    StoredObject,
)

CHECK_PAUSE_SECONDS = 1.0

STREAM_BYTES = 4 * 1024 * 1024
"""How much is requested at a time when a whole file is read."""

LISTERS = 16

log = logging.getLogger(__name__)


class ObjectFiles:
    """
    Keeps files as objects. A result is complete before its upload begins, and no run names it before its end.

    :param store: The object storage.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._sleep = sleep

    def prepare(self, wait_seconds: float) -> None:
        """
        Write, list, read and delete an object, and wait if the store is away.

        :raises PushMetricsConfigurationError: if the store refuses, or does not answer in time.
        """
        deadline, is_logged = self._monotonic() + wait_seconds, False
        while True:
            try:
                return self._store.check()
            except ObjectStoreError as error:
                if not error.is_temporary or self._monotonic() >= deadline:
                    raise PushMetricsConfigurationError(
                        f"{error}. Check --results-url or PUSHMETRICS_SERVICE_RESULTS_URL, and the"
                        f" credentials, which come from {self._store.describe_credentials()}."
                    ) from None
                if not is_logged:
                    log.warning("waiting for the object storage for up to %g s: %s", wait_seconds, error)
                    is_logged = True
            self._sleep(CHECK_PAUSE_SECONDS)

    def put(self, name: str, path: Path) -> None:
        self._store.upload(name, path)
        path.unlink()

    def list_names(self, folder: str) -> list[str]:
        return [one.name.removeprefix(f"{folder}/") for one in self._store.list(folder)]

    def find(self, name: str) -> FoundFile | None:
        try:
            file = self._store.open(name)
        except FileNotFoundError:
            return None
        return FoundFile(file.size, file.version, file, lambda: BufferedReader(file, STREAM_BYTES))

    def has_any(self) -> bool:
        return bool(self._list_results())

    def delete(self, names: Iterable[str]) -> None:
        self._store.delete(names)

    def delete_folders(self, names: Iterable[str]) -> None:
        with ThreadPoolExecutor(LISTERS) as pool:
            listed = pool.map(self._store.list, names)
            self._store.delete(one.name for folder in listed for one in folder)

    def list_written(self, before: datetime) -> list[str]:
        return [one.name for one in self._list_results() if one.modified_on < before]

    def clean(self, before: datetime, spared: Collection[str]) -> int:
        old = [
            one.name
            for one in self._list_results()
            if one.modified_on < before and one.name.split("/")[0] not in spared
        ]
        self._store.delete(old)
        return len(old)

    def _list_results(self) -> list[StoredObject]:
        """List the results: other objects under the prefix are not the service's."""
        found = self._store.list()
        return [one for one in found if one.name.count("/") == 1 and one.name.endswith(ENDINGS)]

    def __str__(self) -> str:
        return str(self._store)
