"""The limits of a child process, which it sets for itself before it executes the work of others."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PR_SET_PDEATHSIG = 1
RESIDENT_FIELD = 1
DATA_FIELD = 5
"""The field of ``statm`` with the memory that ``RLIMIT_DATA`` limits."""


def read_memory(pid: int | str = "self", field: int = RESIDENT_FIELD) -> int:
    """
    Read the memory of a process in bytes; 0 if it has ended, or the system does not report it.

    :param field: A field of ``statm``: https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html.
    """
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:
            return int(file.read().split()[field]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0


def limit_memory(more_bytes: int) -> None:
    """
    Limit the memory that this process may allocate in addition. A larger allocation fails.

    macOS does not enforce it.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (read_memory(field=DATA_FIELD) + more_bytes, hard))


def limit_cpu(seconds: int) -> None:
    """Limit the processor time of this process. The system kills it after that."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def end_with_parent_thread() -> None:
    """
    Make the system kill this process at the end of the thread that started it.

    Only Linux does: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def forbid_core_dumps() -> None:
    """Disable core dumps: the memory contains data of users."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
