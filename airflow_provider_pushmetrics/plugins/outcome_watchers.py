"""Assets that only successful runs update, and the events that they skip."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from airflow.models.asset import AssetModel
from airflow.models.trigger import Trigger
from cryptography.fernet import InvalidToken
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.assets.update_rules import read_rule
from airflow_provider_pushmetrics.assets.uris import SCHEME
from airflow_provider_pushmetrics.plugins.asset_updates import UpdatedAsset
from airflow_provider_pushmetrics.triggers.event_stream import build_position_name
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsEventTrigger

log = logging.getLogger(__name__)

CLASSPATH = f"{PushMetricsEventTrigger.__module__}.{PushMetricsEventTrigger.__name__}"
PASSED_OVER = (
    "asset {asset} accepts only successful runs, and this run is not known to have succeeded. The log of the"
    " {updater} says why"
)
NOT_READ = (
    "asset {asset} accepts only successful runs, and the {updater} has not read the event from this inbox"
)


class WatchedEvent(Protocol):
    """The facts of an inbox event that a watcher's filter compares."""

    @property
    def id(self) -> int:
        """Its id."""

    @property
    def event(self) -> str:
        """Its name."""

    @property
    def report_id(self) -> int | None:
        """Its report."""

    @property
    def query_id(self) -> int | None:
        """Its query."""


@dataclass(frozen=True)
class SkippedEvent:
    """
    An event that did not update an asset that accepts only successful runs.

    :param reason: Why not.
    :param is_final: Whether the event was read.
    """

    reason: str
    is_final: bool


@dataclass(frozen=True)
class OutcomeWatcher:
    """
    Updates an asset by successful runs only.

    :param asset_id: The asset.
    :param asset: The asset's name.
    :param updater: Where it runs: ``triggerer`` or ``API server``.
    :param wanted: The attributes that an event must have.
    :param position_name: The name under which a receiver keeps its position.
    """

    asset_id: int
    asset: str
    updater: str
    wanted: Mapping[str, Any]
    position_name: str

    def wants(self, event: WatchedEvent) -> bool:
        """Return whether an event matches, if its run succeeded."""
        return all(getattr(event, name) == value for name, value in self.wanted.items())

    def explain(self, event: WatchedEvent, positions: Mapping[str, int]) -> SkippedEvent:
        """
        Explain why a matching event has not updated the asset.

        :param positions: The position of each consumer of the inbox.
        """
        is_read = positions.get(self.position_name, 0) >= event.id
        reason = PASSED_OVER if is_read else NOT_READ
        return SkippedEvent(reason.format(asset=self.asset, updater=self.updater), is_read)


def list_skipped_events(
    watchers: Iterable[OutcomeWatcher],
    event: WatchedEvent,
    positions: Mapping[str, int],
    *,
    updated: Collection[int],
) -> list[SkippedEvent]:
    """
    List the assets that an event has not updated because they accept only successful runs.

    :param updated: The assets that it has updated.
    """
    return [
        watcher.explain(event, positions)
        for watcher in watchers
        if watcher.asset_id not in updated and watcher.wants(event)
    ]


def find_outcome_watchers(session: Session) -> list[OutcomeWatcher]:
    """Find the active assets that accept only successful runs."""
    query = select(AssetModel).where(AssetModel.uri.startswith(f"{SCHEME}://"), AssetModel.active.has())
    return [watcher for asset in session.scalars(query) for watcher in _find_of_asset(asset)]


def _find_of_asset(asset: AssetModel) -> Iterator[OutcomeWatcher]:
    wish = read_rule(asset.extra)
    if wish is not None and wish.only_successful:
        position_name = UpdatedAsset(asset.id, asset.uri, wish).position_name
        yield OutcomeWatcher(
            asset.id, asset.name, "API server", read_wanted(wish.model_dump()), position_name
        )
    for kwargs in _read_triggers(asset.triggers):
        if kwargs.get("only_successful"):
            position_name = build_position_name(kwargs)
            yield OutcomeWatcher(asset.id, asset.name, "triggerer", read_wanted(kwargs), position_name)


def read_wanted(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Read the filter from the arguments of a trigger or from an asset's rule."""
    return {name: kwargs[name] for name in ("event", "report_id", "query_id") if kwargs.get(name) is not None}


def _read_triggers(triggers: Iterable[Trigger]) -> Iterator[dict[str, Any]]:
    for trigger in triggers:
        if trigger.classpath != CLASSPATH:
            continue
        try:
            yield trigger.kwargs
        except InvalidToken:
            log.warning("The arguments of trigger %s cannot be decrypted by this API server", trigger.id)
