"""Serve: one process with uvicorn, from the first log line to the last."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sys
import threading
from types import FrameType

import uvicorn

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.redaction import RedactingFilter
from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.parts import ServiceParts, assemble
from airflow_provider_pushmetrics.service.settings import ServiceSettings

BACKLOG = 2048
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

log = logging.getLogger(__name__)


def serve(settings: ServiceSettings) -> None:
    """
    Serve until SIGTERM or SIGINT.

    :raises PushMetricsConfigurationError: if the service cannot start as it is set up.
    """
    if not settings.executes:
        _require_postgres(settings, "a service without a worker")
    listener = open_listener(settings.host, settings.port)
    set_up_logging()
    parts = assemble(settings)
    parts.start()
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(parts),
            lifespan="off",
            log_config=None,
            access_log=False,  # it would write trigger tokens; the application has a log of its own
            server_header=False,
            timeout_graceful_shutdown=settings.shutdown_seconds,
        )
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops at these, then raises them again for whoever was there before: nobody, so that we can
        # tidy up.
        signal.signal(number, _ignore)
    log.info("serving on %s", settings.base_url)
    server.run(sockets=[listener])
    _stop(parts)


def work(settings: ServiceSettings) -> None:
    """
    Execute runs and deliveries until SIGTERM or SIGINT, and serve nobody.

    :raises PushMetricsConfigurationError: if the worker cannot start as it is set up.
    """
    _require_postgres(settings, "a worker by itself")
    set_up_logging()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    parts = assemble(settings)
    parts.start()
    log.info("working")
    stopping.wait()
    _stop(parts)


def _require_postgres(settings: ServiceSettings, what: str) -> None:
    if settings.database_url is None:
        raise PushMetricsConfigurationError(
            f"{what} needs PostgreSQL, where other processes find its work: give --database-url or"
            " PUSHMETRICS_SERVICE_DATABASE_URL. On SQLite, one process does everything."
        )


def _stop(parts: ServiceParts) -> None:
    if parts.stop():
        log.info("stopped")
        return
    log.info("stopped; what is not finished goes on at the next start")
    logging.shutdown()
    os._exit(0)  # a thread in the middle of a query would keep the process alive until the query ends


def _ignore(number: int, frame: FrameType | None) -> None:
    pass


def open_listener(host: str, port: int) -> socket.socket:
    """
    Take the port, before anything is loaded.

    :raises PushMetricsConfigurationError: if it is taken, or not ours to take.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise PushMetricsConfigurationError(
            f"port {port} on {host!r} {reason}: stop what uses it, or choose another with --port or"
            " PUSHMETRICS_SERVICE_PORT."
        ) from None
    return listener


def set_up_logging() -> None:
    """Log to stderr, with every credential taken out."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    handler.addFilter(RedactingFilter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("alembic", "httpx", "httpcore", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # DBOS brings a handler of its own, which redacts nothing; with one there, it adds none.
    dbos_log = logging.getLogger("dbos")
    dbos_log.addHandler(handler)
    dbos_log.propagate = False
