"""Events that a watcher's triggerer writes are looked for without the receiver, also with SQLAlchemy 1.4."""

from __future__ import annotations

import asyncio

import pytest
from airflow import DAG
from airflow.assets.manager import asset_manager
from airflow.models.asset import AssetModel
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.plugins.dag_run_queue import overlooks_events
from airflow_provider_pushmetrics.plugins.pushmetrics import check_missed_events
from tests.fakes.airflow_tables import AirflowTables
from tests.fakes.waiting import until

if not overlooks_events():
    pytest.skip("this Airflow overlooks no event", allow_module_level=True)

DAG_ID = "reacts"


def overlook_event(tables: AirflowTables) -> None:
    """Store an event as Airflow does for a watcher, and lose what it has queued for it."""
    built = build_run_asset("delays", report_id=1)
    tables.process_dags(DAG(DAG_ID, schedule=[built], catchup=False))
    with create_session(scoped=False) as session:
        (model,) = session.scalars(select(AssetModel)).all()
        asset_manager.register_asset_change(asset=model, extra={"from_trigger": True}, session=session)
    tables.drop_queue()


@pytest.mark.slow
async def test_the_api_server_queues_the_dag_of_an_overlooked_event_again(tables: AirflowTables) -> None:
    overlook_event(tables)
    task = asyncio.create_task(check_missed_events())
    try:
        await until(lambda: task.done() or tables.count_queued() == 1)
        assert not task.done()
    finally:
        task.cancel()
    tables.schedule()
    assert len(tables.read_runs(DAG_ID)) == 1
