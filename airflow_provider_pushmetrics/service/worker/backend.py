"""The interface to what executes runs and deliveries: this process, a child, or other processes."""

from __future__ import annotations

from typing import Protocol


class ExecutionBackend(Protocol):
    """Executes committed work."""

    def start(self) -> None:
        """Start, beginning with unfinished work."""

    def stop(self) -> bool:
        """
        Stop.

        :return: Whether all work in this process has ended.
        """

    def is_alive(self) -> bool:
        """Return whether committed work is executed now."""


class RemoteBackend:
    """Executes nothing: other processes find the committed work."""

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> bool:
        """Do nothing."""
        return True

    def is_alive(self) -> bool:
        """Return True: the other processes report their own health."""
        return True
