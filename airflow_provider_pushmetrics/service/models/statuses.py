"""The statuses of runs, blocks and deliveries."""

from __future__ import annotations

PENDING = "pending"
RUNNING = "running"
SUCCESS = "success"
FAILED = "failed"
CANCELLED = "cancelled"

NOT_RUN = "not_run"
"""Of a block: a block that it depends on did not succeed."""

DELIVERED = "delivered"
"""Of a delivery: the subscriber responded with 2xx."""

RETRIED = "retried"
"""Of an attempt: another one follows."""

FINISHED = frozenset({SUCCESS, FAILED, CANCELLED})
UNFINISHED = (PENDING, RUNNING)

CANCELLED_ERROR = "the run was cancelled"
"""The error of a cancelled run and of its blocks."""
