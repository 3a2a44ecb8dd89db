"""Airflow's own parser and ``MessageQueueTrigger`` with our scheme, against the real receiver."""

from __future__ import annotations

import importlib
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger
from airflow.serialization.serialized_objects import DagSerialization

from tests.fakes.receiver_server import READER_TOKEN, ReceiverServer
from tests.integration.provider.conftest import Connect

DAG = """
from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger
from airflow.sdk import DAG, Asset, AssetWatcher, task

trigger = MessageQueueTrigger(scheme="pushmetrics", report_id=1)
delays = Asset("delays", "URI", watchers=[AssetWatcher(name="inbox", trigger=trigger)])

with DAG("react", schedule=[delays]):
    task(lambda: None, task_id="a_task", outlets=[Asset("pushmetrics://PushMetrics.io/queries/2")])()
"""


def parse(folder: Path, uri: str) -> DagBag:
    """Parse a Dag as Airflow's Dag processor does."""
    (folder / "react.py").write_text(DAG.replace("URI", uri))
    return DagBag(dag_folder=folder, bundle_path=folder)


def test_airflow_parses_and_stores_a_dag_with_our_assets(tmp_path: Path) -> None:
    bag = parse(tmp_path, "pushmetrics://pushmetrics.io/reports/1")
    assert bag.import_errors == {}
    stored = json.dumps(DagSerialization.to_dict(bag.dags["react"]))
    assert "pushmetrics://pushmetrics.io/reports/1" in stored
    assert "pushmetrics://pushmetrics.io/queries/2" in stored
    assert "triggers.pushmetrics.PushMetricsEventTrigger" in stored


def test_airflow_shows_what_is_wrong_with_a_uri(tmp_path: Path) -> None:
    (message,) = parse(tmp_path, "pushmetrics://pushmetrics.io/dashboards/1").import_errors.values()
    assert "'pushmetrics://pushmetrics.io/dashboards/1' is not an asset URI of PushMetrics" in message
    assert "it must look like pushmetrics://pushmetrics.io/reports/1" in message


async def test_the_trigger_of_a_queue_fires_for_each_event_of_the_receiver(
    receiver: ReceiverServer, connect: Connect
) -> None:
    connect(host="https://pushmetrics.io", receiver_url=receiver.url, receiver_token=READER_TOKEN)
    with receiver.open_reader() as client:
        for report_id in (2, 1):
            url = f"https://pushmetrics.io/api/reports/{report_id}/run/7"
            body: dict[str, Any] = {
                "event": "report.run",
                "report_id": report_id,
                "report_notebook_outputs": url,
                "queries": [],
            }
            client.post(receiver.delivery_url, json=body).raise_for_status()
    queued = MessageQueueTrigger(scheme="pushmetrics", report_id=1)
    async with aclosing(queued.run()) as events:  # type: ignore[type-var]
        assert (await anext(events)).payload["body"]["report_id"] == 1
    # What Airflow stores, and its triggerer builds again.
    path, kwargs = queued.serialize()
    module, _, name = path.rpartition(".")
    rebuilt: Any = getattr(importlib.import_module(module), name)(**kwargs)
    async with aclosing(rebuilt.run()) as events:
        assert (await anext(events)).payload["body"]["report_id"] == 1
