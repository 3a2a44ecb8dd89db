"""Folders for data of DuckDB queries that does not fit in memory."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from airflow_provider_pushmetrics.serving.private_files import make_private_folder


def build_prefix(host: str) -> str:
    """Build the prefix of the folders of a host: a lock on a network share may not be seen by other hosts."""
    return f"duckdb-{re.sub(r'[^A-Za-z0-9.-]', '-', host)}_"


PREFIX = build_prefix(socket.gethostname())


@contextmanager
def make_spill_folder(parent: Path) -> Iterator[Path]:
    """Create a folder for one query. It is locked while it is in use, and deleted after that."""
    make_private_folder(parent)
    with ExitStack() as stack:
        with _lock(parent, fcntl.LOCK_SH):  # meanwhile no other process deletes unused folders
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=parent, prefix=PREFIX))
            stack.enter_context(_lock(Path(folder), fcntl.LOCK_EX))
        yield Path(folder)


def delete_unused_folders(parent: Path) -> None:
    """Delete the folders of this host's processes that were killed. The system has released their locks."""
    if not parent.exists():
        return
    with _lock(parent, fcntl.LOCK_EX):
        for folder in parent.glob(f"{PREFIX}*"):
            with suppress(OSError), _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _lock(folder: Path, operation: int) -> Iterator[None]:
    """
    Lock a folder.

    :raises OSError: if it does not exist, or is locked and ``LOCK_NB`` is set.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)
