"""The child's side: it answers calls, one after the other, until its parent ends."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import TypeAlias

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.bounded_processes.frames import (
    DATA,
    END,
    FAILURE,
    BrokenFrameError,
    Frame,
    read_frame,
    write_frame,
)
from airflow_provider_pushmetrics.service.bounded_processes.limits import (
    DATA_FIELD,
    end_with_parent_thread,
    forbid_core_dumps,
    read_memory,
)

MAX_REQUEST_BYTES = 1024 * 1024 * 1024
"""The parent is trusted: this only detects a broken message."""

MAX_REASON_LENGTH = 10_000
"""The maximum length of an error."""

MAX_GROWTH_BYTES = 512 * 1024 * 1024
"""A child that has grown by more than this ends after its answer: allocators keep address space."""

HANG_UP = select.POLLHUP | getattr(select, "POLLRDHUP", 0)

Send: TypeAlias = Callable[["bytes | memoryview"], None]
Handle: TypeAlias = Callable[[memoryview, Send], None]
"""Answers a request by sending pieces of data; raises :class:`CallError` if it cannot."""


class CallError(PushMetricsError):
    """A call cannot be answered; the message is for the author of the request."""


def serve(handle: Handle, *, is_reusable: bool = True) -> None:
    """
    Answer the calls of the parent until it ends, and end this process.

    :param is_reusable: Whether it answers more than one call: no call may affect the next one.
    """
    forbid_core_dumps()
    end_with_parent_thread()  # before the thread below checks whether the parent has ended
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # sent to the whole group: this process ends with its parent
    connection = socket.socket(fileno=int(sys.argv[2]))
    threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
    max_data_bytes = read_memory(field=DATA_FIELD) + MAX_GROWTH_BYTES
    is_last = False
    while not is_last:
        try:
            request = read_frame(connection, MAX_REQUEST_BYTES)
            is_last = _answer(connection, request, handle, max_data_bytes if is_reusable else 0)
        except (BrokenFrameError, OSError):
            break
    os._exit(0)  # exit handlers of libraries are not needed, and some of them print


def _answer(connection: socket.socket, request: Frame, handle: Handle, max_data_bytes: int) -> bool:
    """Answer a call, and return whether it was the last one."""
    kind, text = END, b""
    try:
        handle(request.data, lambda data: write_frame(connection, DATA, data))
    except CallError as error:
        kind, text = FAILURE, str(error)[:MAX_REASON_LENGTH].encode(errors="replace")
    is_last = max_data_bytes == 0 or read_memory(field=DATA_FIELD) > max_data_bytes
    write_frame(connection, kind, text, is_last=is_last)
    return is_last


def _end_with_parent(connection: socket.socket) -> None:
    """End this process when the other end of its connection is closed."""
    poll = select.poll()
    poll.register(connection, HANG_UP)
    poll.poll()
    os._exit(0)
