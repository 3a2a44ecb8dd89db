"""What MariaDB is asked for when a connection logs in, and what it says of columns."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.service.datasources.drivers.mysql_metadata import (
    CLIENT_MYSQL,
    EXTENDED_METADATA,
    DescribingConnection,
    offers_formats,
    parse_format,
)


def build_greeting(flags: int, more: int) -> bytes:
    """Build the first packet of a server."""
    head = b"\x0a" + b"11.4.2-MariaDB\0" + struct.pack("<I", 7) + b"12345678\0"
    rest = struct.pack("<HBHHB6sI", flags & 0xFFFF, 45, 2, flags >> 16, 21, b"", more)
    return head + rest + b"123456789012\0mysql_native_password\0"


@pytest.mark.parametrize(
    ("flags", "more", "offers"),
    [
        (0x81FFF7FE, 0x1F, True),
        (0x81FFF7FE, EXTENDED_METADATA, True),
        (0x81FFF7FE, 0x17, False),
        (0x81FFF7FE | CLIENT_MYSQL, 0x1F, False),
    ],
)
def test_only_mariadb_that_offers_formats_is_asked(flags: int, more: int, offers: bool) -> None:
    assert offers_formats(build_greeting(flags, more)) is offers


@given(st.binary(max_size=80))
def test_no_greeting_and_no_description_is_a_fault(received: bytes) -> None:
    assert offers_formats(received) in (True, False)
    assert isinstance(parse_format(received), str)


@pytest.mark.parametrize(
    ("described", "found"),
    [(b"", ""), (b"\x01\x04json", "json"), (b"\x00\x04uuid", ""), (b"\x00\x05inet6\x01\x04json", "json")],
)
def test_format_is_found_beside_the_type(described: bytes, found: str) -> None:
    assert parse_format(described) == found


class Recording(DescribingConnection):
    """A connection that keeps what it would send."""

    def __init__(self) -> None:
        super().__init__(defer_connect=True)
        self.sent: list[bytes] = []
        self._next_seq_id = 1

    def _write_bytes(self, data: bytes) -> None:
        self.sent.append(data[4:])  # behind the length and the number of the packet


def test_request_for_tls_and_login_ask_for_formats_and_nothing_after_them_does() -> None:
    connection = Recording()
    connection._is_logging_in = True
    head = struct.pack("<IIB23s", 1 << 9, 1 << 24, 45, b"")
    for payload in (head, head + b"ann\0", head + b"an answer to the server, of any bytes"):
        connection.write_packet(payload)
    asked = [struct.unpack_from("<I", packet, 28)[0] for packet in connection.sent]
    assert asked == [EXTENDED_METADATA, EXTENDED_METADATA, 0]
    assert [packet[:28] for packet in connection.sent] == [head[:28]] * 3
    assert connection.sent[1][32:] == b"ann\0"
