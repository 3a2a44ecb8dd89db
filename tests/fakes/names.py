"""A name service, and a network whose every address leads to loopback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpcore


@dataclass
class NameService:
    """
    Answers for names, one answer after the other; the last one forever.

    :param answers: The answers for each name; a name without any does not exist.
    """

    answers: Mapping[str, Sequence[list[str]]]
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, port: int) -> list[str]:
        if host not in self.answers:
            raise OSError(-2, "Name or service not known")
        self.asked.append(host)
        answers = self.answers[host]
        return answers[min(self.asked.count(host), len(answers)) - 1]


class Detour(httpcore.SyncBackend):
    """
    Takes every connection to loopback, and remembers where it was to go.

    :param dead: Addresses where nobody answers.
    """

    def __init__(self, dead: Sequence[str] = ()) -> None:
        self.connected: list[str] = []
        self.timeouts: list[float | None] = []
        self.dead = dead

    def connect_tcp(self, host: str, port: int, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        timeout = kwargs.get("timeout", args[0] if args else None)
        self.connected.append(host)
        self.timeouts.append(timeout)
        if host in self.dead:
            raise httpcore.ConnectError(f"nobody at {host}")
        return self._open(port, *args, **kwargs)

    def _open(self, port: int, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        return super().connect_tcp("127.0.0.1", port, *args, **kwargs)


class ScriptedNetwork(Detour):
    """
    Answers every connection with the same bytes, without a network.

    :param answer: What is read from each connection.
    """

    def __init__(self, answer: bytes, dead: Sequence[str] = ()) -> None:
        super().__init__(dead)
        self.answer = answer

    def _open(self, port: int, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        return httpcore.MockStream([self.answer])
