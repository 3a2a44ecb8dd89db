"""
A Flight SQL server on DuckDB, as far as queries need it: statements, prepared statements and logins.

The messages are those of https://arrow.apache.org/docs/format/FlightSql.html. Every field that is needed here
is length-delimited, so that a few lines read and write the protobuf.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow.flight as flight

TYPE_URL = "type.googleapis.com/arrow.flight.protocol.sql."
TOKEN = "Bearer of-the-server"
BATCH_ROWS = 10_000


def write_message(fields: dict[int, bytes]) -> bytes:
    """Write a protobuf message of length-delimited fields."""
    return b"".join(
        _write_varint(number << 3 | 2) + _write_varint(len(value)) + value for number, value in fields.items()
    )


def read_message(data: bytes) -> dict[int, bytes]:
    """Read a protobuf message of length-delimited fields."""
    fields, at = {}, 0
    while at < len(data):
        key, at = _read_varint(data, at)
        length, at = _read_varint(data, at)
        fields[key >> 3] = data[at : at + length]
        at += length
    return fields


class FlightSqlServer(flight.FlightServerBase):  # type: ignore[misc]
    """
    Answers queries by a DuckDB database in memory.

    :param login: The user and the password that it takes; anybody without.
    :param tls: Its certificate and its key; it speaks without TLS otherwise.
    """

    def __init__(self, login: tuple[str, str] | None = None, tls: tuple[bytes, bytes] | None = None) -> None:
        middleware = {"login": _Logins(login)} if login else {}
        # The login is in a header of the handshake, which the middleware reads.
        super().__init__(
            ("127.0.0.1", 0),
            tls_certificates=[tls] if tls else None,
            middleware=middleware,
            auth_handler=_NoHandshake() if login else None,
        )
        self._database = duckdb.connect()
        self._prepared: dict[bytes, tuple[str, list[Any]]] = {}
        self._numbers = itertools.count(1)

    def get_flight_info(self, context: Any, descriptor: flight.FlightDescriptor) -> flight.FlightInfo:
        """Describe a result and say where it is: here."""
        ticket = flight.Ticket(descriptor.command)
        schema = self._run(*self._find_query(descriptor.command)).limit(0).to_arrow_table().schema
        return flight.FlightInfo(schema, descriptor, [flight.FlightEndpoint(ticket, [])], -1, -1)

    def do_get(self, context: Any, ticket: flight.Ticket) -> flight.FlightDataStream:
        """Run a query and send its rows."""
        return flight.RecordBatchStream(
            self._run(*self._find_query(ticket.ticket)).to_arrow_reader(BATCH_ROWS)
        )

    def do_action(self, context: Any, action: flight.Action) -> Iterator[bytes]:
        """Prepare a statement, or close one."""
        fields = read_message(read_message(action.body.to_pybytes())[2])
        if action.type == "CreatePreparedStatement":
            handle = str(next(self._numbers)).encode()
            self._prepared[handle] = (fields[1].decode(), [])
            result = write_message({1: handle})
            yield write_message({1: (TYPE_URL + "ActionCreatePreparedStatementResult").encode(), 2: result})
        elif action.type == "ClosePreparedStatement":
            del self._prepared[fields[1]]

    def do_put(self, context: Any, descriptor: flight.FlightDescriptor, reader: Any, writer: Any) -> None:
        """Take the values of a prepared statement."""
        handle = read_message(read_message(descriptor.command)[2])[1]
        (row,) = reader.read_all().to_pylist()
        self._prepared[handle] = (self._prepared[handle][0], list(row.values()))

    def _find_query(self, command: bytes) -> tuple[str, list[Any]]:
        message = read_message(command)
        kind, fields = message[1].decode().removeprefix(TYPE_URL), read_message(message[2])
        if kind == "CommandStatementQuery":
            return fields[1].decode(), []
        return self._prepared[fields[1]]

    def _run(self, sql: str, values: list[Any]) -> duckdb.DuckDBPyRelation:
        try:
            return self._database.cursor().sql(sql, params=values)
        except duckdb.Error as error:
            raise flight.FlightServerError(str(error)) from None


class _NoHandshake(flight.ServerAuthHandler):  # type: ignore[misc]
    def authenticate(self, outgoing: Any, incoming: Any) -> None:
        return None

    def is_valid(self, token: bytes) -> bytes:
        return b""


class _Logins(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    def __init__(self, login: tuple[str, str]) -> None:
        # The driver leaves the padding out.
        self._basic = "Basic " + base64.b64encode(":".join(login).encode()).decode().rstrip("=")

    def start_call(self, info: Any, headers: dict[str, list[str]]) -> flight.ServerMiddleware:
        given = headers.get("authorization", [""])[0].rstrip("=")
        if given not in (self._basic, TOKEN):
            raise flight.FlightUnauthenticatedError("the login is not known")
        return _Login()


class _Login(flight.ServerMiddleware):  # type: ignore[misc]
    def sending_headers(self) -> dict[str, str]:
        return {"authorization": TOKEN}


@contextmanager
def run_flight_sql(
    login: tuple[str, str] | None = None, tls: tuple[bytes, bytes] | None = None
) -> Iterator[FlightSqlServer]:
    """Run a server on a free port of the loopback interface."""
    with FlightSqlServer(login, tls) as server:
        yield server


def _write_varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(parts) + bytes([number])


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
