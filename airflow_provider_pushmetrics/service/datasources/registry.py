"""The databases of a workspace, by their id."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.engine import URL, make_url

from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.datasources.base import Source, SourceError
from airflow_provider_pushmetrics.service.datasources.duckdb.objects import ObjectFolder
from airflow_provider_pushmetrics.service.datasources.duckdb.pool import open_duckdb_pool
from airflow_provider_pushmetrics.service.datasources.duckdb.spill import delete_unused_folders
from airflow_provider_pushmetrics.service.datasources.hosts import HostGuard, sort_addresses
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS, QueryLimits
from airflow_provider_pushmetrics.service.datasources.locations import SourcePlaces, is_object_url
from airflow_provider_pushmetrics.service.datasources.urls import (
    CLOUDS,
    DUCKDB,
    FILE_BACKENDS,
    FLIGHT_SQL,
    SQLITE,
    build_source_url,
    find_file_options,
)
from airflow_provider_pushmetrics.service.egress.rules import EgressRules
from airflow_provider_pushmetrics.service.models import DataSource
from airflow_provider_pushmetrics.service.storage.database import Database, execute_core
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.service.storage.object_store import ObjectStore

POSTGRESQL = "postgresql"
MYSQL = frozenset({"mysql", "mariadb"})

SELECT_SOURCES = select(DataSource.id, DataSource.kind, DataSource.location_encrypted).where(
    DataSource.id.in_(bindparam("ids", expanding=True))
)

ADBC_KINDS = CLOUDS | {FLIGHT_SQL}


@dataclass(frozen=True)
class OpenSource:
    """
    An open source, and the row it was opened for.

    :param url: Its URL, with the addresses of its host.
    """

    source: Source
    url: URL


class SourceRegistry:
    """
    Opens databases by their id, and keeps them open until their row changes.

    :param database: The service's database.
    :param cipher: Decrypts the URLs.
    :param places: The folders of files that may be queried.
    :param rules: The egress rules.
    :param limits: The maximum limits of a query.
    """

    def __init__(
        self,
        database: Database,
        cipher: Cipher,
        places: SourcePlaces,
        rules: EgressRules,
        limits: QueryLimits = DEFAULT_LIMITS,
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._places = places
        self._guard = HostGuard(rules, make_url(database.url))
        self._lock = threading.Lock()
        self._open: dict[int, OpenSource] = {}
        self._connecting = threading.Lock()
        self._stores: dict[str, ObjectStore] = {}
        self._duckdb_pool = open_duckdb_pool(limits)

    def open(self, source_id: Any) -> Source:
        """
        Open a database, or return the open one.

        Databases whose rows were changed or deleted are closed, after their running queries.

        :raises SourceError: if there is none with this id, or it must not be connected to.
        """
        rows = self._read_rows(source_id)
        with self._lock:
            self._evict(set(self._open) - set(rows))
        if source_id not in rows:
            raise SourceError(f"there is no database with the id {source_id!r}.")
        url = self.locate(*rows[source_id])
        with self._lock:
            known = self._open.get(source_id)
            if known is None or sort_addresses(known.url) != sort_addresses(url):
                self._evict({source_id} & set(self._open))
                known = self._open[source_id] = OpenSource(self._make_source(url), url)
            return known.source

    @contextmanager
    def open_unsaved(self, kind: str, location: str) -> Iterator[Source]:
        """
        Open a database without a row, for the block.

        :raises SourceError: if it must not be connected to.
        """
        source = self._make_source(self.locate(kind, location))
        try:
            yield source
        finally:
            source.close()

    def locate(self, kind: str, location: str) -> URL:
        """
        Find the location of a database: the path of its file, or the address of its server.

        :raises SourceError: if its file is in a forbidden place, its server must not be connected to, or
            it is the service's own.
        """
        url = build_source_url(kind, location)
        if kind == DUCKDB and is_object_url(location):
            self._places.split(location)
            return url
        if url.get_backend_name() in FILE_BACKENDS:
            return url.set(database=str(self._places.resolve(url.database or "")))
        if url.get_backend_name() in CLOUDS:
            return url
        files = {name: str(self._places.resolve(file)) for name, file in find_file_options(url).items()}
        return self._guard.pin(url.update_query_dict(files))

    def list_open(self) -> set[int]:
        """List the ids of the open databases."""
        with self._lock:
            return set(self._open)

    @property
    def children(self) -> ChildPool:
        """The child processes of DuckDB queries."""
        return self._duckdb_pool

    def delete_unused_files(self) -> None:
        """Delete what queries of processes that were killed have written to disk."""
        delete_unused_folders(self._places.temp_dir)

    def close(self) -> None:
        with self._lock:
            self._evict(set(self._open))
        self._duckdb_pool.close()

    def _read_rows(self, source_id: Any) -> dict[int, tuple[str, str]]:
        """Read the kind and the location of a source, and of all open ones."""
        ids = self.list_open()
        if isinstance(source_id, int):
            ids.add(source_id)
        with self._database.reading() as session:
            rows = execute_core(session, SELECT_SOURCES, {"ids": list(ids)}).all()
        return {row.id: (row.kind, self._cipher.decrypt(row.location_encrypted)) for row in rows}

    def _evict(self, source_ids: set[int]) -> None:
        for source_id in source_ids:
            self._open.pop(source_id).source.close()

    def _find_place(self, location: str) -> Path | ObjectFolder:
        if not is_object_url(location):
            return self._places.resolve(location)
        store, name = self._places.split(location)
        return ObjectFolder(partial(self._connect, store), name)

    def _connect(self, url: str) -> ObjectStore:
        """Connect to object storage, or return the connection. There are as many as the operator allows."""
        with self._connecting:
            if url not in self._stores:
                self._stores[url] = ObjectStore.connect(url)
            return self._stores[url]

    def _make_source(self, url: URL) -> Source:
        backend, file, temp_dir = url.get_backend_name(), url.database or "", self._places.temp_dir
        if backend == DUCKDB:
            from airflow_provider_pushmetrics.service.datasources.duckdb.source import DuckDbSource

            return DuckDbSource(self._find_place(file), temp_dir, self._duckdb_pool)
        if backend == SQLITE:
            from airflow_provider_pushmetrics.service.datasources.drivers.sqlite import SqliteSource

            return SqliteSource(self._places.resolve(file), temp_dir)
        if backend == POSTGRESQL:
            from airflow_provider_pushmetrics.service.datasources.drivers.postgresql import PostgresSource

            return PostgresSource(url, temp_dir)
        if backend in MYSQL:
            from airflow_provider_pushmetrics.service.datasources.drivers.mysql import MySqlSource

            return MySqlSource(url, temp_dir)
        if backend in ADBC_KINDS:
            from airflow_provider_pushmetrics.service.datasources.drivers.adbc_drivers import AdbcSource

            return AdbcSource(url, temp_dir)
        from airflow_provider_pushmetrics.service.datasources.drivers.sqlalchemy import SqlAlchemySource

        return SqlAlchemySource(url, temp_dir)
