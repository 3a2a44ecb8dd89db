"""Runs a client's call without I/O: the answers are written down beforehand; only pauses take time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit

from airflow_provider_pushmetrics.client.protocol import Call, NetworkError, Pause, Request, Response

T = TypeVar("T")

Answer: TypeAlias = Response | NetworkError
Script: TypeAlias = Answer | Callable[[Request], Answer]

NEVER_SENT = NetworkError("connection refused", was_sent=False)
BROKE_OFF = NetworkError("connection reset", was_sent=True)


def build_answer(status_code: int = 200, body: Any = None, **headers: str) -> Response:
    """Build an answer; the underscores of header names become hyphens."""
    if not isinstance(body, bytes):
        body = json.dumps({} if body is None else body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status_code, {"content-type": "application/json", **named}, body)


@dataclass
class FakeClock:
    """A clock that moves only when told to."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class ScriptedDriver:
    """
    Answers each request with the next answer of the script, or with the last one forever.

    :param script: The answers, or functions that build them from the request.
    :param clock: Advanced by each pause.
    :param repeats_last: Whether the last answer stands for all further requests; else they are a failure.
    """

    script: list[Script]
    clock: FakeClock = field(default_factory=FakeClock)
    repeats_last: bool = False
    requests: list[Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def run(self, call: Call[T]) -> T:
        """Run a call to its end and return what it found out."""
        try:
            step = next(call)
            while True:
                step = self._answer(call, step)
        except StopIteration as end:
            result: T = end.value
            return result

    def _answer(self, call: Call[Any], step: Request | Pause) -> Request | Pause:
        if isinstance(step, Pause):
            assert step.seconds >= 0
            self.pauses.append(step.seconds)
            self.clock.advance(step.seconds)
            return call.send(None)
        answer = self._find_answer(step)
        self.requests.append(step)
        return call.throw(answer) if isinstance(answer, NetworkError) else call.send(answer)

    def _find_answer(self, request: Request) -> Answer:
        index = len(self.requests)
        if index >= len(self.script):
            assert self.repeats_last, f"nothing is written down for request {index + 1}: {request.describe()}"
            index = -1
        entry = self.script[index]
        return entry(request) if callable(entry) else entry

    @property
    def paths(self) -> list[str]:
        """The method and path of each request."""
        return [f"{request.method} {urlsplit(request.url).path}" for request in self.requests]

    @property
    def last_headers(self) -> Mapping[str, str]:
        """The headers of the last request."""
        return self.requests[-1].headers


def run_call(call: Call[T], *script: Script) -> T:
    """Run a call against a script, all of which must be used up."""
    driver = ScriptedDriver(list(script))
    result = driver.run(call)
    assert len(driver.requests) == len(script), f"only {len(driver.requests)} requests of {len(script)}"
    return result


def read_query(request: Request) -> dict[str, str]:
    """Read the query parameters of a request's URL."""
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
