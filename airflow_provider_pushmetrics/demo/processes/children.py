"""
The processes of one demo, and how to stop all of them.

Airflow starts processes in separate sessions, and leaves them running when their parent ends. So every
process is marked with an environment variable, which its descendants inherit, and all marked processes are
stopped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from airflow_provider_pushmetrics.demo.processes.subreaper import collect
from airflow_provider_pushmetrics.exceptions import DemoError

MARKER_VARIABLE = "PUSHMETRICS_DEMO_MARKER"
GRACE_SECONDS = 20.0
"""How long processes may take to end: service and worker take 5 s each for running work."""
KILLED_SECONDS = 10.0
"""How long the system may take to remove killed processes."""
CHILD_POLL_SECONDS = 0.1
INTERRUPTED = "standalone"
"""
A word in the command of a process that stops its children only on SIGINT, and gets that instead of SIGTERM.

On SIGTERM ``airflow standalone`` ends at once, and leaves its parts running without a reader of their output.
"""


@dataclass(frozen=True)
class WatchedProcess:
    """
    A process that the demo depends on.

    :param name: A readable name.
    :param process: The process.
    :param log: The file of its output.
    :param parts: Words in the commands of the children that the demo depends on too.
    """

    name: str
    process: psutil.Process
    log: Path
    parts: frozenset[str] = frozenset()

    def require_alive(self) -> None:
        """
        Check that it runs.

        :raises DemoError: if it has ended.
        """
        try:
            alive = self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            alive = False
        if not alive:
            raise DemoError(
                f"{self.name} (process {self.process.pid}) ended unexpectedly.", log=read_tail(self.log)
            )

    def find_parts(self) -> list[WatchedProcess]:
        """Find the started children that the demo depends on."""
        if not self.parts:
            return []
        try:
            described = [(describe_process(child), child) for child in self.process.children()]
        except psutil.NoSuchProcess:
            return []
        return [
            WatchedProcess(name, child, self.log)
            for name, child in described
            if self.parts & set(name.split())
        ]


@dataclass
class ProcessFamily:
    """
    Everything that one demo started, directly and indirectly.

    :param marker: The value of the environment variable that marks the processes.
    """

    marker: str = field(default_factory=lambda: uuid.uuid4().hex)
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False)
    _watched: dict[int, WatchedProcess] = field(default_factory=dict, repr=False)
    _asked: set[int] = field(default_factory=set, repr=False)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path,
        parts: frozenset[str] = frozenset(),
    ) -> None:
        """
        Start a process in its own session, so that a Ctrl-C in the terminal reaches only the demo.

        :param name: A readable name.
        :param env: Its whole environment; the marker is added.
        :param log: The file to which its output is appended.
        :param parts: Words in the commands of the children that the demo depends on too.
        :raises DemoError: if there is no such program.
        """
        marked = {**env, MARKER_VARIABLE: self.marker}
        try:
            with log.open("ab") as output:
                child = subprocess.Popen(
                    command,
                    env=marked,
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    umask=0o077,
                )
        except OSError as error:
            raise DemoError(
                f"{name} cannot be started: {error}. Run `make clean` and start again."
            ) from error
        self._children.append(child)
        self._watched[child.pid] = WatchedProcess(name, psutil.Process(child.pid), log, parts)

    def require_alive(self) -> None:
        """
        Check that every started process is running, and its parts that were running before.

        :raises DemoError: if one has ended, with the end of its log.
        """
        for watched in list(self._watched.values()):
            watched.require_alive()
            for part in watched.find_parts():
                self._watched.setdefault(part.process.pid, part)

    def find_members(self) -> list[psutil.Process]:
        """Find every living process with the marker, whatever its parent is."""
        return [process for process in psutil.process_iter() if self._is_member(process)]

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> list[str]:
        """
        End every process of the family: with a signal first, then by killing.

        A process whose parent lives is stopped by its parent, and gets a signal after the parent has ended.

        :param grace_seconds: How long they may take to end.
        :return: The processes that had to be killed.
        :raises DemoError: if one cannot be ended.
        """
        self._watched.clear()
        deadline = time.monotonic() + grace_seconds
        while (members := self.find_members()) and time.monotonic() < deadline:
            for member in _find_roots(members):
                if member.pid not in self._asked:
                    self._asked.add(member.pid)
                    _signal(member, _choose_signal(member))
            self._pause()
        killed = [describe_process(member) for member in members]
        self._kill_all()
        self._reap()
        return killed

    def _kill_all(self) -> None:
        deadline = time.monotonic() + KILLED_SECONDS
        while members := self.find_members():
            if time.monotonic() >= deadline:
                left = ", ".join(str(member.pid) for member in members)
                raise DemoError(
                    f"these processes of the demo could not be ended: {left}. Inspect them with `ps`."
                )
            for member in members:
                _signal(member, signal.SIGKILL)
            self._pause()

    def _is_member(self, process: psutil.Process) -> bool:
        if process.pid == os.getpid():
            return False
        try:
            return process.status() != psutil.STATUS_ZOMBIE and (
                # While a child loads its program, its environment is empty.
                any(process.pid == child.pid and child.returncode is None for child in self._children)
                or process.environ().get(MARKER_VARIABLE) == self.marker
            )
        except (psutil.Error, OSError):
            return False  # it belongs to another user, or has just ended

    def _pause(self) -> None:
        self._reap()
        time.sleep(CHILD_POLL_SECONDS)

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]
        collect(self._asked)


def describe_process(process: psutil.Process) -> str:
    """Describe a process by its command."""
    try:
        return describe_command(" ".join(process.cmdline()) or process.name())
    except psutil.Error:
        return "a process that has ended"


def describe_command(command: str) -> str:
    """Shorten a command to the program and its first argument, without interpreter and folders."""
    words = [word.rsplit("/", 1)[-1] for word in command.split()]
    named = words[1:] if words and words[0].startswith("python") and len(words) > 1 else words
    return " ".join(named[:2]).removesuffix(" --")


def read_tail(log: Path, lines: int = 15) -> str:
    """Read the last lines of a log; nothing, if there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 64 * 1024))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _find_roots(members: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Find the processes whose parents are not among them."""
    known = {member.pid for member in members}
    return [member for member in members if _find_parent(member) not in known]


def _find_parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


def _choose_signal(process: psutil.Process) -> signal.Signals:
    return signal.SIGINT if INTERRUPTED in describe_process(process).split() else signal.SIGTERM


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return  # it has ended
