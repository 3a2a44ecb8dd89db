"""
Worker processes: the worker of a service, and standalone workers.

:mod:`supervisor` starts the former, and describes its pipe.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import signal
import socket
import sys
import threading
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING

from airflow_provider_pushmetrics.service.processes.supervisor import END_OF_FIGURES, READY
from airflow_provider_pushmetrics.service.settings import ServiceSettings, require_postgres
from airflow_provider_pushmetrics.service.storage.data_folder import WORKER_LOCK_FILE, wait_for_folder
from airflow_provider_pushmetrics.serving.background import BackgroundLoop
from airflow_provider_pushmetrics.serving.http.sockets import open_listener
from airflow_provider_pushmetrics.serving.logs import set_up_logging
from airflow_provider_pushmetrics.serving.traces import start_tracing, stop_tracing

if TYPE_CHECKING:
    from airflow_provider_pushmetrics.service.processes.supervisor import Assignment
    from airflow_provider_pushmetrics.service.runtime import ExecutionBackend, ServiceParts

NICENESS = 5
"""On a busy machine the server has priority over runs, because clients wait for its responses."""

TRACED_NAME = "pushmetrics-worker"

FIGURES_SECONDS = 5.0
"""How old the figures of a service's worker are at most."""

log = logging.getLogger(__name__)


def work(settings: ServiceSettings) -> None:
    """
    Execute runs and deliveries until SIGTERM or SIGINT.

    :raises PushMetricsConfigurationError: if the worker cannot start with these settings.
    """
    require_postgres(settings, "a worker by itself")
    from airflow_provider_pushmetrics.service.processes.worker_health import serve_health
    from airflow_provider_pushmetrics.service.runtime import assemble
    from airflow_provider_pushmetrics.serving.process_start import exit_on_termination

    with _open_health_port(settings) as listener:
        set_up_logging(settings.log_format)
        start_tracing(TRACED_NAME)
        parts = assemble(settings, guards_memory=True)
        exit_on_termination()
        parts.prepare()
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        assert parts.engine is not None
        parts.engine.start()
        with serve_health(parts, listener):
            gc.freeze()
            log.info("working")
            stopping.wait()
        _stop(parts)


def _open_health_port(settings: ServiceSettings) -> AbstractContextManager[socket.socket | None]:
    if settings.health_port is None:
        return nullcontext()
    variable = "PUSHMETRICS_SERVICE_HEALTH_PORT"
    return open_listener(settings.host, settings.health_port, flag="--health-port", port_variable=variable)


def main() -> int:
    """Work for a service until the pipe ends, and return the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # A terminal sends them to the whole process group. The worker ends after the service.
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    report = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print goes to the log
    # Loaded while the service prepares the database, before the assignment comes.
    from airflow_provider_pushmetrics.service.worker import engine  # noqa: F401

    try:
        assignment: Assignment = pickle.load(sys.stdin.buffer)  # noqa: S301 (written by the process that started this one)
    except EOFError:
        return 0  # the service has ended already
    set_up_logging(assignment.settings.log_format)
    start_tracing(TRACED_NAME)
    try:
        _work_for_service(assignment, report)
    except Exception:
        log.exception("the worker cannot go on")
        return 1
    return 0


def _work_for_service(assignment: Assignment, report: int) -> None:
    from airflow_provider_pushmetrics.service.runtime import assemble

    settings = assignment.settings
    # The worker of a service that was killed may not have ended yet.
    with nullcontext() if settings.database_url else wait_for_folder(settings.data_dir, WORKER_LOCK_FILE):
        parts = assemble(settings, worker_id=assignment.worker_id, guards_memory=True)
        assert parts.engine is not None
        parts.engine.start()
        gc.freeze()  # as the server does
        with suppress(OSError):  # the service has ended: the pipe is at its end
            os.write(report, READY)
        figures = BackgroundLoop(
            "report-figures",
            lambda: _report(parts.engine, report),
            interval_seconds=FIGURES_SECONDS,
        )
        figures.start()
        os.read(sys.stdin.fileno(), 1)  # returns when the service ends
        figures.request_stop()
        _stop(parts)


def _report(engine: ExecutionBackend | None, report: int) -> None:
    """Write what this worker has done to the service, for its ``/metrics``."""
    if engine is not None:
        with suppress(OSError):
            os.write(report, engine.render_figures() + END_OF_FIGURES)


def _stop(parts: ServiceParts) -> None:
    has_ended = parts.stop()
    if not has_ended:
        log.info("stopped; unfinished work continues at the next start")
    stop_tracing()  # last: what still works would lose its trace
    if not has_ended:
        logging.shutdown()
        os._exit(0)  # a thread would keep the process alive until its query ends


if __name__ == "__main__":
    sys.exit(main())
