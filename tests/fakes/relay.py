"""A way to a database that can fall silent, as when its machine is gone, or end, as when the server has."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.fakes.database_way import DatabaseWay


@dataclass
class Relay(DatabaseWay):
    """
    Passes bytes between clients and a PostgreSQL server, until the connections of now are silenced.

    :param breaks_in: With which message of clients from now on a connection breaks, once; 0 for none.
    """

    breaks_in: int = 0
    _silenced: list[threading.Event] = field(default_factory=list)
    _is_down: bool = False

    def silence(self) -> None:
        """Pass nothing on any more for the connections that there are; new ones work."""
        for silenced in self._silenced:
            silenced.set()

    @contextmanager
    def be_down(self) -> Iterator[None]:
        """Break all connections, and hang up on new ones, while the block lasts."""
        self._is_down = True
        self.break_all()
        try:
            yield
        finally:
            self.be_up()

    def be_up(self) -> None:
        """Take connections again."""
        self._is_down = False

    def is_open(self) -> bool:
        """Return whether new connections are taken."""
        return not self._is_down

    def join(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on what they send, in other threads."""
        silenced = threading.Event()
        self._silenced.append(silenced)
        for source, target, counts in ((client, server, True), (server, client, False)):
            arguments = (source, target, silenced, counts)
            threading.Thread(target=self._pass_on, args=arguments, daemon=True).start()

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
