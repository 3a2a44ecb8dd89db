"""A statsd server that keeps what it hears of the provider."""

from __future__ import annotations

import socket


class FakeStatsd:
    """A statsd server: keeps the packets that it gets."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port: int = self._socket.getsockname()[1]

    def read(self) -> list[str]:
        """Read what has arrived: of timers the name and the kind, without the time."""
        packets = []
        try:
            while True:
                packets.append(self._socket.recv(4096).decode())
        except TimeoutError:
            ours = [packet.removeprefix("airflow.") for packet in packets if "pushmetrics" in packet]
        return [
            packet if packet.endswith(("|c", "|g")) else packet.partition(":")[0] + "|ms" for packet in ours
        ]

    def close(self) -> None:
        self._socket.close()
