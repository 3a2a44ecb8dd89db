"""Folders with short names: paths of sockets have 108 characters at most."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def make_short_folder() -> Iterator[Path]:
    """Make a folder, and delete it at the end, whatever still writes there."""
    with tempfile.TemporaryDirectory(prefix="pm-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
