"""The position of a watcher that polls the list of runs, and where Airflow keeps it."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol
from weakref import WeakSet

from airflow_provider_pushmetrics.client.models import Run
from airflow_provider_pushmetrics.compat import (
    Variable,
    has_airflow,
    list_asset_stores,
    read_variable,
    run_in_thread,
)
from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError

log = logging.getLogger(__name__)

STORE_KEY = "pushmetrics_runs_"
"""The beginning of the key, in the store of an asset or in Airflow's variables."""

BEGIN_RUNS = 100
"""How many of the newest runs a new position lists by their numbers."""

MAX_OPEN_RUNS = 1000
"""How many unfinished old runs a position contains."""


@dataclass(frozen=True)
class RunPosition:
    """
    Which runs a watcher has handled. Runs end in any order, so one number is not enough.

    :param floor: Of the runs up to this one, only the open ones remain.
    :param handled: The handled runs after ``floor``.
    :param open_runs: The runs up to ``floor`` that were unfinished.
    """

    floor: int = 0
    handled: frozenset[int] = frozenset()
    open_runs: frozenset[int] = frozenset()

    @classmethod
    def begin(cls, runs: Sequence[Run], *, is_complete: bool) -> RunPosition:
        """
        Begin after the existing runs; the unfinished ones count when they end.

        The floor is below the newest of them, because a run that is being created may appear after newer
        ones.

        :param runs: The newest runs, newest first.
        :param is_complete: Whether there are no others; older ones would count as new.
        """
        is_all = is_complete and len(runs) < BEGIN_RUNS
        floor = 0 if is_all else runs[:BEGIN_RUNS][-1].id
        ended = frozenset(run.id for run in runs if run.status.is_finished and run.id > floor)
        unfinished = (run.id for run in runs if not run.status.is_finished and run.id <= floor)
        return cls(floor, ended, _limit(frozenset(unfinished)))

    def remains(self, run_id: int) -> bool:
        """Return whether a run is not handled."""
        return run_id in self.open_runs or (run_id > self.floor and run_id not in self.handled)

    def handle(self, run_id: int) -> RunPosition:
        """Return the position after a run."""
        handled = self.handled | {run_id} if run_id > self.floor else self.handled
        return replace(self, handled=handled, open_runs=self.open_runs - {run_id})

    def raise_floor(self, floor: int, unfinished: Iterable[int]) -> RunPosition:
        """
        Return the same position with a higher floor.

        :param unfinished: The runs that remain; every other one is handled.
        """
        if floor <= self.floor:
            return self
        newly_open = {run_id for run_id in unfinished if run_id <= floor}
        return RunPosition(
            floor,
            frozenset(run_id for run_id in self.handled if run_id > floor),
            _limit(self.open_runs | newly_open),
        )

    def dump(self) -> dict[str, Any]:
        """Convert to JSON."""
        return {"floor": self.floor, "handled": sorted(self.handled), "open": sorted(self.open_runs)}

    @classmethod
    def parse(cls, value: Any) -> RunPosition:
        """
        Read ``dump``.

        :raises ValueError: for another value.
        """
        parts = [value.get(name) for name in ("floor", "handled", "open")] if isinstance(value, dict) else []
        match parts:
            case [int(floor), list(handled), list(unfinished)]:
                if all(type(number) is int for number in (floor, *handled, *unfinished)):
                    return cls(floor, frozenset(handled), frozenset(unfinished))
        raise ValueError("not a position")


class PositionStore(Protocol):
    """Keeps a position while no triggerer runs."""

    async def load(self) -> RunPosition | None:
        """Load the position; None if there is none."""

    async def save(self, position: RunPosition) -> None:
        """Replace the position."""


class MemoryStore:
    """Keeps nothing: a task starts again at the newest run."""

    async def load(self) -> RunPosition | None:
        """Load nothing."""
        return None

    async def save(self, position: RunPosition) -> None:
        """Save nothing."""


class VariableStore:
    """
    Keeps the position in a variable of Airflow, for versions without a store of assets.

    :param name: The name of the position.
    """

    def __init__(self, name: str) -> None:
        self._key = f"{STORE_KEY}{name}"

    async def load(self) -> RunPosition | None:
        """Load the position."""
        text = await run_in_thread(read_variable, self._key)
        return None if text is None else _read(f"Airflow's variable {self._key!r}", text)

    async def save(self, position: RunPosition) -> None:
        """Replace the position."""
        text = json.dumps(position.dump())
        await run_in_thread(Variable.set, self._key, text, "Which PushMetrics runs a watcher has handled")

    async def delete(self) -> None:
        """Delete the position."""
        await run_in_thread(Variable.delete, self._key)


class AssetStore:
    """
    Keeps the position in the store of each asset that the watcher updates (Airflow 3.3 and later).

    :param name: The name of the position: an asset may have several watchers.
    :param stream: The name of the stream of events, whose triggers have offered their stores.
    """

    def __init__(self, name: str, stream: str) -> None:
        self._stream = stream
        self._key = f"{STORE_KEY}{name}"

    async def load(self) -> RunPosition | None:
        """
        Load the newest position; an asset that was added later has none.

        All these assets belong to one trigger, and Airflow stores an event for all assets of a trigger in one
        transaction. So their positions are moments of one sequence as long as that trigger is the same: an
        older one only means that it could not be saved. In that sequence the floor rises; at the same floor,
        more runs are handled. An asset that had another trigger (its queue or interval differed) goes on from
        the newest position too, and misses what only the others have seen: such assets need different names.

        Before Airflow 3.3 the position was kept in a variable. It is deleted: an asset that is created again
        later must not begin at an old position.
        """
        where = f"the key {self._key!r} in the store of an asset"
        values = [await run_in_thread(store.get, self._key) for store in self._list_stores()]
        positions = [_read(where, value) for value in values if value is not None]
        if positions:
            return max(positions, key=lambda found: (found.floor, len(found.handled), -len(found.open_runs)))
        variable = VariableStore(self._stream)
        position = await variable.load()
        if position is not None:
            await self.save(position)
            await variable.delete()
        return position

    async def save(self, position: RunPosition) -> None:
        """
        Replace the position in each store, also if another one fails.

        :raises Exception: the last failure.
        """
        failure: Exception | None = None
        for store in self._list_stores():
            try:
                await run_in_thread(store.set, self._key, position.dump())
            except Exception as error:  # whatever Airflow raises
                failure = error
        if failure is not None:
            raise failure

    def _list_stores(self) -> list[Any]:
        return [store for stores in _asset_stores[self._stream] for store in list_asset_stores(stores)]


# Airflow gives the store to each trigger, and builds the source that its triggers share without it.
_asset_stores: defaultdict[str, WeakSet[Any]] = defaultdict(WeakSet)


def offer_asset_store(stream: str, stores: Any) -> None:
    """
    Offer a trigger's access to the store of its assets to the source of its events.

    :param stores: The trigger's ``asset_state_store``; None outside a watcher.
    """
    if stores is not None:
        _asset_stores[stream].add(stores)


def find_store(name: str, stream: str, *, is_watcher: bool) -> PositionStore:
    """
    Find where the position of a trigger is kept.

    :param name: The name of the position.
    :param stream: The name of the stream of events. A variable is named by it, since triggers of several
        assets would share one that is named by the position.
    """
    if not is_watcher:
        return MemoryStore()
    return AssetStore(name, stream) if has_airflow("3.3") else VariableStore(stream)


def _read(where: str, value: Any) -> RunPosition:
    """
    Read a stored position.

    :raises PushMetricsConfigurationError: if it is damaged.
    """
    try:
        return RunPosition.parse(json.loads(value) if isinstance(value, str) else value)
    except ValueError as error:
        raise PushMetricsConfigurationError(
            f"the position in the list of runs is damaged: {where} must be a JSON object with the number"
            " 'floor' and the lists of numbers 'handled' and 'open'. Restore it, or delete it: the watcher"
            " then begins with the runs that have not ended."
        ) from error


def _limit(runs: frozenset[int]) -> frozenset[int]:
    """Leave out the oldest of too many unfinished runs."""
    if len(runs) > MAX_OPEN_RUNS:
        log.warning(
            "There are %d unfinished runs; the oldest %d are not watched any longer and will update no asset",
            len(runs),
            len(runs) - MAX_OPEN_RUNS,
        )
    return frozenset(sorted(runs)[-MAX_OPEN_RUNS:])
