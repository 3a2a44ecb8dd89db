"""A standalone receiver in a thread of the test's process, so that the test can reach what is in it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_pushmetrics.receiver.app import create_app
from airflow_provider_pushmetrics.receiver.server import ReceiverServer, build_config
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings
from airflow_provider_pushmetrics.serving.sockets import open_listener
from tests.fakes.waiting import wait_until


class ThreadServer(ReceiverServer):
    """The receiver's server without signals, which belong to the main thread."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def serve_in_thread(settings: ReceiverSettings, **options: float) -> Iterator[int]:
    """Serve on a free port and give it."""
    app = create_app(settings)
    listener = open_listener("127.0.0.1", 0, port_variable="PORT")
    server = ThreadServer(build_config(app, has_access_log=False), app.state.runtime, **options)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        with contextlib.suppress(OSError):
            listener.close()
