"""A real MariaDB server as a process of the tests: Debian's ``mariadbd`` with a data folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
"""Debian keeps servers in a folder that is only on root's path."""

START_SECONDS = 120

TOKYO = (
    "INSERT INTO time_zone (Time_zone_id, Use_leap_seconds) VALUES (1, 'N')",
    "INSERT INTO time_zone_name (Name, Time_zone_id) VALUES ('Asia/Tokyo', 1)",
    "INSERT INTO time_zone_transition_type (Time_zone_id, Transition_type_id, `Offset`, Is_DST, Abbreviation)"
    " VALUES (1, 0, 32400, 0, 'JST')",
)
"""The one time zone that the server knows by name; the program that loads all is in a larger package."""

QUICK_SETTINGS = (
    "--innodb-buffer-pool-size=32M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-log-file-size=16M",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--performance-schema=OFF",
    "--character-set-server=utf8mb4",
    "--max-allowed-packet=1G",
)
"""Nothing of a test has to outlive a crash. The largest packet lets a query give a value of up to 1 GiB."""


def find_missing_programs() -> list[str]:
    """List the programs of MariaDB that are not installed here."""
    needed = ("mariadbd", "mariadb-install-db")
    return [name for name in needed if shutil.which(name, path=SEARCH_PATH) is None]


@contextmanager
def run_mariadb(folder: Path) -> Iterator[str]:
    """
    Run a server on a free port of loopback, and stop it at the end.

    :param folder: An empty folder for its data.
    :return: The SQLAlchemy URL of an empty database on it, as a user who may do everything.
    """
    _make_data_folder(folder)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    log = folder / "server.log"
    command = [
        _find("mariadbd"),
        "--no-defaults",
        *_as_root(),
        f"--datadir={folder / 'data'}",
        f"--socket={folder / 'server.sock'}",
        f"--pid-file={folder / 'server.pid'}",
        "--bind-address=127.0.0.1",
        f"--port={port}",
        *QUICK_SETTINGS,
    ]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        try:
            _wait_until_ready(server, log, port)
            yield f"mysql+pymysql://root@127.0.0.1:{port}/shop?charset=utf8mb4"
        finally:
            server.terminate()


def _make_data_folder(folder: Path) -> None:
    command = [
        _find("mariadb-install-db"),
        "--no-defaults",
        *_as_root(),
        f"--datadir={folder / 'data'}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]
    subprocess.run(command, check=True, capture_output=True)


def _wait_until_ready(server: subprocess.Popen[bytes], log: Path, port: int) -> None:
    import pymysql

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            connection = pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True)
            break
        except pymysql.MySQLError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mariadbd does not answer: {log.read_text()[-2000:]}") from error
            time.sleep(0.05)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE shop CHARACTER SET utf8mb4")
        cursor.execute("USE mysql")
        for statement in TOKYO:
            cursor.execute(statement)


def _find(program: str) -> str:
    found = shutil.which(program, path=SEARCH_PATH)
    assert found is not None
    return found


def _as_root() -> list[str]:
    """Allow the server to run as root, as containers of CI do; it refuses that otherwise."""
    return ["--user=root"] if os.geteuid() == 0 else []
