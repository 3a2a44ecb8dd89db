"""A limit on the whole of an exchange, whatever the single reads and writes may take."""

from __future__ import annotations

import ssl
from typing import Any

import httpcore
import pytest

from airflow_provider_pushmetrics.service.egress.deadline import limit_time
from airflow_provider_pushmetrics.service.egress.rules import EgressRules
from airflow_provider_pushmetrics.service.egress.transport import GuardedNetwork


class Wire(httpcore.NetworkBackend, httpcore.NetworkStream):
    """Takes four seconds for everything, and notes what time it was given."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timeouts: list[float | None] = []
        self.is_closed = False

    def _take(self, timeout: float | None) -> None:
        self.timeouts.append(timeout)
        self.now += 4

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *_: Any) -> Wire:
        self._take(timeout)
        return self

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._take(timeout)
        return b"x"

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._take(timeout)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Wire:
        self._take(timeout)
        return self

    def get_extra_info(self, info: str) -> Any:
        return info

    def close(self) -> None:
        self.is_closed = True


def test_everything_together_has_the_time_of_one() -> None:
    wire = Wire()
    network = GuardedNetwork(EgressRules(), network=wire, monotonic=lambda: wire.now)
    with limit_time(15, monotonic=lambda: wire.now):
        stream = network.connect_tcp("93.184.216.34", 443, timeout=15)
        stream = stream.start_tls(ssl.create_default_context(), timeout=15)
        stream.write(b"request", timeout=15)
        assert stream.read(1, timeout=2) == b"x"
        with pytest.raises(httpcore.ReadTimeout):
            stream.read(1, timeout=15)
        with pytest.raises(httpcore.WriteTimeout):
            stream.write(b"x", timeout=15)
        with pytest.raises(httpcore.ConnectTimeout):
            network.connect_tcp("93.184.216.34", 443)
    assert wire.timeouts == [15, 11, 7, 2]
    assert stream.get_extra_info("socket") == "socket"
    stream.close()
    assert wire.is_closed


def test_without_a_limit_the_single_timeouts_count() -> None:
    wire = Wire()
    stream = GuardedNetwork(EgressRules(), network=wire, monotonic=lambda: wire.now).connect_tcp(
        "93.184.216.34", 80
    )
    stream.read(1, timeout=3)
    assert wire.timeouts == [None, 3]
