"""One writer at a time on SQLite, whose own way to wait is to sleep, while others pass by."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from types import TracebackType


class WriteLock:
    """
    Lets one thread of one process in, and the others wait in the kernel's queue.

    Of several processes each has its turn after another's: who waits for the turn holds the place behind it,
    so that a process with much to write cannot take the turn again before a process with little wakes up.
    What a process held that died is free.

    :param path: What the files beside the database begin with.
    """

    def __init__(self, path: Path) -> None:
        self._thread = threading.Lock()
        # Held until close(), or until the process ends.
        self._next = open(f"{path}.next", "a", encoding="ascii")  # noqa: SIM115
        self._write_lock = open(f"{path}.turn", "a", encoding="ascii")  # noqa: SIM115

    def __enter__(self) -> None:
        self._thread.acquire()
        try:
            fcntl.flock(self._next, fcntl.LOCK_EX)
            fcntl.flock(self._write_lock, fcntl.LOCK_EX)
        except BaseException:
            self._thread.release()
            raise
        finally:
            fcntl.flock(self._next, fcntl.LOCK_UN)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.flock(self._write_lock, fcntl.LOCK_UN)
        self._thread.release()

    def close(self) -> None:
        """Close the files."""
        self._next.close()
        self._write_lock.close()
