"""The listening socket of a server."""

from __future__ import annotations

import errno
import socket

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError

BACKLOG = 2048
"""How many connections wait while the server starts; the kernel reduces it to its own limit."""


def open_listener(host: str, port: int, *, port_variable: str, flag: str = "--port") -> socket.socket:
    """
    Listen on a port before anything else is loaded.

    It listens at once, because two sockets can be bound to one port as long as neither listens.

    :param port: The port; 0 for a free one.
    :param port_variable: The environment variable that sets the port, for the error message.
    :param flag: The option that sets it.
    :raises PushMetricsConfigurationError: if the port is in use or cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise PushMetricsConfigurationError(
            f"port {port} on {host!r} {_describe(error)}: stop what uses it, or choose another"
            f" with {flag} or {port_variable}."
        ) from None
    return listener


def _describe(error: OSError | OverflowError) -> str:
    if isinstance(error, OSError):
        return "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
    return f"cannot be used ({error})"
