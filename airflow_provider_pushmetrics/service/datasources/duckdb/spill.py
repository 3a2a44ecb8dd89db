"""Folders in which queries of DuckDB write what does not fit in their memory."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PREFIX = "duckdb-"


@contextmanager
def make_spill_folder(parent: Path) -> Iterator[Path]:
    """Make a folder for one query, which is locked while it is in use, and deleted after that."""
    parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with _lock(parent, fcntl.LOCK_SH):  # no other process looks for unused folders meanwhile
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=parent, prefix=PREFIX))
            stack.enter_context(_lock(Path(folder), fcntl.LOCK_EX))
        yield Path(folder)


def delete_unused_folders(parent: Path) -> None:
    """Delete the folders of processes that were killed; those of other workers that live are kept."""
    if not parent.exists():
        return
    with _lock(parent, fcntl.LOCK_EX):
        for folder in parent.glob(f"{PREFIX}*"):
            # The system gives the lock back when its process ends, however that is.
            with suppress(OSError), _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _lock(folder: Path, operation: int) -> Iterator[None]:
    """
    Lock a folder.

    :raises OSError: if it is locked and is not to be waited for, or does not exist.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)
