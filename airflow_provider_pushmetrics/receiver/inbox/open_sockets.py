"""Hanging up on a database that does not answer, so that whoever waits for it goes on with an error."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import weakref
from typing import Any

from sqlalchemy import Engine, event


class OpenSockets:
    """
    Knows the connections of an engine. On SQLite there is nobody to hang up on, and nothing happens.

    :param engine: The engine. What it has connected by now is closed, so that no connection is unknown.
    """

    def __init__(self, engine: Engine) -> None:
        self._lock = threading.Lock()
        self._driver_error = engine.dialect.loaded_dbapi.Error
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()
        if engine.dialect.name == "postgresql":
            engine.dispose()
            event.listen(engine, "connect", self._add)

    def hang_up(self) -> None:
        """End every connection that there is now, from any thread, whatever another one waits for on it."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError, self._driver_error):  # it may have been closed just now
                _shut_down(connection.fileno())

    def _add(self, connection: Any, _record: object) -> None:
        with self._lock:
            self._connections.add(connection)


def _shut_down(file_number: int) -> None:
    # The driver's own close() would free the connection under the feet of who waits on it.
    with socket.socket(fileno=os.dup(file_number)) as copy:
        copy.shutdown(socket.SHUT_RDWR)
