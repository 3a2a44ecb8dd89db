"""How long PostgreSQL is waited for: a machine that is gone neither answers nor hangs up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import URL

INBOX_CONNECT_SECONDS = 5
UNACKNOWLEDGED_SECONDS = 10.0
"""What was sent must be acknowledged by then, or the connection is given up."""

KEEPALIVE_IDLE_SECONDS = 5
KEEPALIVE_INTERVAL_SECONDS = 2
KEEPALIVE_COUNT = 3
"""A connection on which nothing was sent is given up after 5 + 3 · 2 s of silence."""

LOCK_SECONDS = 15.0
"""Less than a sender waits: a delivery is told that the inbox is locked, and not that nobody answered."""

IDLE_IN_TRANSACTION_SECONDS = 30.0
"""After it the server takes its locks from a receiver that stopped in the middle of a transaction."""

STATEMENT_SECONDS = 30.0
"""More than lock and delivery may take; the server ends what runs longer."""


@dataclass(frozen=True)
class PostgresqlTimeouts:
    """
    How long a connection to PostgreSQL waits. What the inbox's URL says of the same goes before.

    :param lock_seconds: For a lock that another holds.
    :param idle_in_transaction_seconds: For the next statement of a transaction, before the server ends it.
    :param statement_seconds: For one statement.
    """

    lock_seconds: float = LOCK_SECONDS
    idle_in_transaction_seconds: float = IDLE_IN_TRANSACTION_SECONDS
    statement_seconds: float = STATEMENT_SECONDS

    def build_connect_args(self, url: URL) -> dict[str, Any]:
        """Build the driver's arguments for an inbox."""
        arguments = {
            "connect_timeout": INBOX_CONNECT_SECONDS,
            "tcp_user_timeout": _count_milliseconds(UNACKNOWLEDGED_SECONDS),
            "keepalives_idle": KEEPALIVE_IDLE_SECONDS,
            "keepalives_interval": KEEPALIVE_INTERVAL_SECONDS,
            "keepalives_count": KEEPALIVE_COUNT,
        }
        kept = {name: value for name, value in arguments.items() if name not in url.query}
        # The server takes the last of several.
        return {**kept, "options": f"{self._build_options()} {url.query.get('options', '')}".rstrip()}

    def _build_options(self) -> str:
        settings = {
            "lock_timeout": self.lock_seconds,
            "idle_in_transaction_session_timeout": self.idle_in_transaction_seconds,
            "statement_timeout": self.statement_seconds,
        }
        return " ".join(f"-c {name}={_count_milliseconds(value)}" for name, value in settings.items())


def _count_milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


DEFAULT_TIMEOUTS = PostgresqlTimeouts()
