"""PgBouncer in transaction mode."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL

SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
START_SECONDS = 30


def find_pgbouncer() -> str | None:
    """Find the program, which Debian keeps where only root looks."""
    return shutil.which("pgbouncer", path=SEARCH_PATH)


def build_command(server: URL, folder: Path, port: int, pool_size: int = 1) -> list[str]:
    """
    Write its settings, and build its command.

    :param server: The server, by its folder for sockets, which it need not have made yet.
    :param folder: Where the settings go.
    :param pool_size: How many connections to the server all clients of a database share.
    """
    program = find_pgbouncer()
    assert program is not None
    settings = folder / "pgbouncer.ini"
    host = Path(str(server.query["host"]))
    settings.write_text(
        f"[databases]\n* = host={host} port=5432 user={server.username} pool_size={pool_size}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        "auth_type = any\npool_mode = transaction\n"
    )
    settings.chmod(0o644)
    folder.chmod(0o755)
    # It refuses to run as root: then it runs as the user of the server, whose sockets it has to open.
    user = ["--user", host.owner()] if os.geteuid() == 0 else []
    return [program, *user, str(settings)]


@contextmanager
def run_pgbouncer(server: URL, folder: Path) -> Iterator[URL]:
    """
    Run it in front of a server, with one connection to it for all clients, and stop it at the end.

    :param server: The server, by its folder for sockets.
    :param folder: An empty folder.
    :return: The URL of the same database behind it.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = build_command(server, folder, port)
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_until_ready(process, port)
            yield URL.create(
                "postgresql+psycopg", server.username, host="127.0.0.1", port=port, database=server.database
            )
        finally:
            process.terminate()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
