"""
The processes of one demo, and how to stop all of them.

Airflow starts processes in sessions and groups of their own, and leaves them running when their parent ends.
So a process is found by a variable in its environment, or by its parent.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from airflow_provider_pushmetrics.serving.private_files import PRIVATE_UMASK, open_private
from demo.errors import DemoError

MARKER_VARIABLE = "PUSHMETRICS_DEMO_FOLDER"
GRACE_SECONDS = 20.0
"""How long processes may take to end: service and worker take 5 s each for running work."""
KILLED_SECONDS = 10.0
"""How long the system may take to remove killed processes."""
CHILD_POLL_SECONDS = 0.1
PR_SET_CHILD_SUBREAPER = 36
"""From ``linux/prctl.h``; other systems have no equivalent, and their init reaps orphans."""
INTERRUPTED = "standalone"
"""
A word in the command of a process that stops its children only on SIGINT, and gets that instead of SIGTERM.

On SIGTERM ``airflow standalone`` ends at once, and leaves its parts running without a reader of their output.
"""


def adopt_orphans() -> None:
    """Become the parent of orphaned descendants: the first process of a container often reaps nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_children() -> None:
    """Collect the ended children of this process, and the orphans that it adopted."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


class DemoProcesses:
    """
    Everything that the demo of one folder started, directly and indirectly, now or in an earlier command.

    :param folder: The demo's folder. Its path is in the environment of all processes.
    """

    def __init__(self, folder: Path) -> None:
        self._marker = str(folder)
        self._known: set[psutil.Process] = set()
        self._children: list[tuple[str, Path, subprocess.Popen[bytes]]] = []

    def start(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path
    ) -> subprocess.Popen[bytes]:
        """
        Start a process in its own session, so that a Ctrl-C in the terminal reaches only the demo.

        :param name: A readable name.
        :param env: Its whole environment; the marker is added.
        :param log: The file to which its output is appended.
        :raises DemoError: if there is no such program.
        """
        try:
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
        except OSError as error:
            raise DemoError(
                f"{name} cannot be started: {error}. Run `make clean` and start again."
            ) from error
        self._children.append((name, log, child))
        with suppress(psutil.NoSuchProcess):
            self._known.add(psutil.Process(child.pid))
        return child

    def require_alive(self) -> None:
        """
        Check that every process which was started directly is running.

        :raises DemoError: if one has ended, with the end of its log.
        """
        for name, log, child in self._children:
            if child.poll() is not None:
                raise DemoError(f"{name} (process {child.pid}) ended unexpectedly.", log=read_tail(log))

    def find_members(self) -> set[psutil.Process]:
        """Find every living process: with the marker, or found before, or below one of these."""
        others = [
            process for process in psutil.process_iter() if process.pid != os.getpid() and is_alive(process)
        ]
        members = {process for process in others if process in self._known or self._is_marked(process)}
        pids = {member.pid for member in members}
        while found := {
            process for process in others if process not in members and _get_parent(process) in pids
        }:
            members |= found
            pids |= {process.pid for process in found}
        self._known = members
        return set(members)

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> list[str]:
        """
        End every process: with a signal first, then by killing.

        A process whose parent lives is stopped by its parent, and gets a signal after the parent has ended.

        :param grace_seconds: How long they may take to end.
        :return: The processes that had to be killed.
        :raises DemoError: if one cannot be ended.
        """
        started_at, asked, killed = time.monotonic(), set[psutil.Process](), dict[psutil.Process, str]()
        while members := self.find_members():
            elapsed = time.monotonic() - started_at
            if elapsed >= grace_seconds + KILLED_SECONDS:
                left = ", ".join(str(member.pid) for member in members)
                raise DemoError(
                    f"these processes of the demo could not be ended: {left}. Inspect them with `ps`."
                )
            pids = {member.pid for member in members}
            for member in members:
                if elapsed >= grace_seconds:
                    killed.setdefault(member, describe_process(member))
                    _signal(member, signal.SIGKILL)
                elif member not in asked and _get_parent(member) not in pids:
                    asked.add(member)
                    _signal(member, _choose_signal(member))
            time.sleep(CHILD_POLL_SECONDS)
        for _, _, child in self._children:
            child.poll()
        return list(killed.values())

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            return bool(process.environ().get(MARKER_VARIABLE) == self._marker)
        except (psutil.Error, OSError):
            return False  # it belongs to another user, or has just ended


def describe_process(process: psutil.Process) -> str:
    """Describe a process by its program and its first argument, without interpreter and folders."""
    try:
        command = " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return "a process that has ended"
    words = [word.rsplit("/", 1)[-1] for word in command.split()]
    named = words[1:] if words and words[0].startswith("python") and len(words) > 1 else words
    return " ".join(named[:2]).removesuffix(" --")


def read_tail(log: Path, lines: int = 15) -> str:
    """Read the last lines of a log; nothing, if there is no log."""
    with suppress(OSError):
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    return ""


def _get_parent(process: psutil.Process) -> int | None:
    try:
        return int(process.ppid())
    except psutil.Error:
        return None


def _choose_signal(process: psutil.Process) -> signal.Signals:
    return signal.SIGINT if INTERRUPTED in describe_process(process).split() else signal.SIGTERM


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.Error):  # it has ended
        process.send_signal(number)
