"""A pool of child processes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from airflow_provider_pushmetrics.service.bounded_processes.child import ChildDiedError, ChildProcess

MAX_IDLE = 2
"""The maximum number of idle children."""

WAIT_SECONDS = 0.1
"""How often a call that waits for a child checks whether it is stopped."""

log = logging.getLogger(__name__)


class ChildPool:
    """
    Starts children when they are needed, keeps some, and replaces those that were killed.

    Each child has one call at a time, so that its memory limit is that of the call, and its death affects no
    other call.

    :param module: The program of the children.
    :param max_children: The maximum number. More calls wait.
    :param max_frame_bytes: The maximum size of one piece of an answer.
    :param variables: The names of the environment variables that children get.
    """

    def __init__(
        self, module: str, *, max_children: int, max_frame_bytes: int, variables: Collection[str] = ()
    ) -> None:
        self._module = module
        self._variables = variables
        self._max_frame_bytes = max_frame_bytes
        self._places = threading.Semaphore(max_children)
        self._lock = threading.Lock()
        self._idle: list[ChildProcess] = []
        self._busy: set[ChildProcess] = set()
        self._is_closed = False

    @contextmanager
    def lease(self, is_stopped: Callable[[], bool] = lambda: False) -> Iterator[ChildProcess]:
        """
        Provide a child for one call. It is killed at the end of the block if its answer is incomplete.

        :param is_stopped: Returns whether to stop waiting for a child.
        :raises ChildDiedError: if it was stopped while it waited, or no child can be started.
        """
        while not self._places.acquire(timeout=WAIT_SECONDS):
            if is_stopped():
                raise ChildDiedError("the call was stopped while it waited for a process")
        try:
            child = self._take()
            try:
                yield child
            finally:
                self._put_back(child)
        finally:
            self._places.release()

    def read_memory(self) -> int:
        """Read the memory use of all children in bytes."""
        with self._lock:
            return sum(child.read_memory() for child in (*self._idle, *self._busy))

    def kill_largest(self, reason: str) -> bool:
        """
        Kill the child that uses the most memory, and return whether there was one.

        :param reason: The error of its call.
        """
        with self._lock:
            children = [*self._idle, *self._busy]
            if not children:
                return False
            largest = max(children, key=ChildProcess.read_memory)
            largest.kill(reason)
        log.warning("killed the process %d, which used the most memory", largest.pid)
        return True

    def close_idle(self) -> None:
        """End the idle children."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.close()

    def close(self) -> None:
        """End all children, also active ones, and keep none in the future."""
        with self._lock:
            self._is_closed = True
            for child in self._busy:
                child.kill()
        self.close_idle()

    def _take(self) -> ChildProcess:
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.is_alive():
                    self._busy.add(child)
                    return child
                child.close()
        try:
            child = ChildProcess(self._module, self._max_frame_bytes, self._variables)
        except (OSError, RuntimeError) as error:
            raise ChildDiedError(f"no process can be started: {error}") from error
        with self._lock:
            self._busy.add(child)
        return child

    def _put_back(self, child: ChildProcess) -> None:
        with self._lock:
            self._busy.discard(child)
            if child.is_free and child.is_alive() and not self._is_closed and len(self._idle) < MAX_IDLE:
                self._idle.append(child)
                return
        child.close()
