"""How the demo ends early: by a failed step, or by Ctrl-C, SIGTERM or a closed terminal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(Exception):
    """
    A step of the demo failed.

    :param message: What failed, why, and the way out.
    :param log: The end of the log with the details, without tokens.
    """

    def __init__(self, message: str, *, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class Interrupted(BaseException):
    """A signal ended the demo. Not an ``Exception``, so that no handler treats it as a failure."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.signal_number = signal_number


@contextmanager
def interruptible() -> Iterator[None]:
    """
    Raise :class:`Interrupted` in this block at the first signal.

    The handler is also set for an ignored signal: a shell ignores SIGINT for processes that it starts in the
    background.
    """
    before = {number: signal.signal(number, _interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Ignore signals during the cleanup that follows, which takes a bounded time."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(signal_number: int, _frame: FrameType | None) -> None:
    ignore_signals()  # a second signal must not interrupt the cleanup
    raise Interrupted(signal_number)
