"""The messages between a parent and its child: a kind, a length, and bytes."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from airflow_provider_pushmetrics.exceptions import PushMetricsError

REQUEST = b"Q"
DATA = b"D"
END = b"E"
FAILURE = b"F"

SHORT_BYTES = 16 * 1024
"""Data of this length is sent with its header: a copy of it takes less time than another system call."""

HEADER = struct.Struct("<c?Q")


class BrokenFrameError(PushMetricsError):
    """The other side has ended, or sent too much."""


@dataclass(frozen=True)
class Frame:
    """
    One message.

    :param kind: A request, or a part of the answer: data, its end, or its failure.
    :param data: Its bytes.
    :param is_last: Whether its sender ends after it.
    """

    kind: bytes
    data: memoryview
    is_last: bool = False


def write_frame(
    connection: socket.socket, kind: bytes, data: bytes | memoryview, *, is_last: bool = False
) -> None:
    """
    Send a message.

    :raises OSError: if the other side has ended.
    """
    header = HEADER.pack(kind, is_last, len(data))
    if len(data) <= SHORT_BYTES:
        connection.sendall(header + bytes(data))
    else:
        connection.sendall(header)
        connection.sendall(data)


def read_frame(connection: socket.socket, max_bytes: int) -> Frame:
    """
    Wait for a message.

    :param max_bytes: The limit for its data.
    :raises BrokenFrameError: if the other side has ended, or the message is larger.
    """
    kind, is_last, length = HEADER.unpack(_read_exactly(connection, HEADER.size))
    if length > max_bytes:
        raise BrokenFrameError(f"a message of {length:,} bytes is larger than {max_bytes:,} bytes")
    return Frame(kind, _read_exactly(connection, length), is_last)


def _read_exactly(connection: socket.socket, count: int) -> memoryview:
    data = memoryview(bytearray(count))
    done = 0
    while done < count:
        try:
            received = connection.recv_into(data[done:])
        except OSError as error:
            raise BrokenFrameError(str(error)) from error
        if received == 0:
            raise BrokenFrameError("the other side has ended")
        done += received
    return data
