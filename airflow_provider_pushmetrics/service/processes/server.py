"""The server process: uvicorn, and a worker process beside it."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
from contextlib import nullcontext
from typing import Any

import pyarrow as pa
import uvicorn

from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.processes.supervisor import Assignment, Supervisor
from airflow_provider_pushmetrics.service.runs.run_watch import RunWatch
from airflow_provider_pushmetrics.service.runtime import assemble, choose_worker_id
from airflow_provider_pushmetrics.service.settings import ServiceSettings, require_postgres
from airflow_provider_pushmetrics.service.storage.data_folder import lock_folder
from airflow_provider_pushmetrics.serving.http.connections import LimitedServer, build_config
from airflow_provider_pushmetrics.serving.http.sockets import open_listener
from airflow_provider_pushmetrics.serving.logs import set_up_logging
from airflow_provider_pushmetrics.serving.process_start import exit_on_termination
from airflow_provider_pushmetrics.serving.traces import start_tracing, stop_tracing

log = logging.getLogger(__name__)


class ServiceServer(LimitedServer):
    """
    Uvicorn, which ends the waits of open pages before it stops.

    :param config: Uvicorn's settings.
    :param run_watch: Wakes the pages.
    :param limits: The limits of :class:`LimitedServer`, by name.
    """

    def __init__(self, config: uvicorn.Config, run_watch: RunWatch, **limits: Any) -> None:
        super().__init__(config, **limits)
        self._run_watch = run_watch

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Complete running requests, then close."""
        self._run_watch.end_waits()
        await super().shutdown(sockets)


def serve(settings: ServiceSettings) -> None:
    """
    Serve until SIGTERM or SIGINT.

    :raises PushMetricsConfigurationError: if the service cannot start with these settings.
    """
    if not settings.executes:
        require_postgres(settings, "a service without a worker")
    with open_listener(settings.host, settings.port, port_variable="PUSHMETRICS_SERVICE_PORT") as listener:
        set_up_logging(settings.log_format)
        start_tracing("pushmetrics-service")
        exit_on_termination()
        # On PostgreSQL any number of services share the folder; on SQLite there is one, with one worker.
        with nullcontext() if settings.database_url else lock_folder(settings.data_dir):
            _serve(settings, listener)
    stop_tracing()
    log.info("stopped")
    logging.shutdown()
    os._exit(0)  # DuckDB, if it has built the demo's database, would print its leaks at the interpreter's end


def _serve(settings: ServiceSettings, listener: socket.socket) -> None:
    supervisor = None
    if settings.executes:
        supervisor = Supervisor(Assignment(settings, choose_worker_id(settings)))
        supervisor.prepare()
    parts = assemble(settings, supervisor)
    try:
        parts.start()
        config = build_config(build_app(parts), lifespan="off", graceful_seconds=settings.shutdown_seconds)
        limit = settings.connections_per_address
        server = ServiceServer(config, parts.run_watch, connections_per_address=limit)
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn stops at these signals, then raises them again for earlier handlers: none, so that we
            # can close everything.
            signal.signal(number, lambda *_: None)
        _choose_allocator()
        gc.freeze()  # a garbage collection of all loaded objects would stop requests for 0.1 s
        log.info("serving on %s", settings.base_url)
        server.run(sockets=[listener])
    finally:  # also if a signal ends the start: the supervisor's thread would keep the process alive
        parts.stop()


def _choose_allocator() -> None:
    """Make Arrow release memory: its default, mimalloc, keeps 100 MiB for a result that needs 40 MiB."""
    has_jemalloc = "jemalloc" in pa.supported_memory_backends()
    pa.set_memory_pool(pa.jemalloc_memory_pool() if has_jemalloc else pa.system_memory_pool())
