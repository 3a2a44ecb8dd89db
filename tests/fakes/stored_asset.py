"""An asset that Airflow's API server updates, in Airflow's own tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from airflow import DAG
from airflow.assets.manager import asset_manager
from airflow.models.asset import AssetModel
from airflow.utils.session import create_session

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.plugins.asset_updates import fetch_assets, register, write_payload
from airflow_provider_pushmetrics.receiver.inbox.records import StoredEvent
from tests.fakes.airflow_tables import AirflowTables

ARRIVED = datetime(2026, 11, 23, 12, tzinfo=UTC)


def make_event(number: int = 1, *, report_id: int = 1, received_at: datetime = ARRIVED) -> StoredEvent:
    """Make an event of the inbox; its number is in its body too."""
    body = json.dumps({"event": "report.run", "report_id": report_id, "number": number}).encode()
    return StoredEvent(number, "demo", received_at, None, body)


class StoredAsset:
    """
    The asset of report 1, as the Dag processor stores it, with the Dags that it starts.

    :param tables: Airflow's database.
    :param dag_ids: The Dags; none, if it is stored already.
    """

    def __init__(self, tables: AirflowTables, *dag_ids: str) -> None:
        self.tables = tables
        if dag_ids:
            built = build_run_asset("delays", report_id=1, updated_by="api_server")
            tables.process_dags(*(DAG(dag_id, schedule=[built], catchup=False) for dag_id in dag_ids))
        (self.found,) = fetch_assets()

    def write(self, number: int = 1, *, seconds: float = 0.0) -> None:
        """Update the asset by an event, as the API server does."""
        register(self.found, make_event(number, received_at=ARRIVED + timedelta(seconds=seconds)))

    def write_as_triggerer(self, number: int) -> None:
        """Update the asset by an event, as Airflow does for its watcher: a queued Dag keeps its time."""
        payload = write_payload(make_event(number))
        with create_session(scoped=False) as session:
            model = session.get_one(AssetModel, self.found.id)
            extra = {"from_trigger": True, "payload": payload}
            asset_manager.register_asset_change(asset=model, extra=extra, session=session)

    def read_numbers(self) -> list[int]:
        """Read the numbers of the events that updated the asset, in the order of the updates."""
        return [row.extra["payload"]["body"]["number"] for row in self.tables.list_events()]
