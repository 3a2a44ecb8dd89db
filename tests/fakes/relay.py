"""A way to a database that can fall silent, as when its machine is gone, or end, as when the server has."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy.engine import URL, make_url


@dataclass
class Relay:
    """
    Passes bytes between clients and a PostgreSQL server, until the connections of now are silenced.

    :param breaks_in: With which message of clients from now on a connection breaks, once; 0 for none.
    """

    server: URL
    listener: socket.socket
    breaks_in: int = 0
    _silenced: list[threading.Event] = field(default_factory=list)
    _sockets: list[socket.socket] = field(default_factory=list)
    _is_down: bool = False

    @property
    def url(self) -> str:
        """The database's URL by way of the relay."""
        port = self.listener.getsockname()[1]
        plain = self.server.set(host="127.0.0.1", port=port, query={})
        return plain.render_as_string(hide_password=False)

    def silence(self) -> None:
        """Pass nothing on any more for the connections that there are; new ones work."""
        for silenced in self._silenced:
            silenced.set()

    @contextmanager
    def be_down(self) -> Iterator[None]:
        """Break all connections, and hang up on new ones, while the block lasts."""
        self._is_down = True
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        try:
            yield
        finally:
            self.be_up()

    def be_up(self) -> None:
        """Take connections again."""
        self._is_down = False

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if self._is_down:
                    client.close()
                    continue
                server, silenced = self._connect(), threading.Event()
                self._sockets += [client, server]
                self._silenced.append(silenced)
                for source, target, counts in ((client, server, True), (server, client, False)):
                    arguments = (source, target, silenced, counts)
                    threading.Thread(target=self._pass_on, args=arguments, daemon=True).start()

    def close(self) -> None:
        """Hang up on everybody."""
        self.listener.shutdown(socket.SHUT_RDWR)
        for each in [self.listener, *self._sockets]:
            each.close()

    def _pass_on(
        self, source: socket.socket, target: socket.socket, silenced: threading.Event, counts: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if silenced.is_set():
                    return
                self.breaks_in -= counts
                if counts and self.breaks_in == 0:
                    source.shutdown(socket.SHUT_RDWR)
                    break
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)

    def _connect(self) -> socket.socket:
        host = self.server.host or str(self.server.query.get("host", "127.0.0.1"))
        port = self.server.port or int(str(self.server.query.get("port", 5432)))
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"{host}/.s.PGSQL.{port}")
        return connection


@contextmanager
def open_relay(server_url: str) -> Iterator[Relay]:
    """Relay to the server of a database."""
    relay = Relay(make_url(server_url), socket.create_server(("127.0.0.1", 0)))
    threading.Thread(target=relay.serve, daemon=True).start()
    try:
        yield relay
    finally:
        relay.close()
