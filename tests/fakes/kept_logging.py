"""The logging of the process of tests, which a command that is called in it sets up anew."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def keep_logging() -> Iterator[None]:
    """Undo what a command sets up: all later tests would log for it, at its level."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
