"""The folder of a demo, and its state file: the lock of the demo at work, and the access to a kept one."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from airflow_provider_pushmetrics.serving.private_files import make_private_folder, open_private
from demo.errors import DemoError

LEADER_TIMEOUT_SECONDS = 60
LOCK_POLL_SECONDS = 0.1


class DemoFolder:
    """
    The folder of one demo: everything that it writes is there.

    Its state file is a JSON object: ``leader`` is the process that holds the lock on the file, ``access`` has
    the URLs and credentials of a demo that was left running on purpose.

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

    @contextmanager
    def lock(self, *, stop_leader: bool = False) -> Iterator[bool]:
        """
        Make the folder, or check that it is one of the demo's, and hold its lock.

        The system releases the lock when this process ends, however it ends.

        :param stop_leader: Send SIGTERM to the demo that holds the lock, and wait for its end.
        :return: Whether another demo held the lock.
        :raises DemoError: if the folder holds something else, or another demo holds the lock.
        """
        self._require_own()
        make_private_folder(self.root)
        with open_private(self.state_file, "a+") as file:
            if is_held := not _try_lock(file):
                if not stop_leader:
                    raise DemoError(
                        f"a demo is already running in {str(self.root)!r}. Wait for it, or stop it with"
                        " `make stop`."
                    )
                self._stop_leader(file)
            self._write_state(leader=os.getpid())
            try:
                yield is_held
            finally:
                self._write_state(leader=None)

    def find_access(self) -> dict[str, str]:
        """Find the URLs and credentials of the kept demo; empty, if none is kept."""
        return self._read_state().get("access") or {}

    def write_access(self, access: dict[str, str]) -> None:
        """Store the URLs and credentials of a kept demo; empty, if it has ended."""
        self._write_state(access=access)

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
            make_private_folder(path)

    def _require_own(self) -> None:
        """Refuse a folder that holds something else: the demo clears its folder."""
        root = self.root
        if root.exists() and not self.state_file.exists() and (not root.is_dir() or any(root.iterdir())):
            raise DemoError(
                f"{str(root)!r} is not a folder of the demo, and the demo clears its folder when it starts."
                " Move it away."
            )

    def _stop_leader(self, file: IO[str]) -> None:
        deadline, asked = time.monotonic() + LEADER_TIMEOUT_SECONDS, None
        while not _try_lock(file):
            leader = self._read_state().get("leader")
            if leader not in (None, asked):
                asked = leader
                with suppress(ProcessLookupError):
                    os.kill(leader, signal.SIGTERM)
            if time.monotonic() >= deadline:
                raise DemoError(f"the running demo (process {leader}) does not end. Inspect it with `ps`.")
            time.sleep(LOCK_POLL_SECONDS)

    def _read_state(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.state_file.read_text(encoding="utf-8")))
        except (FileNotFoundError, TypeError, ValueError):
            return {}

    def _write_state(self, **changed: Any) -> None:
        self.state_file.write_text(json.dumps(self._read_state() | changed, indent=2), encoding="utf-8")


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
