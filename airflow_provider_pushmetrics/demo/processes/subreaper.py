"""Become the parent of orphans, so that ended ones do not linger as zombies where nobody collects them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterable

PR_SET_CHILD_SUBREAPER = 36
"""From ``linux/prctl.h``; there is nothing like it on other systems, whose init collects orphans anyway."""


def adopt_orphans() -> None:
    """Have the system give this process the children of its descendants that end before them."""
    if sys.platform == "linux":
        # A container's first process often collects nothing. Without effect where the system refuses it.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def collect(pids: Iterable[int]) -> None:
    """Collect those of the processes that have ended and are children of this one."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
