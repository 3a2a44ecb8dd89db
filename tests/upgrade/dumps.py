"""Databases as SQL, and back."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from tests.fakes.postgres import write_url
from tests.fakes.postgres_programs import find_postgres_programs

NOT_SQL = re.compile(r"^(\\.*|SET transaction_timeout = .*|--.*|)\n", re.M)
"""Lines of ``pg_dump`` for ``psql``, for newer servers, and for readers."""


def dump_database(url: str) -> str:
    """Write a database that nobody uses as SQL."""
    if make_url(url).get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(make_url(url).database))) as connection:
            return "".join(f"{line}\n" for line in connection.iterdump())
    program = str(find_postgres_programs() / "pg_dump")
    options = ["--inserts", "--no-owner", "--no-privileges", "--no-comments"]
    command = [program, *options, write_url(url, "postgresql")]
    dumped = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return NOT_SQL.sub("", dumped)


def load_database(dump: Path, url: str) -> None:
    """Write SQL to an empty database."""
    sql = dump.read_text("utf-8")
    if make_url(url).get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(make_url(url).database))) as connection:
            connection.executescript(sql)
        return
    with psycopg.connect(write_url(url, "postgresql")) as connection:
        connection.execute(sql.encode())
