"""
MariaDB's extended metadata of columns.

By default, a ``json`` column of MariaDB is described as ``longtext``. A client that requests extended
metadata at login gets the format of each column. PyMySQL does not request it, and has no setting for it:
https://mariadb.com/kb/en/connection/ and https://mariadb.com/kb/en/result-set-packets/.
"""

from __future__ import annotations

import struct
from typing import Any

import pymysql
from pymysql.constants import CLIENT
from pymysql.protocol import FieldDescriptorPacket

CLIENT_MYSQL = CLIENT.LONG_PASSWORD
"""The flag of a server that is MySQL; without it, the last four reserved bytes are flags of MariaDB."""

EXTENDED_METADATA = 1 << 3
"""MariaDB's flag for extended metadata."""

HEAD = struct.Struct("<IIB19sI")
"""The beginning of a client's first packets: flags, packet size, character set, reserved, MariaDB's flags."""

FORMAT = 1
"""The kind of the entry with the format of a column."""

BaseConnection: Any = pymysql.Connection
BaseField: Any = FieldDescriptorPacket
"""The driver's class; its type stubs lack the attributes used here."""


class DescribedField(BaseField):  # type: ignore[misc]
    """
    MariaDB's description of a column.

    ``format`` is ``json`` for JSON, and usually empty otherwise.
    """

    format = ""

    def read_struct(self, layout: str) -> Any:
        """Parse the part after the names; MariaDB's part comes before that of MySQL."""
        self.format = parse_format(self.read_length_coded_string() or b"")
        return super().read_struct(layout)


class DescribingConnection(BaseConnection):  # type: ignore[misc]
    """A connection that requests the formats of columns from a server that supports it, as MariaDB does."""

    _greeting: bytes | None = None
    _is_described = False
    _is_logging_in = False

    def _read_packet(self, *packet_type: Any) -> Any:
        if self._is_described and packet_type == (FieldDescriptorPacket,):
            packet_type = (DescribedField,)
        packet = super()._read_packet(*packet_type)
        if self._greeting is None:
            self._greeting = packet.get_all_data()
        return packet

    def _get_server_information(self) -> None:
        super()._get_server_information()
        self._is_described = self._is_logging_in = offers_formats(self._greeting or b"")
        if self._is_described:
            self.client_flag &= ~CLIENT_MYSQL

    def write_packet(self, payload: bytes) -> None:
        """Send a packet; the login packets, before and after TLS, request the formats."""
        if self._is_logging_in:
            flags, size, charset, reserved, _ = HEAD.unpack_from(payload)
            payload = HEAD.pack(flags, size, charset, reserved, EXTENDED_METADATA) + payload[HEAD.size :]
            self._is_logging_in = len(payload) == HEAD.size  # without a user, it is the request for TLS
        super().write_packet(payload)


def offers_formats(greeting: bytes) -> bool:
    """Return whether the server of this greeting supports the formats of columns."""
    start = greeting.find(b"\0", 1) + 1 + 4 + 9  # version, thread, first part of the salt
    try:
        low, _, _, _, _, _, more = struct.unpack_from("<HBHHB6sI", greeting, start)
    except struct.error:
        return False
    return not low & CLIENT_MYSQL and bool(more & EXTENDED_METADATA)


def parse_format(described: bytes) -> str:
    """Find the format in the metadata of a column: entries of a kind, a length and a text."""
    at = 0
    while at + 2 <= len(described):
        kind, length = described[at], described[at + 1]
        if kind == FORMAT:
            return described[at + 2 : at + 2 + length].decode("ascii", "replace")
        at += 2 + length
    return ""
