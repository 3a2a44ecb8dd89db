"""The folder of a demo: everything that it writes is there."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_pushmetrics.serving.private_files import (
    make_private_folder,
    open_private,
    write_private_file,
)
from demo.errors import DemoError

FOLDERS = ("service", "airflow", "results", "home", "tmp", "logs")


class DemoFolder:
    """Knows what is where, and has a lock, and a file that says how to use a demo that was left running."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.service_data, self.airflow_home, self.results, self.home, self.temporary, self.logs = (
            root / name for name in FOLDERS
        )
        self.state_file = root / "state.json"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Make the folder and hold its lock, which ends with this process, however that ends."""
        make_private_folder(self.root)
        with open_private(self.root / "lock", "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DemoError(
                    f"a demo is already running in {str(self.root)!r}. Wait for it, or stop it with"
                    " `make stop`."
                ) from None
            yield

    def read_access(self) -> dict[str, str]:
        """Read the URLs and credentials of the demo that was left running; empty, if none was."""
        return dict(json.loads(self.state_file.read_text("utf-8"))) if self.state_file.exists() else {}

    def write_access(self, access: dict[str, str]) -> None:
        """Write the URLs and credentials of the demo that is left running."""
        write_private_file(self.state_file, json.dumps(access, indent=2))

    def clear(self) -> None:
        """Remove what an earlier demo left, and make the folders that the processes expect."""
        self.state_file.unlink(missing_ok=True)
        for path in (self.root / name for name in FOLDERS):
            shutil.rmtree(path, ignore_errors=True)
            make_private_folder(path)
