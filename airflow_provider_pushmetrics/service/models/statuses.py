"""The words for where a run, a block and a delivery stand."""

from __future__ import annotations

PENDING = "pending"
RUNNING = "running"
SUCCESS = "success"
FAILED = "failed"
CANCELLED = "cancelled"

NOT_RUN = "not_run"
"""Of a block: something that it needs did not succeed."""

DELIVERED = "delivered"
"""Of a delivery: the subscriber answered with 2xx."""

FINISHED = frozenset({SUCCESS, FAILED, CANCELLED})
UNFINISHED = (PENDING, RUNNING)

CANCELLED_ERROR = "the run was cancelled"
"""What a cancelled run, and each of its blocks, says."""
