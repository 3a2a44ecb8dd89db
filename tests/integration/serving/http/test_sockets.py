"""Taking a port before anything else."""

from __future__ import annotations

import re
import socket

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.serving.http.sockets import open_listener

VARIABLE = "PUSHMETRICS_SERVICE_PORT"


def test_second_server_on_a_port_is_refused_before_the_first_one_serves() -> None:
    with open_listener("127.0.0.1", 0, port_variable=VARIABLE) as first:
        port = first.getsockname()[1]
        message = (
            f"port {port} on '127.0.0.1' is in use: stop what uses it, or choose another with --port or"
            f" {VARIABLE}."
        )
        with pytest.raises(PushMetricsConfigurationError, match=re.escape(message)):
            open_listener("127.0.0.1", port, port_variable=VARIABLE)


def test_client_that_connects_while_the_server_starts_is_not_refused() -> None:
    with open_listener("127.0.0.1", 0, port_variable=VARIABLE) as listener:
        socket.create_connection(listener.getsockname(), timeout=120).close()


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 80), ("127.0.0.1", 70_000)])
def test_port_that_cannot_be_used_says_why(host: str, port: int) -> None:
    with pytest.raises(PushMetricsConfigurationError, match=rf"port {port} on '{host}' cannot be used \("):
        open_listener(host, port, port_variable=VARIABLE)
