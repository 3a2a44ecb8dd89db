"""The folder of a demo, the state file with which the next command finds what is running, and the lock."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

from demo.errors import DemoError

ProcessId: TypeAlias = tuple[int, float]
"""The number of a process and when it was started, because a number may be reused."""


@dataclass(frozen=True)
class DemoState:
    """
    The state of one demo.

    :param marker: The marker in the environment of its processes.
    :param leader: The process that leads it.
    :param processes: Its other processes.
    :param kept: Whether it was left running on purpose.
    :param access: Its URLs and credentials, if it was left running.
    """

    marker: str
    leader: ProcessId
    processes: tuple[ProcessId, ...] = ()
    kept: bool = False
    access: dict[str, str] = field(default_factory=dict, repr=False)


class DemoFolder:
    """
    The folder of one demo: everything that it writes is there.

    :param root: The folder itself.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.service_data = root / "service"
        self.airflow_home = root / "airflow"
        self.results = root / "results"
        self.home = root / "home"
        self.temporary = root / "tmp"
        self.logs = root / "logs"
        self.state_file = root / "state.json"
        self.lock_file = root / "pushmetrics-demo"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """
        Make the folder, or check that it is one of the demo's, and hold its lock.

        The system releases the lock when this process ends. The demo clears its folder, so it uses none that
        holds something else: the lock file shows that a folder is the demo's.

        :raises DemoError: if it holds something else, or another demo holds the lock.
        """
        root = self.root
        if root.exists() and not self.lock_file.exists() and (not root.is_dir() or any(root.iterdir())):
            raise DemoError(
                f"{str(root)!r} is not a folder of the demo, and the demo clears its folder when it starts."
                " Move it away."
            )
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.lock_file.open("a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DemoError(
                    f"a demo is already running in {str(root)!r}. Wait for it, or stop it with `make stop`."
                ) from None
            yield

    def clear(self) -> None:
        """Remove what an earlier demo left, and make the folders that the processes expect."""
        for path in (
            self.service_data,
            self.airflow_home,
            self.results,
            self.home,
            self.temporary,
            self.logs,
        ):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(mode=0o700, parents=True)

    def write_state(self, state: DemoState) -> None:
        """Write the state atomically into a file that only its owner may read."""
        new = self.state_file.with_suffix(".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(state), file, indent=2)
        new.replace(self.state_file)

    def find_state(self) -> DemoState | None:
        """Read the state of the last demo, if it did not end in order."""
        try:
            stored = json.loads(self.state_file.read_text(encoding="utf-8"))
            leader, processes = stored.pop("leader"), stored.pop("processes")
            return DemoState(
                leader=(leader[0], leader[1]), processes=tuple((pid, at) for pid, at in processes), **stored
            )
        except (FileNotFoundError, LookupError, TypeError, ValueError, AttributeError):
            return None
