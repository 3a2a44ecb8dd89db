"""Processes that are killed and frozen whole, and a supervisor that starts again what has ended."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from demo.processes import DemoProcesses
from tests.chaos.schedule import Fault

RESTART_SECONDS = 1.0
"""How long a supervisor waits before it starts a process again."""

REAP_SECONDS = 30.0
"""How long a killed process may take to be gone."""


@dataclass
class Member:
    """
    A process of the system, with what has been done to it.

    :param name: Its kind and number.
    :param kind: What it is one of.
    """

    name: str
    kind: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    killed: int = 0
    frozen: int = 0
    ended: int = 0
    thaws_at: float | None = None
    starts_at: float = 0.0


@dataclass
class Fleet:
    """
    All processes of the system.

    :param processes: Starts them, and finds all of them at the end.
    :param folder: Where each has its log.
    :param faults: What kind was killed or frozen, when, and until when, in seconds since 1970.
    """

    processes: DemoProcesses
    folder: Path
    members: dict[str, Member] = field(default_factory=dict)
    faults: list[tuple[str, float, float]] = field(default_factory=list)

    def add(self, kind: str, number: int, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Add a process and start it."""
        member = Member(f"{kind}-{number}", kind, command, environment)
        self.members[member.name] = member
        self._start(member)

    def apply(self, fault: Fault) -> None:
        """Do to a process what a schedule says."""
        now = time.time()
        self.faults.append((fault.kind, now, now + fault.seconds))
        if fault.action == "kill":
            self.kill(fault.name)
        else:
            self.freeze(fault.name, fault.seconds)

    def has_frozen(self) -> bool:
        """Return whether a process is frozen now."""
        return any(member.thaws_at is not None for member in self.members.values())

    def kill(self, name: str) -> None:
        """Kill a process with all that it started, at once, as the end of a container does."""
        member = self.members[name]
        member.killed += 1
        member.thaws_at = None
        _kill_all(member.process)

    def freeze(self, name: str, seconds: float) -> None:
        """Stop a process with all that it started, for a while."""
        member = self.members[name]
        member.frozen += 1
        member.thaws_at = time.monotonic() + seconds
        _stop_all(member.process)

    def supervise(self) -> None:
        """Continue what has been frozen for long enough, and start again what has ended."""
        now = time.monotonic()
        for member in self.members.values():
            if member.thaws_at is not None and now >= member.thaws_at:
                member.thaws_at = None
                _continue_all(member.process)
            if member.process is not None and member.process.poll() is not None:
                _kill_all(member.process)  # what it left behind
                member.process, member.starts_at = None, now + RESTART_SECONDS
                member.ended += 1
            elif member.process is None and now >= member.starts_at:
                self._start(member)

    def stop(self) -> None:
        """Stop all processes."""
        self.processes.stop()
        for member in self.members.values():
            if member.process is not None:
                member.process.wait(REAP_SECONDS)

    def _start(self, member: Member) -> None:
        member.process = self.processes.start(
            member.command,
            env=member.environment,
            log=self.folder / f"{member.name}.log",
            cwd=self.folder,
        )


def _list_all(leader: subprocess.Popen[bytes] | None) -> Iterator[psutil.Process]:
    """List a process and all that it started: below it, or in its session if their parent has ended."""
    if leader is None:
        return
    with suppress(psutil.NoSuchProcess):
        yield psutil.Process(leader.pid)
        yield from psutil.Process(leader.pid).children(recursive=True)
    for process in psutil.process_iter():
        with suppress(ProcessLookupError):
            if os.getsid(process.pid) == leader.pid:
                yield process


def _stop_all(leader: subprocess.Popen[bytes] | None) -> set[psutil.Process]:
    """Stop all, until none has started another one meanwhile."""
    stopped = set[psutil.Process]()
    while found := set(_list_all(leader)) - stopped:
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        stopped |= found
    return stopped


def _kill_all(leader: subprocess.Popen[bytes] | None) -> None:
    for process in _stop_all(leader):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _continue_all(leader: subprocess.Popen[bytes] | None) -> None:
    for process in _list_all(leader):
        with suppress(psutil.NoSuchProcess):
            process.resume()
