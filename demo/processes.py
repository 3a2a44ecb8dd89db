"""
The processes of one demo, and how to end all of them.

Airflow starts processes in sessions and groups of their own, and leaves them running when their parent ends.
So a process is found by a variable in its environment, or by its parent. All are killed at once: whatever
they write is in the folder, which the next demo clears, and a part that hangs cannot hold up the others.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from airflow_provider_pushmetrics.serving.private_files import PRIVATE_UMASK, open_private
from demo.errors import DemoError

MARKER_VARIABLE = "PUSHMETRICS_DEMO_FOLDER"
REAP_SECONDS = 30
STOP_SECONDS = 30
"""How long a killed process may take to end: storage that does not answer, or a debugger, may hold it."""

PR_SET_CHILD_SUBREAPER = 36
"""From ``linux/prctl.h``; other systems have no equivalent, and their init reaps orphans."""


def adopt_orphans() -> None:
    """Become the parent of orphaned descendants: the first process of a container often reaps nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_children() -> None:
    """Collect the children of this process and the orphans that it adopted, when all their threads ended."""
    deadline = time.monotonic() + REAP_SECONDS
    with suppress(ChildProcessError):  # there is none any more
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.05)


class DemoProcesses:
    """Everything that the demo of a folder started, directly and indirectly, now or in an earlier command."""

    def __init__(self, folder: Path) -> None:
        self._marker = str(folder)
        self._children: dict[subprocess.Popen[bytes], Path] = {}

    def start(
        self, command: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path
    ) -> subprocess.Popen[bytes]:
        """Start a process in its own session, so that a Ctrl-C in the terminal reaches only the demo."""
        with open_private(log, "ab") as output:
            child = subprocess.Popen(
                command,
                env={**env, MARKER_VARIABLE: self._marker},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=PRIVATE_UMASK,
            )
        self._children[child] = log
        return child

    def require_alive(self) -> None:
        """Check that every process which was started directly is running."""
        for child, log in self._children.items():
            if child.poll() is not None:
                raise DemoError(f"{child.args!r} ended with code {child.returncode}.", log=read_tail(log))

    def find_members(self) -> set[psutil.Process]:
        """
        Find every living process with the marker, and all that are below these.

        Those that were started here are found without it: Redis writes its title over its environment.
        """
        members = {one for one in psutil.process_iter() if one.pid != os.getpid() and self._is_marked(one)}
        members |= {psutil.Process(child.pid) for child in self._children if child.poll() is None}
        for one in list(members):
            with suppress(psutil.Error):
                members |= set(one.children(recursive=True))
        return set(filter(is_alive, members))

    def stop(self, *, timeout_seconds: float = STOP_SECONDS) -> None:
        """
        Kill every process, also those that are started meanwhile.

        :raises DemoError: if some are still there after this time.
        """
        deadline = time.monotonic() + timeout_seconds
        members = set[psutil.Process]()
        while members := self._find_left(members):
            for member in members:
                with suppress(psutil.Error):
                    member.kill()
            psutil.wait_procs(members, timeout=0.2)
            if time.monotonic() >= deadline and (left := self._find_left(members)):
                raise DemoError(
                    f"not ended {timeout_seconds:g} s after SIGKILL: {describe(left)}. End what holds it,"
                    " such as a debugger or storage that does not answer, and run `make stop` again."
                )
        for child in self._children:
            child.wait(REAP_SECONDS)  # its main thread may have ended before the others

    def _find_left(self, members: set[psutil.Process]) -> set[psutil.Process]:
        """Find those that run. One that is about to end has lost its environment, but was found before."""
        return self.find_members() | set(filter(is_alive, members))

    def _is_marked(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error, OSError):  # it belongs to another user, or has just ended
            return bool(process.environ().get(MARKER_VARIABLE) == self._marker)
        return False


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; one whose main thread has ended is a zombie, and runs until all have."""
    with suppress(psutil.Error):
        return process.is_running() and (
            process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1
        )
    return False


def describe(processes: Iterable[psutil.Process]) -> str:
    """Write the ids of processes, with their names and states."""
    texts = dict[int, str]()
    for one in processes:
        texts[one.pid] = f"process {one.pid}"
        with suppress(psutil.Error):
            texts[one.pid] += f" ({one.name()}, {one.status()})"
    return ", ".join(text for _, text in sorted(texts.items()))


def read_tail(log: Path, lines: int = 15) -> str:
    """Read the last lines of a log."""
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
