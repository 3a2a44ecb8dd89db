"""The limits of a child process, which it sets for itself before it does what others wrote."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PR_SET_PDEATHSIG = 1
STATM = Path("/proc/self/statm")
DATA_FIELD = 5
"""Which number of ``statm`` is the memory that ``RLIMIT_DATA`` limits, in pages."""


def read_data_bytes() -> int:
    """Read how much memory this process has that ``RLIMIT_DATA`` limits; 0 where the system does not say."""
    try:
        return int(STATM.read_text("ascii").split()[DATA_FIELD]) * PAGE_BYTES
    except OSError:
        return 0


def limit_memory(more_bytes: int) -> None:
    """
    Let this process allocate so much more memory than it has. Whatever asks for more gets an error.

    macOS does not enforce it.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (read_data_bytes() + more_bytes, hard))


def limit_cpu(seconds: int) -> None:
    """Let this process use the processor for so long, and be killed then."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def end_with_parent_thread() -> None:
    """
    Let the system kill this process, also one that is stopped, when the thread that started it ends.

    Only Linux does: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def forbid_core_dumps() -> None:
    """Write no memory to disk after a crash: it holds what others asked."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
