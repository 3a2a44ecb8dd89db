"""A way to PostgreSQL that loses a connection at a chosen statement, before or after its execution."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Literal, TypeAlias

from tests.fakes.database_way import DatabaseWay

Moment = Literal["before", "after"]
MOMENTS: tuple[Moment, ...] = ("before", "after")

Statement: TypeAlias = tuple[str, ...]
"""A statement, after those before it in its transaction: so a COMMIT is known by what it commits."""

QUERY, PARSE, SYNC, READY = b"Q", b"P", b"S", b"Z"
"""Types of messages: https://www.postgresql.org/docs/current/protocol-message-formats.html."""
PARTS_OF_A_REQUEST = (PARSE, b"B", b"D", b"E", b"C", b"H")

PARAMETERS = re.compile(r"\(?\$\d+(::\w+)?(, \(?\$\d+(::\w+)?\)?)*\)?")
"""How many rows or ids a statement has is not what tells it from another."""


@dataclass(frozen=True)
class Cut:
    """
    Where a connection is lost.

    :param number: At which of the times that the statement is sent.
    :param moment: Before the server gets it, or after its execution and before the client gets the answer.
    """

    statement: Statement
    number: int
    moment: Moment

    def __str__(self) -> str:
        before = f" after {self.statement[-2][:80]!r}" if len(self.statement) > 1 else ""
        return f"{self.moment} {self.statement[-1][:100]!r} ({self.number}.){before}"


def choose_all(sent: Mapping[Statement, int]) -> Iterator[Cut]:
    """Choose every statement, each time that it is sent, at both moments."""
    for statement, times in sent.items():
        for number in range(1, times + 1):
            yield from (Cut(statement, number, moment) for moment in MOMENTS)


@dataclass
class FaultProxy(DatabaseWay):
    """Passes the messages of PostgreSQL's protocol on, each statement when it is complete."""

    QUERY = {"sslmode": "disable", "gssencmode": "disable"}

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _cut: Cut | None = None
    _seen: Counter[Statement] = field(default_factory=Counter)

    def arm(self, cut: Cut | None = None) -> None:
        """Count statements from now on, and lose one connection."""
        with self._lock:
            self._cut, self._seen = cut, Counter()

    def disarm(self) -> Counter[Statement]:
        """Lose nothing any more, and give what was sent since :meth:`arm`, and how often."""
        with self._lock:
            self._cut, seen, self._seen = None, self._seen, Counter()
            return seen

    def count(self, statement: Statement) -> Moment | None:
        """Count a statement, and decide whether its connection is lost."""
        with self._lock:
            self._seen[statement] += 1
            cut = self._cut
            if cut is None or (statement, self._seen[statement]) != (cut.statement, cut.number):
                return None
            return cut.moment

    def join(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on what they send, in other threads."""
        connection = _Connection(self, client, server)
        for run in (connection.pass_requests, connection.pass_answers):
            threading.Thread(target=run, daemon=True).start()


@dataclass
class _Connection:
    proxy: FaultProxy
    client: socket.socket
    server: socket.socket
    _statement: Statement = ()
    _is_lost: bool = False

    def pass_requests(self) -> None:
        with self._hanging_up(), self.client.makefile("rb") as stream:
            (length,) = struct.unpack("!I", head := stream.read(4))
            self.server.sendall(head + stream.read(length - 4))  # the first message has no type
            held, sql = b"", ""
            for kind, message in _read_messages(stream):
                held += message
                if kind in (QUERY, PARSE):
                    sql = _read_sql(kind, message)
                if kind in PARTS_OF_A_REQUEST:
                    continue
                if kind in (QUERY, SYNC):
                    moment = self._count(sql)
                    if moment == "before":
                        return
                    self._is_lost = moment == "after"
                self.server.sendall(held)
                held = b""

    def pass_answers(self) -> None:
        with self._hanging_up(), self.server.makefile("rb") as stream:
            for kind, message in _read_messages(stream):
                if not self._is_lost:
                    self.client.sendall(message)
                elif kind == READY:
                    return

    def _count(self, sql: str) -> Moment | None:
        has_ended = not self._statement or self._statement[-1] in ("COMMIT", "ROLLBACK")
        is_alone = has_ended or sql == "BEGIN"
        self._statement = (sql,) if is_alone else (*self._statement, sql)
        moment = self.proxy.count(self._statement)
        if self._statement[0] != "BEGIN":
            self._statement = ()  # it commits by itself
        return moment

    @contextmanager
    def _hanging_up(self) -> Iterator[None]:
        with contextlib.suppress(OSError, struct.error):
            yield
        for each in (self.client, self.server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _read_sql(kind: bytes, message: bytes) -> str:
    """Read the text of a statement; Parse has a name before it."""
    texts = message[5:].split(b"\0")
    return PARAMETERS.sub("$", texts[kind == PARSE].decode("utf-8", "replace"))


def _read_messages(stream: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    while head := stream.read(5):
        (length,) = struct.unpack("!I", head[1:])
        yield head[:1], head + stream.read(length - 4)
