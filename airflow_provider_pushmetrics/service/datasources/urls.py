"""Where databases are: SQLAlchemy URLs, and what is stored and shown of them."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

DUCKDB = "duckdb"


def parse_source_url(text: str) -> tuple[str, str]:
    """
    Read where a database is.

    :return: Its kind, which is the name of its dialect, and its location as it is to be stored, encrypted.
    :raises ValueError: if it is no SQLAlchemy URL, or its driver is missing. The message never holds it.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("must be an SQLAlchemy URL, such as postgresql+psycopg://user@host/name") from None
    if url.get_backend_name() == DUCKDB:
        if not url.database or url.database == ":memory:":
            raise ValueError("must name a file or a folder: duckdb:///file.duckdb")
        return DUCKDB, url.database
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")  # the one that is installed with the service
    try:
        url.get_dialect().import_dbapi()
    except (NoSuchModuleError, ImportError):
        raise ValueError(f"needs the driver {url.drivername!r}, which is not installed here") from None
    return url.get_backend_name(), url.render_as_string(hide_password=False)


def build_source_url(kind: str, location: str) -> URL:
    """Write where a database is as a URL, from what is stored of it."""
    return URL.create(DUCKDB, database=location) if kind == DUCKDB else make_url(location)


def describe_source(url: URL) -> str:
    """Write where a database is for people: without its password, and without options that may hold one."""
    return url.set(query={}).render_as_string(hide_password=True)
