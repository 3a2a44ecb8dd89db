"""A system that cannot start another thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

ENDLESS_STACK_BYTES = 2**46
"""More than there is: no thread with such a stack can be started."""


@contextmanager
def run_out_of_threads() -> Iterator[None]:
    """Let no thread of this process be started in the block."""
    earlier = threading.stack_size(ENDLESS_STACK_BYTES)
    try:
        yield
    finally:
        threading.stack_size(earlier)
