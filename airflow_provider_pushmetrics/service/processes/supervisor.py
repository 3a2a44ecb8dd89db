"""
Starts, replaces and stops the worker process of a service.

The worker is a process of its own, since threads that execute runs would slow down the server. Its stdin is a
pipe from this process. The pipe carries the assignment first, and its end tells the worker that this process
has ended. The worker finds its work in the database. Its stdout is a pipe too: a byte says that it is ready,
and the figures that follow are part of the service's own.
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
from airflow_provider_pushmetrics.serving.private_files import PRIVATE_UMASK

COMMAND = (sys.executable, "-m", "airflow_provider_pushmetrics.service.processes.worker")

FIRST_RESTART_SECONDS = 0.5
LONGEST_RESTART_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
"""After a worker has run for this long, the pause before its replacement is reset."""

STOP_MARGIN_SECONDS = 5.0
"""How long a worker may take to stop, in addition to its work."""

READY = b"."
END_OF_FIGURES = b"\0"

log = logging.getLogger(__name__)

Spawn = Callable[[Sequence[str]], "subprocess.Popen[bytes]"]


@dataclass(frozen=True)
class Assignment:
    """
    The settings of a worker.

    :param worker_id: Its name. Its successor gets the same name, and so its work.
    """

    settings: ServiceSettings
    worker_id: str


def spawn(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a worker. It writes to its stdout when it is ready."""
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, umask=PRIVATE_UMASK
    )


class Supervisor:
    """
    Keeps a worker running.

    :param assignment: The settings of the worker. They do not appear in the list of processes.
    :param spawn: Starts a process.
    :param first_pause_seconds: The pause before a worker that died is replaced. It doubles while workers die
        soon after their start.
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
        self._figures = b""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="supervisor", daemon=True)

    @property
    def worker_id(self) -> str:
        """The name of the worker."""
        return self._assignment.worker_id

    def prepare(self) -> None:
        """Start the process. It loads its code, and waits for its assignment."""
        self._process = self._spawn(self._command)

    def start(self) -> None:
        """Send the worker its assignment, and replace the worker when it dies."""
        self._thread.start()

    def stop(self) -> bool:
        """
        Stop the worker, and kill it if it does not stop in time. Its work continues at the next start.

        :return: True: no work is active in this process.
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
        """Return whether the worker is running and ready."""
        return self._is_alive

    def render_figures(self) -> bytes:
        """Return what the worker has done since its start, a few seconds ago; nothing without a worker."""
        return self._figures

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
        """Send a worker its assignment, and wait for its end."""
        process = self._start_worker()
        if process is None:
            return None
        assert process.stdout is not None
        with process.stdout:
            self._is_alive = bool(process.stdout.read(1))
            begun = b""
            while chunk := process.stdout.read(65536):  # what is there, until it ends
                *whole, begun = (begun + chunk).split(END_OF_FIGURES)
                self._figures = whole[-1] if whole else self._figures
        self._is_alive, self._figures = False, b""
        return self._reap(process)

    def _reap(self, process: subprocess.Popen[bytes]) -> int:
        with self._lock:
            self._process = None
            if process.stdin is not None:
                process.stdin.close()
        return process.wait()

    def _start_worker(self) -> subprocess.Popen[bytes] | None:
        """Send the worker its assignment; None if the service is stopping."""
        with self._lock:
            if self._stopping.is_set():
                return None
            try:
                process = self._process = self._process or self._spawn(self._command)
            except OSError:
                log.exception("cannot start a worker")
                return None
            assert process.stdin is not None
            with suppress(OSError):  # it died before it read the assignment, and is replaced like all others
                process.stdin.write(pickle.dumps(self._assignment))
            return process

    def _wait_for(self, process: subprocess.Popen[bytes]) -> None:
        limit = self._assignment.settings.shutdown_seconds + STOP_MARGIN_SECONDS
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            log.warning("the worker did not stop within %s s and is killed", limit)
            process.kill()
            process.wait()
