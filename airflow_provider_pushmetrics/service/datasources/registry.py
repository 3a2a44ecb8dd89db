"""The databases of a workspace, by their id."""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.datasources.base import Source, SourceError
from airflow_provider_pushmetrics.service.datasources.locations import SourcePlaces
from airflow_provider_pushmetrics.service.datasources.urls import DUCKDB, build_source_url
from airflow_provider_pushmetrics.service.encryption import Vault
from airflow_provider_pushmetrics.service.models import DataSource

SQLITE = "sqlite"
FILE_BACKENDS = frozenset({DUCKDB, SQLITE})


class SourceRegistry:
    """
    Opens databases by their id and keeps them open.

    :param database: Where it says what and where they are.
    :param vault: Decrypts where they are.
    :param places: In which folders files may be asked.
    """

    def __init__(self, database: Database, vault: Vault, places: SourcePlaces) -> None:
        self._database = database
        self._vault = vault
        self._places = places
        self._lock = threading.Lock()
        self._open: dict[str, Source] = {}

    def open(self, source_id: Any) -> Source:
        """
        Open a database, or find it open.

        :raises SourceError: if there is none with this id.
        """
        with self._database.reading() as session:
            row = session.get(DataSource, source_id) if isinstance(source_id, int) else None
        if row is None:
            raise SourceError(f"there is no database with the id {source_id!r}.")
        location = self._vault.decrypt(row.location_encrypted)
        with self._lock:
            if location not in self._open:
                self._open[location] = self._make_source(row.kind, location)
            return self._open[location]

    def check_place(self, kind: str, location: str) -> None:
        """
        Refuse what will not be opened, whether it exists or not.

        :raises SourceError: if its files are where none may be asked, or it is the service's own database.
        """
        from airflow_provider_pushmetrics.service.datasources.sqlalchemy import refuse_own

        url = build_source_url(kind, location)
        if url.get_backend_name() in FILE_BACKENDS:
            self._places.resolve(url.database or "")
        else:
            refuse_own(url, make_url(self._database.url))

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            for source in self._open.values():
                source.close()
            self._open.clear()

    def _make_source(self, kind: str, location: str) -> Source:
        url = build_source_url(kind, location)
        backend = url.get_backend_name()
        temp_dir = self._places.temp_dir
        if backend == DUCKDB:
            from airflow_provider_pushmetrics.service.datasources.duckdb import DuckDbSource
            from airflow_provider_pushmetrics.service.datasources.folder import FolderSource

            path = self._places.resolve(location)
            return FolderSource(path, temp_dir) if path.is_dir() else DuckDbSource(path, temp_dir)
        if backend == SQLITE:
            from airflow_provider_pushmetrics.service.datasources.sqlite import SqliteSource

            return SqliteSource(self._places.resolve(url.database or ""), temp_dir)
        from airflow_provider_pushmetrics.service.datasources.sqlalchemy import SqlAlchemySource, refuse_own

        refuse_own(url, make_url(self._database.url))
        if backend == "postgresql":
            from airflow_provider_pushmetrics.service.datasources.postgresql import PostgresSource

            return PostgresSource(url, temp_dir)
        if backend in ("mysql", "mariadb"):
            from airflow_provider_pushmetrics.service.datasources.mysql import MySqlSource

            return MySqlSource(url, temp_dir)
        return SqlAlchemySource(url, temp_dir)
