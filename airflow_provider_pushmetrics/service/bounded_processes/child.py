"""The parent's side of one child process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.bounded_processes.frames import (
    DATA,
    FAILURE,
    REQUEST,
    BrokenFrameError,
    Frame,
    read_frame,
    write_frame,
)
from airflow_provider_pushmetrics.service.bounded_processes.limits import read_memory
from airflow_provider_pushmetrics.serving.private_files import PRIVATE_UMASK

START = (
    "import sys; sys.path[:] = sys.argv[3:];"
    " import runpy; runpy.run_module(sys.argv[1], run_name='__main__', alter_sys=False)"
)
"""Run a module with the import path of the parent; its arguments are the module, a socket, and that path."""

STARTER = ThreadPoolExecutor(1, thread_name_prefix="child-starter")
"""Starts all children: the system kills a child at the end of the thread that started it."""


class CallFailedError(PushMetricsError):
    """A child rejected a call; the message is the child's."""


class ChildDiedError(PushMetricsError):
    """
    A child ended before its answer was complete.

    :param ending: How it ended, such as ``signal SIGSEGV``.
    """

    def __init__(self, message: str, ending: str | None = None) -> None:
        super().__init__(message)
        self.ending = ending


class ChildProcess:
    """
    A process that answers calls, one at a time.

    :param module: Its program, which calls ``server.serve``.
    :param max_frame_bytes: The maximum size of one piece of an answer.
    :param variables: The names of this process's environment variables that it gets. It has no others.
    :raises OSError: if it cannot be started.
    :raises RuntimeError: if this process ends, or has no more threads.
    """

    def __init__(self, module: str, max_frame_bytes: int, variables: Collection[str] = ()) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._connection, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = STARTER.submit(_spawn, module, theirs.fileno(), variables).result()
            except (OSError, RuntimeError):
                self._connection.close()
                raise
        self._kill_reason: str | None = None
        self._is_killed = False
        self.is_free = True
        """Whether it can take a call: it waits for one, and has not announced its end."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def call(self, request: bytes) -> Iterator[memoryview]:
        """
        Send a request, and return the pieces of the answer as they arrive.

        The answer is complete if, and only if, the iterator ends without an error.

        :raises CallFailedError: if the child rejects the call.
        :raises ChildDiedError: if the child ends before its answer does.
        """
        self.is_free = False
        try:
            write_frame(self._connection, REQUEST, request)
        except OSError as error:
            raise self._build_death(error) from error
        while (frame := self._read()).kind == DATA:
            yield frame.data
            del frame  # not kept while the next one is read
        self.is_free = not frame.is_last
        if frame.kind == FAILURE:
            raise CallFailedError(bytes(frame.data).decode())

    def is_alive(self) -> bool:
        """Return whether it runs and was not killed: a signal takes time to end it."""
        return not self._is_killed and self._process.poll() is None

    def read_memory(self) -> int:
        """Read its memory use in bytes; 0 if it has ended, or the system does not report it."""
        return read_memory(self.pid)

    def kill(self, reason: str | None = None) -> None:
        """
        Kill it. Any thread may call this, more than once.

        :param reason: The error of the active call.
        """
        self._kill_reason = self._kill_reason or reason
        self._is_killed = True
        self._process.kill()

    def close(self) -> None:
        """End it, and wait until it has."""
        self.kill()
        self._process.wait()
        self._connection.close()

    def _read(self) -> Frame:
        try:
            return read_frame(self._connection, self._max_frame_bytes)
        except BrokenFrameError as error:
            raise self._build_death(error) from error

    def _build_death(self, error: Exception) -> ChildDiedError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)  # its sockets are closed shortly before its exit code is available
        code = self._process.poll()
        ending = self._kill_reason or (str(error) if code is None else _describe(code))
        return ChildDiedError(f"the process {self.pid} ended before its answer: {ending}", ending)


def _spawn(module: str, connection: int, variables: Collection[str]) -> subprocess.Popen[bytes]:
    paths = [os.path.abspath(path) for path in sys.path]
    return subprocess.Popen(
        [sys.executable, "-I", "-c", START, module, str(connection), *paths],
        # Without credentials and proxies.
        env={name: value for name, value in os.environ.items() if name in variables},
        pass_fds=[connection],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        umask=PRIVATE_UMASK,  # for what a query writes to disk
    )


def _describe(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
