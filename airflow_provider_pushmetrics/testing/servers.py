"""The reference service and a receiver in threads of this process, on ports of the loopback interface."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from airflow_provider_pushmetrics.receiver.app import create_app
from airflow_provider_pushmetrics.receiver.server import ReceiverServer, build_receiver_config
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings, SourceSettings
from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.runtime import assemble
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.serving.http.connections import LimitedServer, build_config
from airflow_provider_pushmetrics.serving.http.sockets import open_listener
from airflow_provider_pushmetrics.serving.private_files import make_private_folder

HOST = "127.0.0.1"
SOURCE = "pushmetrics"
SERVER_START_TIMEOUT_SECONDS = 120
SERVER_STOP_TIMEOUT_SECONDS = 120
SERVER_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class RunningService:
    """
    A reference service that is running.

    :param url: Its base URL.
    :param api_token: An API token of an admin.
    :param sources: The folder of its database files.
    :param database: The database of its own tables.
    """

    url: str
    api_token: str = field(repr=False)
    sources: Path
    database: Database = field(repr=False)


@dataclass(frozen=True)
class RunningReceiver:
    """
    A receiver that is running.

    :param url: Its base URL.
    :param delivery_url: Where webhooks are posted, with the sender's token.
    :param reader_token: The token of readers of events.
    :param inbox_url: The database of its events.
    """

    url: str
    delivery_url: str = field(repr=False)
    reader_token: str = field(repr=False)
    inbox_url: str


class _ThreadedServer(LimitedServer):
    """Uvicorn without signal handlers, which only the main thread can install."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _ThreadedReceiver(_ThreadedServer, ReceiverServer):
    pass


@contextmanager
def run_service(folder: Path, **limits: Any) -> Iterator[RunningService]:
    """
    Run a reference service with its worker until the end of the block.

    :param folder: Its data folder; created if it does not exist.
    :param limits: The limits of :class:`LimitedServer`, by name.
    """
    token = "pmpat_" + secrets.token_urlsafe(32)
    with open_listener(HOST, 0, port_variable="port") as listener:
        url = _get_url(listener)
        settings = ServiceSettings(
            folder, public_url=url, bootstrap_token=token, allow_private_endpoints=True
        )
        parts = assemble(settings)
        try:
            parts.start()
            sources = folder / "sources"
            make_private_folder(sources)
            config = build_config(
                build_app(parts), lifespan="off", graceful_seconds=settings.shutdown_seconds
            )
            with _serve(_ThreadedServer(config, **limits), listener):
                yield RunningService(url, token, sources, parts.database)
        finally:
            parts.stop()


@contextmanager
def run_receiver(settings: ReceiverSettings, **limits: float) -> Iterator[str]:
    """
    Run a receiver until the end of the block, and give its base URL.

    :param limits: The limits of :class:`LimitedServer`, by name.
    """
    app = create_app(settings)
    with open_listener(HOST, 0, port_variable="port") as listener:
        config = build_receiver_config(app, has_access_log=False)
        server = _ThreadedReceiver(config, app.state.runtime, **limits)
        with _serve(server, listener):
            yield _get_url(listener)


@contextmanager
def run_receiver_in(folder: Path) -> Iterator[RunningReceiver]:
    """
    Run a receiver with one source until the end of the block.

    :param folder: The existing folder of its inbox.
    """
    token, reader_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    inbox_url = f"sqlite:///{folder / 'inbox.db'}"
    settings = ReceiverSettings(inbox_url, (SourceSettings(SOURCE, token=token),), reader_token)
    with run_receiver(settings) as url:
        yield RunningReceiver(url, f"{url}/webhooks/{SOURCE}?token={token}", reader_token, inbox_url)


def _get_url(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    with suppress(SystemExit):  # how uvicorn ends when the app cannot start; it has logged the reason
        server.run(sockets=[listener])


@contextmanager
def _serve(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    access_log = logging.getLogger("uvicorn.access")
    was_disabled = access_log.disabled
    access_log.disabled = True  # Airflow's logging switches it on again, and it would write trigger tokens
    thread = threading.Thread(target=_run, args=(server, listener), name="PushMetrics server", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + SERVER_START_TIMEOUT_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the server did not start. Its log says why.")
            time.sleep(SERVER_POLL_SECONDS)
        yield
    finally:
        server.should_exit = True
        thread.join(SERVER_STOP_TIMEOUT_SECONDS)  # one that hangs must not hang the tests too
        access_log.disabled = was_disabled
