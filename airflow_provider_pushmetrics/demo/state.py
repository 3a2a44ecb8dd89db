"""What a demo notes about itself, so that the next command finds what is running."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

import psutil

from airflow_provider_pushmetrics.exceptions import DemoError


@dataclass(frozen=True)
class DemoState:
    """
    One demo.

    :param marker: What marks its processes.
    :param pid: The process that leads it, or led it.
    :param pid_started_at: When that process was started, since its number may be another's by now.
    :param kept: Whether it was left running on purpose.
    :param service_url: Where the reference service is.
    :param airflow_url: Where Airflow is.
    :param airflow_user: Who may log in there.
    :param airflow_password: The password; only noted for a demo that is left running, as the rest.
    :param api_token: Who shows it may sign in to the service.
    """

    marker: str
    pid: int
    pid_started_at: float
    kept: bool = False
    service_url: str = ""
    airflow_url: str = ""
    airflow_user: str = ""
    airflow_password: str = field(default="", repr=False)
    api_token: str = field(default="", repr=False)

    @classmethod
    def of_this_process(cls, marker: str, **facts: str | bool) -> DemoState:
        """Describe a demo that this process leads."""
        me = psutil.Process()
        return cls(marker=marker, pid=me.pid, pid_started_at=me.create_time(), **facts)  # type: ignore[arg-type]

    def find_leader(self) -> psutil.Process | None:
        """Find the process that leads the demo, if it still runs."""
        try:
            leader = psutil.Process(self.pid)
            return leader if abs(leader.create_time() - self.pid_started_at) < 1 else None
        except psutil.Error:
            return None


def write_state(path: Path, state: DemoState) -> None:
    """Write the state into a file that only its owner may read, all at once."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(state), file, indent=2)
    new.replace(path)


def find_state(path: Path) -> DemoState | None:
    """Find what the last demo noted, if it did not end in order."""
    try:
        return DemoState(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """
    Hold the folder's lock; the system lets go of it when this process ends, however it ends.

    :raises DemoError: if another demo holds it.
    """
    with path.open("a", encoding="utf-8") as file:
        if not _try_lock(file):
            raise DemoError(
                f"a demo is at work in {str(path.parent)!r} already. Wait for it, or end it with `make stop`."
            )
        yield


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
