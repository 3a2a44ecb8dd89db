"""A fair write lock for SQLite, whose own busy handler sleeps while others overtake."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from types import TracebackType

from airflow_provider_pushmetrics.serving.private_files import open_private


class WriteLock:
    """
    Admits one thread of one process; the others wait in the kernel's queue.

    Processes alternate: one that waits holds the place behind the current writer, so that a process with many
    writes cannot take the lock again before another one wakes up. The locks of a dead process are released.

    :param path: The prefix of the lock files beside the database.
    """

    def __init__(self, path: Path) -> None:
        self._thread = threading.Lock()
        # Open until close(), or until the process ends.
        self._next = open_private(f"{path}.next", "ab")
        self._write_lock = open_private(f"{path}.turn", "ab")

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
        self._next.close()
        self._write_lock.close()
