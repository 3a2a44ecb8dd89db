"""Become the parent of orphaned processes, so that they do not remain as zombies."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterable

PR_SET_CHILD_SUBREAPER = 36
"""From ``linux/prctl.h``; other systems have no equivalent, and their init reaps orphans."""


def adopt_orphans() -> None:
    """Ask the system to make this process the parent of its orphaned descendants."""
    if sys.platform == "linux":
        # The first process of a container often reaps nothing. Has no effect if the system rejects it.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def collect(pids: Iterable[int]) -> None:
    """Reap those of the processes that have ended and are children of this one."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
