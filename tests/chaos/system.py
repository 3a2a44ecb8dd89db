"""The distributed set-up on one machine: the commands of ``docker-compose.yaml``, several of each."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import httpx
from sqlalchemy.engine import URL

from demo.errors import DemoError
from demo.folder import DemoFolder
from demo.processes import DemoProcesses
from demo.settings import AIRFLOW_USER, HOST, DemoCredentials, build_base_environment, find_free_ports
from tests.chaos.environment import build_environment
from tests.chaos.fleet import Fleet
from tests.chaos.servers import (
    Front,
    build_postgres_url,
    build_proxy_command,
    build_redis_command,
    find_databases,
    make_postgres,
)
from tests.fakes.pgbouncer import build_command as build_pgbouncer_command

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
POOL_SIZE = 10
START_SECONDS = 600
PORTS = 40
SOURCE_NAME = "pushmetrics"
HEALTH_PATHS = {"receiver": "/health/live", "web": "/health/live", "api-server": "/api/v2/version"}
"""What is behind the balancer, and where it says that it lives."""


class System:
    """
    Starts the processes, and knows where they are.

    :param folder: Where the logs and all files go.
    :param scratch: Where PostgreSQL and its pooler are, which may run as another user.
    :param counts: How many processes of each kind run.
    """

    def __init__(self, folder: DemoFolder, scratch: Path, counts: Mapping[str, int]) -> None:
        self.folder = folder
        self.scratch = scratch
        self.counts = counts
        self.credentials = replace(DemoCredentials(), trigger_token=secrets.token_urlsafe(32))
        self.processes = DemoProcesses(folder.root)
        self.fleet = Fleet(self.processes, folder.logs)
        self._free_ports = iter(find_free_ports(PORTS))
        self.fronts = {
            kind: Front(kind, self._take_port(), self._take_ports(counts[kind]), health)
            for kind, health in HEALTH_PATHS.items()
        }
        self._redis_port, self._pooler_port = self._take_ports(2)
        base = build_base_environment(os.environ, folder, PROGRAMS)
        del base["PYTHONDONTWRITEBYTECODE"]  # which would make each start slower
        self._environment = base | build_environment(self)

    def _take_port(self) -> int:
        return next(self._free_ports)

    def _take_ports(self, count: int) -> list[int]:
        return [self._take_port() for _ in range(count)]

    def get_url(self, kind: str) -> str:
        """Get the URL of a kind of server, at the balancer."""
        return f"http://{HOST}:{self.fronts[kind].port}"

    def get_database_url(self, name: str, *, pooled: bool = False) -> str:
        """Get the URL of a database, directly or behind the pooler."""
        url = build_postgres_url(self.postgres, name)
        if pooled:
            url = URL.create(url.drivername, url.username, host=HOST, port=self._pooler_port, database=name)
        return url.render_as_string()

    @property
    def postgres(self) -> Path:
        """The folder of PostgreSQL's files and socket."""
        return self.scratch / "postgres"

    @property
    def broker_url(self) -> str:
        """The URL of Redis."""
        return f"redis://{HOST}:{self._redis_port}/0"

    def start(self) -> None:
        """Start everything, and wait until all serve and Airflow has read its Dags."""
        self._start_servers()
        migration = self._run("airflow", "db", "migrate")
        self._add("web", "pushmetrics", "service", "--no-worker", "--demo", first=1)
        self.wait_for("the first web", lambda: self._is_ready("web"))
        self._add("web", "pushmetrics", "service", "--no-worker", "--demo")
        self._add("worker", "pushmetrics", "worker")
        self._add("receiver", "pushmetrics", "receiver", "--source", SOURCE_NAME)
        self.wait_for("a receiver", lambda: self._is_ready("receiver"))
        set_up = self._run(sys.executable, str(ROOT / "docker" / "set_up.py"))
        self.wait_for("the tables of Airflow", lambda: _has_succeeded(migration))
        self._start_airflow()
        self.wait_for("the set-up", lambda: _has_succeeded(set_up))

    def _start_servers(self) -> None:
        self.postgres.mkdir()
        self.fleet.add("postgres", 1, make_postgres(self.postgres), self._environment)
        redis = self.scratch / "redis"
        redis.mkdir()
        self.fleet.add("redis", 1, build_redis_command(redis, self._redis_port), self._environment)
        pooler = self.scratch / "pooler"
        pooler.mkdir()
        server = build_postgres_url(self.postgres, "postgres")
        command = build_pgbouncer_command(server, pooler, self._pooler_port, POOL_SIZE)
        self.fleet.add("pooler", 1, command, self._environment)
        command = build_proxy_command(self.scratch, list(self.fronts.values()))
        self.fleet.add("balancer", 1, command, self._environment)
        self.wait_for("PostgreSQL", lambda: find_databases(self.postgres))

    def _start_airflow(self) -> None:
        passwords = self.folder.airflow_home / "passwords.json"
        passwords.write_text(json.dumps({AIRFLOW_USER: self.credentials.airflow_password}), "utf-8")
        self._add("api-server", "airflow", "api-server")
        self._add("scheduler", "airflow", "scheduler", "--skip-serve-logs")
        self._add("dag-processor", "airflow", "dag-processor")
        self._add("triggerer", "airflow", "triggerer", "--skip-serve-logs")
        self._add("celery-worker", "airflow", "celery", "worker", "--skip-serve-logs")

    def _add(self, kind: str, *command: str, first: int | None = None) -> None:
        """Add the processes of a kind that are not there yet."""
        for number in range(1, (first or self.counts[kind]) + 1):
            if f"{kind}-{number}" not in self.fleet.members:
                arguments = [str(PROGRAMS / command[0]), *command[1:], *self._list_own(kind, number)]
                self.fleet.add(kind, number, arguments, self._environment)

    def _list_own(self, kind: str, number: int) -> list[str]:
        """List the arguments that distinguish a process from the others of its kind."""
        ports = ["--port", str(self.fronts[kind].behind[number - 1])] if kind in self.fronts else []
        data = ["--data", str(self.folder.service_data)] if kind in ("web", "worker") else []
        name = ["--celery-hostname", f"celery-{number}@%h"] if kind == "celery-worker" else []
        return [*ports, *data, *name]

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command that ends."""
        log = self.folder.logs / f"{Path(arguments[0]).stem}.log"
        command = [str(PROGRAMS / program), *arguments]
        return self.processes.start(command, env=self._environment, log=log, cwd=self.folder.root)

    def _is_ready(self, kind: str) -> bool:
        try:
            return httpx.get(f"{self.get_url(kind)}/health/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def wait_for(self, what: str, is_there: Callable[[], object]) -> None:
        """
        Wait until something is there, while what ends is started again.

        :raises DemoError: if it does not come in time.
        """
        deadline = time.monotonic() + START_SECONDS
        while not is_there():
            self.fleet.supervise()
            if time.monotonic() > deadline:
                raise DemoError(f"{what} did not come within {START_SECONDS} s: see {self.folder.logs}.")
            time.sleep(0.3)


def _has_succeeded(process: subprocess.Popen[bytes]) -> bool:
    code = process.poll()
    if code:
        raise DemoError(f"{process.args!r} ended with code {code}.")
    return code == 0
