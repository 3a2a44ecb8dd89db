"""
Updating assets in Airflow's API server, as soon as an event is in its inbox.

An ``AssetWatcher`` runs in the triggerer, which passes its events on once a second. An asset with
``updated_by="api_server"`` (see ``build_run_asset``) is updated here instead: its event and the queue of its
Dags are written as the triggerer would write them. Every API server does this for every such asset. The lock
on the asset's row serializes them, and the second one finds the event already written.

The position in the inbox is stored after a page is written and, before Airflow 3.4, after its newest event is
known not to be missed. It only moves forwards, and is read again under the lock, because an API server that
was frozen has an old page, whose events the others have written. Events after the position, of the pages in
progress, may be written already: that many of an asset's newest events are searched. An event missed just
before a crash is queued again by the next reader.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from airflow.assets.manager import asset_manager
from airflow.models.asset import AssetEvent, AssetModel, DagScheduleAssetReference
from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.assets.update_rules import AssetUpdateRule, read_rule
from airflow_provider_pushmetrics.assets.uris import SCHEME
from airflow_provider_pushmetrics.client.models import FoundEvent
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import NoDagForAssetError, PushMetricsError
from airflow_provider_pushmetrics.plugins.dag_run_queue import (
    find_missed,
    lock_asset,
    overlooks_events,
    queue_missed,
    secure_queued,
)
from airflow_provider_pushmetrics.plugins.successful_events import choose_successful, read_event
from airflow_provider_pushmetrics.receiver.inbox.records import StoredEvent
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.runtime import ReceiverRuntime
from airflow_provider_pushmetrics.serving.logs import ThrottledLog, describe_fault
from airflow_provider_pushmetrics.triggers.trigger_events import dump_event

log = logging.getLogger(__name__)

UPDATE_PAGE = 50
WRITERS = 4
"""How many assets are updated at once: each uses one connection of the API server to its database."""

NEWEST = 10 * UPDATE_PAGE
"""How many of an asset's newest events are searched for an event; other triggers may have written some."""

IS_WAITED_FOR = AssetModel.scheduled_dags.any(
    DagScheduleAssetReference.dag.has(and_(~DagModel.is_paused, ~DagModel.is_stale))
)
"""
Whether an asset would start a Dag, as Airflow decides which watchers work.

Airflow drops an asset event for a paused Dag. In the inbox it is kept.
"""

GetRuntime = Callable[[], Awaitable[ReceiverRuntime]]


@dataclass(frozen=True)
class Pace:
    """
    Intervals.

    :param look_again_seconds: How often the assets are listed; a new one begins with the oldest
        event, so it misses none.
    :param retry_seconds: The delay after a failure.
    :param wait_seconds: How long a poll of the inbox waits for an event.
    :param hold_seconds: How long after an event to check whether the scheduler has missed it.
    """

    look_again_seconds: float = 5.0
    retry_seconds: float = 5.0
    wait_seconds: float = 60.0
    hold_seconds: float = 5.0


@dataclass(frozen=True)
class UpdatedAsset:
    """
    An asset that is updated from the inbox.

    :param id: Its row in Airflow's database.
    :param uri: Its URI; Airflow activates only one asset of a URI.
    :param rule: Which events update it.
    """

    id: int
    uri: str
    rule: AssetUpdateRule

    @property
    def wanted(self) -> EventFilter:
        """The events that update it."""
        return EventFilter(event=self.rule.event, report_id=self.rule.report_id, query_id=self.rule.query_id)

    @property
    def position_name(self) -> str:
        """
        The name under which the inbox keeps its position; it depends on the filter.

        It does not depend on ``only_successful``, whose change applies to later events.
        """
        chosen = self.rule.model_dump(include={"event", "report_id", "query_id", "consumer"})
        digest = hashlib.sha256(json.dumps([self.uri, chosen]).encode()).hexdigest()[:12]
        return f"{self.rule.consumer}-asset-{digest}"


PACE = Pace()


class AssetUpdater:
    """
    Follows the inbox for each asset that is updated here.

    :param get_runtime: Returns the receiver's open inbox, or raises an error if it cannot be opened now.
    :param pace: The intervals.
    """

    def __init__(self, get_runtime: GetRuntime, *, pace: Pace = PACE) -> None:
        self._get_runtime = get_runtime
        self._pace = pace
        self._writers = asyncio.Semaphore(WRITERS)

    async def run(self) -> None:
        """Run until cancelled."""
        followed: dict[UpdatedAsset, asyncio.Task[None]] = {}
        outage = ThrottledLog(log)
        try:
            while True:
                try:
                    await self._adjust(followed)
                except Exception as error:  # the task's top, as below
                    outage.error("PushMetrics assets cannot be listed: %s", describe_fault(error))
                else:
                    outage.end("PushMetrics assets can be listed again.")
                await asyncio.sleep(self._pace.look_again_seconds)
        finally:
            for task in followed.values():
                task.cancel()

    async def _adjust(self, followed: dict[UpdatedAsset, asyncio.Task[None]]) -> None:
        """Follow the current assets, and no others."""
        assets = set(await asyncio.to_thread(fetch_assets))
        for asset in followed.keys() - assets:
            followed.pop(asset).cancel()
            log.info(
                "Asset %s is no longer updated by %s: no Dag is scheduled by it, or one refers to it in"
                " another way.",
                asset.uri,
                asset.rule,
            )
        for asset in assets - followed.keys():
            followed[asset] = asyncio.create_task(self._follow_for_ever(asset))
            log.info("Asset %s is updated by %s.", asset.uri, asset.rule)

    async def _follow_for_ever(self, asset: UpdatedAsset) -> None:
        outage = ThrottledLog(log)
        while True:
            try:
                await self._follow(asset, outage)
            except NoDagForAssetError:
                log.info("Asset %s is not updated now: no Dag is scheduled by it.", asset.uri)
            except PushMetricsError as error:
                outage.error("Asset %s cannot be updated: %s", asset.uri, error)
            except Exception as error:  # the task's top: without it, the asset would never be updated again
                outage.error("Asset %s cannot be updated: %s", asset.uri, describe_fault(error))
            await asyncio.sleep(self._pace.retry_seconds)

    async def _follow(self, asset: UpdatedAsset, outage: ThrottledLog) -> None:
        """Update an asset by each event after its position, until the inbox is closed."""
        runtime = await self._get_runtime()
        after = await self._fetch_position(runtime, asset)
        newest: StoredEvent | None = None  # the event that the position waits for
        while not runtime.notifier.is_closed:
            wait_seconds = self._pace.wait_seconds if newest is None else self._pace.hold_seconds
            page = await runtime.feed.fetch(
                asset.wanted, after=after, limit=UPDATE_PAGE, wait_seconds=wait_seconds
            )
            stored = await self._fetch_position(runtime, asset)  # another API server may be ahead
            if page.cursor < after:  # another inbox, with another position
                after, newest = stored, None
                continue
            if newest is not None and not await asyncio.to_thread(is_missed, asset, newest):
                await self._advance_position(runtime, asset, after)
                newest = None
            chosen = await choose_events(asset, [event for event in page.events if event.id > stored])
            await self._register_all(runtime, asset, chosen)
            if page.events and overlooks_events():
                newest = (chosen or page.events)[-1]
            if newest is None and page.cursor > stored:
                await self._advance_position(runtime, asset, page.cursor)
            after = page.cursor
            outage.end(f"Asset {asset.uri} is updated again.")

    async def _advance_position(self, runtime: ReceiverRuntime, asset: UpdatedAsset, position: int) -> None:
        await runtime.run_blocking(
            runtime.inbox.store_consumer, asset.position_name, position, only_forwards=True
        )

    async def _fetch_position(self, runtime: ReceiverRuntime, asset: UpdatedAsset) -> int:
        return await runtime.run_blocking(fetch_position, runtime.inbox, asset)

    async def _register_all(
        self, runtime: ReceiverRuntime, asset: UpdatedAsset, events: Sequence[StoredEvent]
    ) -> None:
        for event in events:
            async with self._writers:
                await asyncio.to_thread(register, asset, event, partial(fetch_position, runtime.inbox, asset))


def fetch_position(inbox: Inbox, asset: UpdatedAsset) -> int:
    """Fetch up to which event an asset is updated."""
    return inbox.fetch_consumer(asset.position_name).position


def fetch_assets() -> list[UpdatedAsset]:
    """Fetch the assets that are updated here and would start a Dag."""
    query = select(AssetModel.id, AssetModel.uri, AssetModel.extra)
    query = query.where(AssetModel.uri.startswith(f"{SCHEME}://"), AssetModel.active.has(), IS_WAITED_FOR)
    with create_session(scoped=False) as session:
        rows = session.execute(query).all()
    return [UpdatedAsset(row.id, row.uri, rule) for row in rows if (rule := read_rule(row.extra))]


def register(asset: UpdatedAsset, event: StoredEvent, fetch_position: Callable[[], int] = lambda: 0) -> None:
    """
    Write an asset event and queue its Dags, unless that is done.

    :param fetch_position: Fetches up to which event the asset is updated; called under the asset's lock.
    :raises NoDagForAssetError: if it would start no Dag.
    """
    payload = write_payload(event)
    with create_session(scoped=False) as session:
        lock_asset(session, asset.id)  # before anything is read
        if event.id <= fetch_position():
            return
        model = session.scalar(select(AssetModel).where(AssetModel.id == asset.id, IS_WAITED_FOR))
        if model is None:
            raise NoDagForAssetError(f"no Dag is scheduled by asset {asset.uri}.")
        known = find_registered(session, asset.id, payload)
        if known is not None:
            if overlooks_events():
                queue_missed(session, asset.id, known)
            return
        extra = {"from_receiver": True, "payload": payload}
        key = choose_key(asset.rule, event)
        stored = asset_manager.register_asset_change(asset=model, extra=extra, session=session, **key)
        if stored is not None and not key and overlooks_events():
            secure_queued(session, model, stored)


def choose_key(rule: AssetUpdateRule, event: StoredEvent) -> dict[str, Any]:
    """
    Choose the partition key with which an event starts a separate Dag run; empty if none is needed.

    Airflow 3.4 creates a run for each event anyway, and a key would start partitioned Dags only.
    """
    if not rule.one_run_per_event or not overlooks_events():
        return {}
    return {"partition_key": f"{event.source}/{event.id}"}


def write_payload(event: StoredEvent) -> FoundEvent:
    """Convert an event as the trigger of an asset watcher does."""
    return dump_event(read_event(event))


async def choose_events(asset: UpdatedAsset, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
    """Choose the events that update an asset, which may depend on the outcomes of their runs."""
    conn_id = asset.rule.pushmetrics_conn_id
    if not asset.rule.only_successful or conn_id is None:
        return events
    return await choose_successful(conn_id, events)


def is_missed(asset: UpdatedAsset, event: StoredEvent) -> bool:
    """Return whether the scheduler has missed an event that was written; gives up after a while."""
    with create_session(scoped=False) as session:
        known = find_registered(session, asset.id, write_payload(event))
        return known is not None and bool(find_missed(session, asset.id, known))


def find_registered(session: Session, asset_id: int, payload: FoundEvent) -> int | None:
    """
    Find the asset event of an inbox event among an asset's newest events.

    Events of tasks and of Airflow's REST API may come from anybody, so they are ignored. Ours are
    written in the order of their ids: an older one ends the search.
    """
    query = select(AssetEvent.id, AssetEvent.extra).where(
        AssetEvent.asset_id == asset_id, AssetEvent.source_dag_id.is_(None)
    )
    query = query.order_by(AssetEvent.id.desc()).limit(NEWEST).execution_options(yield_per=10)
    with session.execute(query) as found:
        for asset_event_id, extra in found:
            known = read_own_payload(extra)
            if known and read_identity(known) == read_identity(payload):
                return int(asset_event_id)
            if known and known["id"] < payload["id"]:
                return None
    return None


def read_identity(payload: FoundEvent) -> tuple[object, ...]:
    """Read what distinguishes the event from all others, including those of another inbox."""
    return payload["id"], payload.get("source"), payload.get("received_at")


def read_own_payload(extra: Any) -> FoundEvent | None:
    """Read the payload of an asset event; None if neither this module nor a trigger of ours wrote it."""
    is_ours = isinstance(extra, dict) and "from_rest_api" not in extra
    payload: Any = extra.get("payload") if is_ours else None
    has_id = isinstance(payload, dict) and isinstance(payload.get("id"), int)
    return payload if has_id else None
