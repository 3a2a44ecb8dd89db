"""
The worker of a service: a process beside it, since threads that execute would take the server's turns.

Its stdin is a pipe whose other end is held here. First comes what it needs to know; the pipe's end says that
this process has ended, however it did. What there is to do, the worker learns from the database.
"""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from airflow_provider_pushmetrics.service.settings import ServiceSettings

COMMAND = (sys.executable, "-m", "airflow_provider_pushmetrics.service.processes.worker")

FIRST_RESTART_SECONDS = 0.5
LONGEST_RESTART_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
"""A worker that lived so long had no trouble to start: the next one starts at once again."""

STOP_MARGIN_SECONDS = 5.0
"""What a worker may take to stop beside its work."""

log = logging.getLogger(__name__)

Spawn = Callable[[Sequence[str]], "subprocess.Popen[bytes]"]


@dataclass(frozen=True)
class Assignment:
    """
    What a worker needs to know.

    :param executor_id: Its name, which its successor takes over with its work.
    """

    settings: ServiceSettings
    executor_id: str


def spawn(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a worker; it says on its stdout when it works."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)


class Supervisor:
    """
    Keeps a worker running.

    :param assignment: What the worker is told; it never shows in a list of processes.
    :param spawn: Starts a process.
    :param first_pause_seconds: The wait before a worker that died is replaced; it doubles while they die
        young.
    """

    def __init__(
        self,
        assignment: Assignment,
        *,
        command: Sequence[str] = COMMAND,
        spawn: Spawn = spawn,
        first_pause_seconds: float = FIRST_RESTART_SECONDS,
    ) -> None:
        self._assignment = assignment
        self._command = command
        self._spawn = spawn
        self._first_pause_seconds = first_pause_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_alive = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="supervisor", daemon=True)

    def prepare(self) -> None:
        """Start the process, which loads its code, and waits to be told the rest."""
        self._process = self._spawn(self._command)

    def start(self) -> None:
        """Let the worker begin, and replace it when it dies."""
        self._thread.start()

    def stop(self) -> bool:
        """
        Let the worker stop, and wait for it; one that does not stop in time is killed, and loses nothing.

        :return: That nothing in this process goes on.
        """
        with self._lock:
            self._stopping.set()
            process = self._process
            if process is not None and process.stdin is not None:
                process.stdin.close()
        if process is not None:
            self._wait_for(process)
        if self._thread.is_alive():
            self._thread.join()
        if process is not None and process.stdout is not None:
            process.stdout.close()
        return True

    def is_alive(self) -> bool:
        """Tell whether the worker lives and works."""
        return self._is_alive

    def _work(self) -> None:
        pause_seconds = self._first_pause_seconds
        while not self._stopping.is_set():
            began = time.monotonic()
            code = self._run_worker()
            if self._stopping.is_set():
                return
            if time.monotonic() - began > HEALTHY_SECONDS:
                pause_seconds = self._first_pause_seconds
            log.error("the worker ended with code %s; starting another in %s s", code, pause_seconds)
            self._stopping.wait(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LONGEST_RESTART_SECONDS)

    def _run_worker(self) -> int | None:
        """See a worker through, from its assignment to its end."""
        process = self._start_worker()
        if process is None:
            return None
        assert process.stdout is not None
        with process.stdout:
            self._is_alive = bool(process.stdout.read(1))
            process.stdout.read()  # there is no more, until it ends
        self._is_alive = False
        return self._reap(process)

    def _reap(self, process: subprocess.Popen[bytes]) -> int:
        with self._lock:
            self._process = None
            if process.stdin is not None:
                process.stdin.close()
        return process.wait()

    def _start_worker(self) -> subprocess.Popen[bytes] | None:
        """Tell the worker what it needs to know; None if there is none, and no need for one."""
        with self._lock:
            if self._stopping.is_set():
                return None
            try:
                process = self._process = self._process or self._spawn(self._command)
            except OSError:
                log.exception("cannot start a worker")
                return None
            assert process.stdin is not None
            with suppress(OSError):  # it died before it heard anything, and is buried like all others
                process.stdin.write(pickle.dumps(self._assignment))
            return process

    def _wait_for(self, process: subprocess.Popen[bytes]) -> None:
        limit = self._assignment.settings.shutdown_seconds + STOP_MARGIN_SECONDS
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            log.warning("the worker did not stop in %s s, and is killed", limit)
            process.kill()
            process.wait()
