"""End early, but in order, on Ctrl-C, SIGTERM and a closed terminal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """
    Somebody wants the demo to end. Not an ``Exception``, so that nothing on the way takes it for a failure.

    :param signal_number: The signal that said so.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.signal_number = signal_number


@contextmanager
def interruptible() -> Iterator[None]:
    """
    Raise :class:`Interrupted` in this block at the first signal.

    A handler is set even where the signal was ignored, as a shell does with SIGINT for what it starts in the
    background.
    """
    before = {number: signal.signal(number, _interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Let nothing interrupt what follows: it cleans up, and takes a bounded time."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(signal_number: int, _frame: FrameType | None) -> None:
    # Only the first signal raises: a second one must not break off the cleaning up that the first began.
    ignore_signals()
    raise Interrupted(signal_number)
