"""Serving the receiver standalone."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.app import create_app
from airflow_provider_pushmetrics.receiver.runtime import RuntimeOpener
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings, StandaloneOptions
from airflow_provider_pushmetrics.serving.http.access_log import AccessLog
from airflow_provider_pushmetrics.serving.http.connections import LimitedServer, build_config
from airflow_provider_pushmetrics.serving.http.sockets import open_listener
from airflow_provider_pushmetrics.serving.logs import set_up_logging
from airflow_provider_pushmetrics.serving.private_files import set_private_umask
from airflow_provider_pushmetrics.serving.process_start import exit_on_termination
from airflow_provider_pushmetrics.serving.traces import start_tracing, stop_tracing

log = logging.getLogger(__name__)

ACCESS_LOGGER = "airflow_provider_pushmetrics.receiver.access"

GRACEFUL_TIMEOUT_SECONDS = 20
"""How long running requests may take after SIGTERM; longer than a body may take."""

SWITCH_INTERVAL_SECONDS = 0.001
"""The writer needs the interpreter five times in a transaction; Python's default is 5 ms each time."""


class ReceiverServer(LimitedServer):
    """
    Uvicorn, which on SIGTERM responds to waiting readers at once, and exits with status 0.

    :param config: Uvicorn's settings.
    :param runtime: The inbox's opener.
    :param limits: The limits of :class:`LimitedServer`, by name.
    """

    def __init__(self, config: uvicorn.Config, runtime: RuntimeOpener, **limits: Any) -> None:
        super().__init__(config, **limits)
        self._runtime = runtime

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Complete running requests, then close."""
        self._runtime.end_waits()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """
        Stop at a signal with exit status 0.

        Uvicorn would raise the signal again at the end, and a clean stop would look like a crash.
        """
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(settings: ReceiverSettings, options: StandaloneOptions) -> None:
    """
    Serve the receiver until a signal stops it.

    :param options: The address to listen on, and the options of the server.
    :raises PushMetricsConfigurationError: if the port is in use or the inbox cannot be opened.
    """
    set_private_umask()
    set_up_logging(options.log_format)
    start_tracing("pushmetrics-receiver")
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    app = create_app(settings)
    listener = open_listener(options.host, options.port, port_variable="PUSHMETRICS_RECEIVER_PORT")
    runtime: RuntimeOpener = app.state.runtime
    exit_on_termination()
    try:
        runtime.open(options.wait_for_database_seconds)
    except PushMetricsConfigurationError:
        listener.close()
        raise
    names = ", ".join(repr(source.name) for source in settings.sources)
    log.info(
        "Listening on http://%s:%s for deliveries of %s.", options.host, listener.getsockname()[1], names
    )
    config = build_receiver_config(
        app, has_access_log=options.access_log, trusted_proxies=options.trusted_proxies
    )
    gc.freeze()  # loaded objects stay: a collection of all of them would stop webhooks for 0.1 s
    server = ReceiverServer(config, runtime, connections_per_address=options.connections_per_address)
    server.run(sockets=[listener])
    stop_tracing()


def build_receiver_config(
    app: Starlette, *, has_access_log: bool, trusted_proxies: str = ""
) -> uvicorn.Config:
    """Build uvicorn's settings."""
    return build_config(
        AccessLog(app, ACCESS_LOGGER) if has_access_log else app,
        lifespan="on",
        graceful_seconds=GRACEFUL_TIMEOUT_SECONDS,
        trusted_proxies=trusted_proxies,
    )
