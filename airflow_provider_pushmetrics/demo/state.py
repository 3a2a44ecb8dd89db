"""The state file of a demo, with which the next command finds what is running."""

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
    The state of one demo.

    :param marker: The marker of its processes.
    :param pid: Its leading process.
    :param pid_started_at: When that process was started, because its number may have been reused.
    :param kept: Whether it was left running on purpose.
    :param service_url: The URL of the reference service.
    :param airflow_url: The URL of Airflow.
    :param airflow_user: Airflow's user.
    :param airflow_password: The password; only stored for a demo that is left running, as the rest.
    :param api_token: The token for signing in to the service.
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
        """Describe a demo that is led by this process."""
        me = psutil.Process()
        return cls(marker=marker, pid=me.pid, pid_started_at=me.create_time(), **facts)  # type: ignore[arg-type]

    def find_leader(self) -> psutil.Process | None:
        """Find the process that leads the demo, if it is running."""
        try:
            leader = psutil.Process(self.pid)
            return leader if abs(leader.create_time() - self.pid_started_at) < 1 else None
        except psutil.Error:
            return None


def write_state(path: Path, state: DemoState) -> None:
    """Write the state atomically into a file that only its owner may read."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(state), file, indent=2)
    new.replace(path)


def find_state(path: Path) -> DemoState | None:
    """Read the state of the last demo, if it did not end in order."""
    try:
        return DemoState(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """
    Hold the folder's lock; the system releases it when this process ends.

    :raises DemoError: if another demo holds it.
    """
    with path.open("a", encoding="utf-8") as file:
        if not _try_lock(file):
            raise DemoError(
                f"a demo is already running in {str(path.parent)!r}. Wait for it, or stop it with `make"
                " stop`."
            )
        yield


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
