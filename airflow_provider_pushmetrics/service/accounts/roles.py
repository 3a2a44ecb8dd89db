"""The roles of a workspace's members."""

from __future__ import annotations

from enum import Enum


class Role(Enum):
    """A role, by its name in PushMetrics; each role includes the ones after it."""

    ADMIN = "Admin"
    """Manages the workspace's members and databases."""

    USER = "User"
    """Creates and runs reports."""

    GUEST = "Guest"
    """Only reads."""

    @property
    def number(self) -> int:
        """The id in the API."""
        return list(Role).index(self) + 1

    @property
    def uid(self) -> str:
        """The short id in the API."""
        return f"role{self.value}"

    def includes(self, needed: Role) -> bool:
        """Return whether it includes another role."""
        return self.number <= needed.number


def find_role(reference: int | str) -> Role | None:
    """Find a role by its id or by its uid."""
    return next((role for role in Role if str(reference) in (str(role.number), role.uid)), None)
