"""A way to PostgreSQL through this process, which can disturb it."""

from __future__ import annotations

import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, Self

from sqlalchemy.engine import URL, make_url


@dataclass
class DatabaseWay(ABC):
    """
    Takes connections of clients, and opens one to the server for each.

    :param server: The URL of the database.
    """

    server: URL
    listener: socket.socket
    _sockets: list[socket.socket] = field(default_factory=list)

    QUERY: ClassVar[dict[str, str]] = {}
    """The query of the URL that clients get."""

    @property
    def url(self) -> str:
        """The database's URL by this way."""
        port = self.listener.getsockname()[1]
        url = self.server.set(host="127.0.0.1", port=port, query=self.QUERY)
        return url.render_as_string(hide_password=False)

    @classmethod
    @contextmanager
    def open(cls, server_url: str) -> Iterator[Self]:
        """Open a way to the server of a database."""
        way = cls(make_url(server_url), socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=way.serve, daemon=True).start()
        try:
            yield way
        finally:
            way.close()

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                # Else each of several small messages waits 40 ms for the confirmation of the one before.
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if not self.is_open():
                    client.close()
                    continue
                server = self._connect()
                self._sockets += [client, server]
                self.join(client, server)

    def is_open(self) -> bool:
        """Return whether new connections are taken."""
        return True

    @abstractmethod
    def join(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on what they send, in other threads."""

    def break_all(self) -> None:
        """Break all connections."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up on everybody."""
        self.listener.shutdown(socket.SHUT_RDWR)
        for each in [self.listener, *self._sockets]:
            each.close()

    def _connect(self) -> socket.socket:
        host = self.server.host or str(self.server.query.get("host", "127.0.0.1"))
        port = self.server.port or int(str(self.server.query.get("port", 5432)))
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"{host}/.s.PGSQL.{port}")
        return connection
