"""The program of a child process that does, without a guard, what tests ask of it."""

from __future__ import annotations

import json
import os
import signal
import sys

from airflow_provider_pushmetrics.service.bounded_processes.limits import limit_memory
from airflow_provider_pushmetrics.service.bounded_processes.server import CallError, Send, serve

MODULE = "tests.fakes.bounded_child"
MIB = 1024 * 1024

kept: list[bytes] = []


def answer(request: memoryview, send: Send) -> None:
    """Do one of a few things, whose name and argument are the request."""
    name, argument = json.loads(bytes(request))
    ACTIONS[name](argument, send)


def echo(text: str, send: Send) -> None:
    """Send a text back."""
    send(text.encode())


def describe(_: None, send: Send) -> None:
    """Send what this process has of its parent: the environment, and the kinds of its open files."""
    fds = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_open(fd)]
    send(json.dumps({"environment": dict(os.environ), "files": fds, "pid": os.getpid()}).encode())


def _is_open(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


def refuse(text: str, _: Send) -> None:
    """Refuse the call."""
    raise CallError(text)


def allocate(mebibytes: int, send: Send) -> None:
    """Allocate memory beyond a limit of 64 MiB, or below it."""
    limit_memory(64 * MIB)
    try:
        send(str(len(bytearray(mebibytes * MIB))).encode())
    except MemoryError:
        raise CallError("out of memory") from None


def grow(mebibytes: int, send: Send) -> None:
    """Keep memory forever."""
    kept.append(b"x" * mebibytes * MIB)
    send(str(os.getpid()).encode())


def spin(_: None, send: Send) -> None:
    """Say who it is, and never end."""
    send(str(os.getpid()).encode())
    while True:
        pass


def crash(number: int, send: Send) -> None:
    """Send half of an answer, and die by a signal."""
    send(b"half of it")
    os.kill(os.getpid(), number)


def leave(code: int, send: Send) -> None:
    """Send half of an answer, and exit as if all were well."""
    send(b"half of it")
    os._exit(code)


def freeze(_: None, send: Send) -> None:
    """Say who it is, and stop as a debugger stops it."""
    send(str(os.getpid()).encode())
    os.kill(os.getpid(), signal.SIGSTOP)


def flood(mebibytes: int, send: Send) -> None:
    """Send more at once than it may."""
    send(bytes(mebibytes * MIB))


ACTIONS = {
    function.__name__: function
    for function in (echo, describe, refuse, allocate, grow, spin, crash, leave, freeze, flood)
}


if __name__ == "__main__":
    sys.stdin.close()
    serve(answer)
