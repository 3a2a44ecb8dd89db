"""What the members of a workspace may do in it."""

from __future__ import annotations

from enum import Enum


class Role(Enum):
    """A role, under the name that PushMetrics gives it; whoever has one may do what the ones after it may."""

    ADMIN = "Admin"
    """Decides who belongs to the workspace, and which databases it asks."""

    USER = "User"
    """Makes and runs reports."""

    GUEST = "Guest"
    """Only reads."""

    @property
    def number(self) -> int:
        """The id under which the API knows it."""
        return list(Role).index(self) + 1

    @property
    def uid(self) -> str:
        """The short id under which the API knows it."""
        return f"role{self.value}"

    def includes(self, needed: Role) -> bool:
        """Return whether it is enough where another is needed."""
        return self.number <= needed.number


def find_role(reference: int | str) -> Role | None:
    """Find a role by its id or by its uid."""
    return next((role for role in Role if str(reference) in (str(role.number), role.uid)), None)
