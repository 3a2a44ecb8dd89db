"""Where the first try of a sensor began, so that the next ones lose nothing between (Airflow 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_pushmetrics.client.run_polls import RunsSeen
from airflow_provider_pushmetrics.task_epoch import find_epoch

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

STORE_KEY = "pushmetrics_sensor_start"


@dataclass(frozen=True)
class FirstStart:
    """
    The place in the task's store for where its first try began.

    :param store: The task's store; None before Airflow 3.3.
    :param epoch: Which clearing of the task it is for: a cleared sensor begins anew.
    :param conn_id: The connection, since another one may lead to another inbox.
    """

    store: Any
    epoch: str
    conn_id: str

    def load_cursor(self) -> int | None:
        """Get the cursor at which the first try began; None if this is the first."""
        cursor = self._load().get("cursor")
        return cursor if isinstance(cursor, int) else None

    def keep_cursor(self, cursor: int) -> None:
        """Keep the cursor for the next tries."""
        self._keep({"cursor": cursor})

    def load_runs(self) -> RunsSeen | None:
        """Get the runs that there were when the first try began; None if this is the first."""
        kept = self._load()
        newest_id, open_ids = kept.get("newest_run_id"), kept.get("open_run_ids")
        if not isinstance(newest_id, int) or not isinstance(open_ids, list):
            return None
        return RunsSeen(newest_id, tuple(open_ids))

    def keep_runs(self, seen: RunsSeen) -> None:
        """Keep the runs for the next tries."""
        self._keep({"newest_run_id": seen.newest_id, "open_run_ids": list(seen.open_ids)})

    def _load(self) -> Mapping[str, Any]:
        kept = self.store.get(STORE_KEY) if self.store is not None else None
        if not isinstance(kept, Mapping):
            return {}
        is_ours = (kept.get("epoch"), kept.get("conn_id")) == (self.epoch, self.conn_id)
        return kept if is_ours else {}

    def _keep(self, facts: dict[str, Any]) -> None:
        if self.store is not None:
            self.store.set(STORE_KEY, {"epoch": self.epoch, "conn_id": self.conn_id, **facts})


def open_first_start(context: Context, conn_id: str) -> FirstStart:
    """Find the place where a sensor keeps where it began."""
    return FirstStart(context.get("task_state_store"), find_epoch(context), conn_id)
