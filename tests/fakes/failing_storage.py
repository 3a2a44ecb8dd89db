"""A folder whose storage fails when a test says so, for the processes that a test starts."""

from __future__ import annotations

import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("failing_storage.c")
FILES = "*.db*"
SECTOR_BYTES = 512
"""What a disk writes whole."""


@dataclass(frozen=True)
class FailingStorage:
    """
    Files of SQLite, and what a power loss leaves of them.

    :param library: The compiled ``failing_storage.c``.
    """

    library: Path
    folder: Path
    shadow: Path
    control: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a process needs."""
        return {
            "LD_PRELOAD": str(self.library),
            "FAULT_FOLDER": str(self.folder),
            "FAULT_SHADOW": str(self.shadow),
            "FAULT_CONTROL": str(self.control),
        }

    def fail(self, fault: str) -> None:
        """Let every sync fail (``eio``), or every write be short (``short``); empty for neither."""
        self.control.write_text(fault)

    def lose_power(self, seed: int) -> None:
        """
        Replace the files by what a power loss may leave: all that was synced, and any sectors that were not.

        The processes that use them must have been killed.
        """
        choose = random.Random(seed)
        share = choose.choice((0.0, 0.0, 0.5, 1.0))
        for path in list(self.folder.glob(FILES)):
            synced = self.shadow / path.name
            if not synced.exists():
                path.unlink()  # never synced, such as the index of the write-ahead log
                continue
            before, now = synced.read_bytes(), path.read_bytes()
            path.write_bytes(_mix(before, now, choose, share))
        shutil.rmtree(self.shadow)
        self.shadow.mkdir()
        for path in self.folder.glob(FILES):
            shutil.copy(path, self.shadow)


def _mix(synced: bytes, written: bytes, choose: random.Random, share: float) -> bytes:
    if not share:
        return synced
    size = len(written) if choose.random() < share else len(synced)
    mixed = bytearray(synced[:size].ljust(size, b"\0"))
    for start in range(0, min(size, len(written)), SECTOR_BYTES):
        if choose.random() < share:
            mixed[start : start + SECTOR_BYTES] = written[start : start + SECTOR_BYTES][: size - start]
    return bytes(mixed[:size])


def make_failing_storage(folder: Path) -> FailingStorage:
    """Compile the library and make the folders; skip the test if there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler (cc), which builds the library that lets storage fail")
    library = folder / "failing_storage.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Werror", "-Wall", "-o", library, SOURCE, "-ldl"], check=True
    )
    storage = FailingStorage(library, folder / "data", folder / "shadow", folder / "control")
    storage.folder.mkdir()
    storage.shadow.mkdir()
    storage.fail("")
    return storage
