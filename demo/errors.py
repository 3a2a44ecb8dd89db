"""How the demo ends early: by a failed step, or by Ctrl-C, SIGTERM or a closed terminal."""

from __future__ import annotations

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(Exception):
    """A step failed: what, why, and the way out; ``log`` is the end of the log with the details."""

    def __init__(self, message: str, *, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class Interrupted(BaseException):
    """A signal, the only argument, ended the demo. No ``Exception``: no handler treats it as a failure."""


def raise_at_signals() -> None:
    """Raise :class:`Interrupted` at the first signal, also one that a shell ignores for the background."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def ignore_signals() -> None:
    """Ignore signals during the cleanup that follows."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    ignore_signals()  # a second signal must not interrupt the cleanup
    raise Interrupted(signal.Signals(number))
