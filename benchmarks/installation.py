"""A service with its worker and a receiver of its events, each a process of its own, to be measured."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psutil
from sqlalchemy.engine import make_url

from benchmarks.service import Bench, prepare
from tests.fakes.postgres import make_database
from tests.fakes.receiver_server import ReceiverServer, start_receiver
from tests.fakes.service_process import ServiceProcess, run_service, run_worker

WORKER_MODULE = "airflow_provider_pushmetrics.service.processes.worker"


@dataclass(frozen=True)
class Installation:
    """
    What runs.

    :param receiver: Gets the events of all runs.
    :param databases: The names of the databases on PostgreSQL, by who uses them.
    """

    bench: Bench
    service: ServiceProcess
    worker: psutil.Process
    receiver: ReceiverServer
    databases: Mapping[str, str]

    @property
    def processes(self) -> dict[str, psutil.Process]:
        """The processes by their kinds, without those that they start."""
        return {
            "web": psutil.Process(self.service.process.pid),
            "worker": self.worker,
            "receiver": psutil.Process(self.receiver.process.pid),
        }


@contextmanager
def run_installation(server_url: str | None = None) -> Iterator[Installation]:
    """
    Run a service and a receiver until the end of the block.

    :param server_url: The URL of a PostgreSQL, where the worker is started by itself; None for SQLite.
    """
    with ExitStack() as stack:
        if server_url is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pushmetrics-inbox-"))
            database_url, inbox_url = None, f"sqlite:///{folder}/inbox.db"
        else:
            database_url, inbox_url = (stack.enter_context(make_database(server_url)) for _ in range(2))
        bench = stack.enter_context(prepare(database_url))
        receiver = stack.enter_context(start_receiver(inbox_url, "--no-access-log"))
        service, worker = _start_service(stack, bench, database_url)
        service.subscribe(receiver.delivery_url, "report.run")
        names = {"service": database_url, "receiver": inbox_url} if server_url else {}
        databases = {user: make_url(url).database or "" for user, url in names.items() if url}
        yield Installation(bench, service, worker, receiver, databases)


def _start_service(
    stack: ExitStack, bench: Bench, database_url: str | None
) -> tuple[ServiceProcess, psutil.Process]:
    options = ["--allow-private-endpoints"]
    if database_url is None:
        service = stack.enter_context(run_service(bench.folder, *options))
        service.wait_until_ready()
        return service, find_worker(service)
    options += ["--database-url", database_url]
    worker = stack.enter_context(run_worker(bench.folder, *options))
    service = stack.enter_context(run_service(bench.folder, "--no-worker", *options))
    service.wait_until_ready()
    return service, psutil.Process(worker.pid)


def find_worker(service: ServiceProcess) -> psutil.Process:
    """Find the worker of a service that has started it."""
    children = psutil.Process(service.process.pid).children()
    return next(one for one in children if WORKER_MODULE in one.cmdline())
