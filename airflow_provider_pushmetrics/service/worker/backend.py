"""What executes runs and deliveries, as the rest of a service sees it: here, in a child, or elsewhere."""

from __future__ import annotations

from typing import Protocol


class ExecutionBackend(Protocol):
    """Executes what was committed."""

    def start(self) -> None:
        """Begin, with what was left behind first."""

    def stop(self) -> bool:
        """
        Stop.

        :return: Whether everything in this process had ended.
        """

    def is_alive(self) -> bool:
        """Tell whether what is committed now happens now."""


class RemoteBackend:
    """Leaves it to other processes, which look for themselves what was committed."""

    def start(self) -> None:
        """Nothing begins."""

    def stop(self) -> bool:
        """Nothing ends."""
        return True

    def is_alive(self) -> bool:
        """Leave it to their own health to tell."""
        return True
