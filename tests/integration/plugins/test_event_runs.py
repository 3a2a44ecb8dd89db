"""What the page of events says of Dag runs, from a real Airflow's tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from airflow import DAG
from airflow.assets.manager import asset_manager
from airflow.models.asset import AssetEvent, AssetModel
from airflow.sdk import Asset
from sqlalchemy import insert, select, update

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.plugins.asset_updates import (
    UpdatedAsset,
    fetch_assets,
    register,
    write_payload,
)
from airflow_provider_pushmetrics.plugins.dag_run_queue import overlooks_events
from airflow_provider_pushmetrics.plugins.event_runs import MAX_ASSET_EVENTS, describe_outcomes
from airflow_provider_pushmetrics.receiver.endpoints.parsing import parse_webhook
from airflow_provider_pushmetrics.receiver.inbox.records import EventSummary, StoredEvent
from airflow_provider_pushmetrics.receiver.runtime import RuntimeOpener
from airflow_provider_pushmetrics.triggers.event_stream import build_position_name
from tests.fakes import stored_asset
from tests.fakes.airflow_tables import AirflowTables
from tests.fakes.airflow_versions import AIRFLOW_VERSION
from tests.fakes.stored_asset import StoredAsset

DAG_ID, OTHER_ID = "reacts", "reacts_too"
ALL = {DAG_ID, OTHER_ID}


@pytest.fixture(name="asset")
def store_asset(tables: AirflowTables) -> UpdatedAsset:
    return StoredAsset(tables, DAG_ID, OTHER_ID).found


def make_event(number: int = 1) -> StoredEvent:
    return stored_asset.make_event(number, received_at=datetime.now(UTC) - timedelta(seconds=1))


def describe(
    tables: AirflowTables,
    event: StoredEvent,
    readable: set[str] = ALL,
    positions: Mapping[str, int] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    summary = EventSummary(event.id, event.received_at, event.source, "report.run", 1, None, None, None)
    with tables.sessions() as session:
        return describe_outcomes(session, [summary], readable=readable, positions=positions)[event.id]


def read_reasons(tables: AirflowTables, event: StoredEvent) -> dict[str | None, str]:
    return {found["dag_id"]: found["reason"] for found in describe(tables, event)}


def test_an_event_names_the_runs_that_it_started(tables: AirflowTables, asset: UpdatedAsset) -> None:
    event = make_event()
    register(asset, event)
    tables.schedule()
    found = describe(tables, event)
    assert {(row["dag_id"], row["state"], row["reason"]) for row in found} == {
        (DAG_ID, "queued", None),
        (OTHER_ID, "queued", None),
    }
    assert all(row["run_id"].startswith("asset_triggered__") for row in found)


def test_an_event_names_its_runs_though_the_clock_of_their_writer_is_behind(
    tables: AirflowTables, asset: UpdatedAsset
) -> None:
    event = make_event()
    register(asset, event)
    tables.schedule()
    with tables.sessions.begin() as session:
        session.execute(update(AssetEvent).values(timestamp=event.received_at - timedelta(minutes=2)))
    assert {row["dag_id"] for row in describe(tables, event) if row["run_id"]} == ALL


def test_an_event_names_the_run_of_a_dag_that_names_its_asset_by_a_reference(
    tables: AirflowTables, asset: UpdatedAsset
) -> None:
    tables.process_dags(DAG("refers", schedule=Asset.ref(name="delays"), catchup=False))
    event = make_event()
    register(asset, event)
    (waiting,) = describe(tables, event, {"refers"})
    assert waiting["reason"] == "queued: the scheduler has not created the run yet"
    tables.schedule()
    (started,) = describe(tables, event, {"refers"})
    assert (started["dag_id"], started["state"], started["reason"]) == ("refers", "queued", None)


def test_nothing_is_said_of_dags_that_the_reader_may_not_see(
    tables: AirflowTables, asset: UpdatedAsset
) -> None:
    event = make_event()
    register(asset, event)
    tables.schedule()
    assert [row["dag_id"] for row in describe(tables, event, {OTHER_ID})] == [OTHER_ID]


def test_an_event_that_waits_for_the_scheduler_says_so(tables: AirflowTables, asset: UpdatedAsset) -> None:
    event = make_event()
    register(asset, event)
    assert set(read_reasons(tables, event).values()) == {"queued: the scheduler has not created the run yet"}


def test_an_event_of_a_paused_dag_says_so(tables: AirflowTables, asset: UpdatedAsset) -> None:
    event = make_event()
    tables.change_dags(DAG_ID, is_paused=True)
    register(asset, event)
    assert read_reasons(tables, event)[DAG_ID] == "the Dag is paused"


@pytest.mark.skipif(not overlooks_events(), reason="this Airflow overlooks no event")
def test_an_event_that_was_overlooked_says_so(tables: AirflowTables, asset: UpdatedAsset) -> None:
    event = make_event()
    register(asset, event)
    tables.drop_queue()
    assert "missed by the scheduler" in read_reasons(tables, event)[DAG_ID]


def test_an_event_that_starts_nothing_any_more_says_what_to_do(
    tables: AirflowTables, asset: UpdatedAsset
) -> None:
    event = make_event()
    register(asset, event)
    tables.schedule()
    tables.delete_runs(DAG_ID)
    with tables.sessions.begin() as session:
        later = datetime.now(UTC) + timedelta(seconds=1)
        session.execute(update(AssetEvent).values(timestamp=later))
    if overlooks_events():
        assert "missed" in read_reasons(tables, event)[DAG_ID]  # it cannot be told apart at first
    else:
        assert "Replay the event" in read_reasons(tables, event)[DAG_ID]


def test_an_event_that_updates_no_asset_says_so(tables: AirflowTables, asset: UpdatedAsset) -> None:
    assert read_reasons(tables, make_event()) == {None: "no asset is updated by it, or not yet"}


def test_an_event_of_another_inbox_with_the_same_id_is_another_one(
    tables: AirflowTables, asset: UpdatedAsset
) -> None:
    register(asset, make_event())
    other = StoredEvent(1, "demo", datetime.now(UTC) - timedelta(hours=1), None, b"{}")
    assert read_reasons(tables, other) == {None: "no asset is updated by it, or not yet"}


def test_events_beyond_the_first_asset_events_are_searched_for_around_their_arrival(
    tables: AirflowTables, asset: UpdatedAsset
) -> None:
    """The list of one report has events of many days, between which others updated assets."""
    now = datetime.now(UTC)
    events = {
        number: stored_asset.make_event(number, received_at=now - timedelta(days=9 - number))
        for number in (1, 6, 8)
    }
    for number in (1, 6):  # none of 8
        register(asset, events[number])
    tables.schedule()
    with tables.sessions.begin() as session:
        for stored in session.scalars(select(AssetEvent)):
            stored.timestamp = events[stored.extra["payload"]["id"]].received_at + timedelta(seconds=2)
        earlier = now - timedelta(days=5)
        others = [
            {
                "asset_id": asset.id,
                "extra": {"payload": {"id": 1000 + number}},
                "timestamp": earlier + timedelta(seconds=number),
            }
            for number in range(MAX_ASSET_EVENTS)
        ]
        session.execute(insert(AssetEvent), others)
    listed = [
        EventSummary(event.id, event.received_at, event.source, "report.run", 1, None, None, None)
        for event in events.values()
    ]
    with tables.sessions() as session:
        found = describe_outcomes(session, listed, readable=ALL, positions={})
    assert {number: {row["dag_id"] for row in rows} for number, rows in found.items()} == {1: ALL, 6: ALL}
    assert all(row["reason"] is None for rows in found.values() for row in rows)
    assert read_reasons(tables, events[8]) == {None: "no asset is updated by it, or not yet"}


# Assets that only successful runs update


def process_watched(tables: AirflowTables, *dags: DAG) -> None:
    """Store Dags and the watchers of their assets, which Airflow stores only for Dags that are not paused."""
    tables.process_dags(*dags)
    tables.process_dags(*dags)


def store_choosy_asset(tables: AirflowTables, **wanted: Any) -> str:
    """Store an asset whose watcher takes only successful runs; get the name of its position."""
    built = build_run_asset("sales", only_successful=True, **wanted)
    process_watched(tables, DAG(DAG_ID, schedule=[built], catchup=False))
    return build_position_name(built.watchers[0].trigger.serialize()[1])


@pytest.mark.parametrize("wanted", [{}, {"report_id": 1}, {"event": "report.run", "report_id": 1}])
def test_an_event_that_a_watcher_has_passed_over_says_so(
    tables: AirflowTables, wanted: dict[str, Any]
) -> None:
    position = store_choosy_asset(tables, **wanted)
    (row,) = describe(tables, make_event(7), positions={position: 7})
    assert row["reason"].startswith("asset sales accepts only successful runs, and this run is not known to")
    assert row["is_final"]


@pytest.mark.parametrize("position", [None, 6])
def test_an_event_that_a_watcher_has_not_read_is_not_said_to_be_passed_over(
    tables: AirflowTables, position: int | None
) -> None:
    name = store_choosy_asset(tables)
    (row,) = describe(tables, make_event(7), positions={} if position is None else {name: position})
    assert "the triggerer has not read the event" in row["reason"]
    assert not row["is_final"]


@pytest.mark.parametrize(
    "wanted", [{"report_id": 2}, {"event": "query.run"}, {"event": "query.run", "query_id": 1}]
)
def test_a_watcher_of_other_events_explains_nothing(tables: AirflowTables, wanted: dict[str, Any]) -> None:
    store_choosy_asset(tables, **wanted)
    assert read_reasons(tables, make_event()) == {None: "no asset is updated by it, or not yet"}


def test_an_event_that_updates_one_asset_and_not_another_names_both(tables: AirflowTables) -> None:
    built = build_run_asset("delays", report_id=1, updated_by="api_server")
    choosy = build_run_asset("sales", only_successful=True)
    process_watched(
        tables, DAG(DAG_ID, schedule=[built], catchup=False), DAG(OTHER_ID, schedule=[choosy], catchup=False)
    )
    (asset,) = fetch_assets()
    event = make_event()
    register(asset, event)
    tables.schedule()
    started, missing = describe(tables, event)
    assert (started["dag_id"], started["reason"]) == (DAG_ID, None)
    assert "asset sales accepts only successful runs" in missing["reason"]


def test_an_asset_that_a_watcher_has_updated_is_not_said_to_be_passed_over(tables: AirflowTables) -> None:
    name = store_choosy_asset(tables)
    event = make_event()
    with tables.sessions.begin() as session:
        asset = session.scalars(select(AssetModel)).one()
        extra = {"from_trigger": True, "payload": write_payload(event)}
        asset_manager.register_asset_change(asset=asset, extra=extra, session=session)
    tables.schedule()
    (row,) = describe(tables, event, positions={name: 1})
    assert (row["dag_id"], row["reason"]) == (DAG_ID, None)


# Assets whose events have partition keys


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 3) or not overlooks_events(), reason="no keys are given here")
@pytest.mark.parametrize("has_partitioned", [True, False])
def test_a_plain_dag_of_an_asset_with_keys_is_named_whether_another_dag_runs_or_not(
    tables: AirflowTables, has_partitioned: bool
) -> None:
    from airflow.sdk import PartitionedAssetTimetable

    built = build_run_asset("delays", report_id=1, updated_by="api_server", one_run_per_event=True)
    dags = [DAG(OTHER_ID, schedule=[built], catchup=False)]
    if has_partitioned:
        dags.append(DAG(DAG_ID, schedule=PartitionedAssetTimetable(assets=built), catchup=False))
    tables.process_dags(*dags)
    (asset,) = fetch_assets()
    event = make_event()
    register(asset, event)
    tables.schedule()
    found = {row["dag_id"]: row for row in describe(tables, event)}
    assert set(found) == ({DAG_ID, OTHER_ID} if has_partitioned else {OTHER_ID})
    assert "partition keys" in found[OTHER_ID]["reason"]
    assert found[OTHER_ID]["is_final"]
    if has_partitioned:
        assert found[DAG_ID]["run_id"]
    assert [row["dag_id"] for row in describe(tables, event, {DAG_ID})] == [DAG_ID] * has_partitioned


# Through the page


async def test_the_page_lists_each_event_with_its_dag_runs(
    tables: AirflowTables, asset: UpdatedAsset, opener: RuntimeOpener, visitor: httpx.AsyncClient
) -> None:
    inbox = opener.open().inbox
    for number in (1, 2):
        inbox.record([parse_webhook("demo", None, b'{"event": "report.run", "n": %d}' % number)])
    first, _ = inbox.fetch_page(EventFilter(), after=0, limit=10).events
    register(asset, first)
    tables.schedule()
    listed = {row["id"]: row["dag_runs"] for row in (await visitor.get("/events")).json()["events"]}
    assert {run["dag_id"] for run in listed[1]} == ALL
    assert [run["reason"] for run in listed[2]] == ["no asset is updated by it, or not yet"]
    assert (await visitor.get("/events/1")).json()["dag_runs"] == listed[1]
