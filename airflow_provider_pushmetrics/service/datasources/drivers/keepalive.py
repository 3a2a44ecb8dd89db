"""
Connections that end when their server has disappeared.

A firewall that drops an idle connection, or a machine that loses its power, tells nobody. By default, the
system finds that out after two hours.
"""

from __future__ import annotations

import socket
from contextlib import suppress

IDLE_BEFORE_PROBE_SECONDS = 10
PROBE_INTERVAL_SECONDS = 5
PROBE_COUNT = 3
UNANSWERED_SECONDS = 30
"""A connection ends after about these seconds without an answer of the server's machine."""

LIBPQ_OPTIONS = {
    "keepalives_idle": IDLE_BEFORE_PROBE_SECONDS,
    "keepalives_interval": PROBE_INTERVAL_SECONDS,
    "keepalives_count": PROBE_COUNT,
    "tcp_user_timeout": UNANSWERED_SECONDS * 1000,
}
"""The options of PostgreSQL's library."""

SOCKET_OPTIONS = {
    "TCP_KEEPIDLE": IDLE_BEFORE_PROBE_SECONDS,
    "TCP_KEEPALIVE": IDLE_BEFORE_PROBE_SECONDS,  # macOS calls it so
    "TCP_KEEPINTVL": PROBE_INTERVAL_SECONDS,
    "TCP_KEEPCNT": PROBE_COUNT,
    "TCP_USER_TIMEOUT": UNANSWERED_SECONDS * 1000,
}


def enable_keepalive(connection: socket.socket) -> None:
    """Let the system find out when the server of a connection has disappeared."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in SOCKET_OPTIONS.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def disconnect(connection: socket.socket) -> None:
    """End a connection that another thread reads; closing it would not wake that thread."""
    with suppress(OSError):  # it may have ended
        # Not the method of a TLS connection, which first changes what the other thread uses.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
