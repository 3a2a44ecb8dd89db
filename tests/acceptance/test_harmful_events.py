"""Webhooks that Airflow cannot store, in a real Airflow on PostgreSQL: the triggerer lives, the tasks end."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.airflow_processes import AirflowProcesses
from tests.fakes.airflow_versions import AIRFLOW_VERSION
from tests.fakes.inbox_filler import fill_inbox
from tests.fakes.receiver_server import READER_TOKEN, ReceiverServer, start_receiver

pytestmark = [pytest.mark.timeout(600), pytest.mark.postgres]

DAGS = Path(__file__).with_name("harmful_dags")
WAITING = "waits_for_harmful"

REFUSED_TODAY = (
    b'{"event": "report.run", "report_id": 1, "name": "integer", "n": 18446744073709551616}',
    b'{"event": "report.run", "report_id": 1, "name": "surrogate", "t": "\\ud800"}',
)
"""What an older receiver took."""

TAKEN: tuple[dict[str, Any], ...] = (
    {"event": "report.run", "report_id": 1, "name": "nul", "a\0": "b\0"},
    {"event": "report.run", "report_id": 1, "name": "class", "__classname__": "builtins.tuple", "__id__": 1},
    {"event": "report.run", "report_id": 1, "name": "type", "__type": "set", "__var": [1]},
)
STORED = {
    "integer": {"n": "18446744073709551616"},
    "surrogate": {"t": "\ufffd"},
    "nul": {"a\ufffd": "b\ufffd"},
    "class": {"__classname___": "builtins.tuple", "__id___": 1},
    "type": {"__type_": "set", "__var_": [1]},
}


@pytest.fixture(name="folder", scope="module")
def make_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pm-"))
    for name in ("airflow", "output"):
        (folder / name).mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(name="receiver", scope="module")
def serve_receiver(folder: Path) -> Iterator[ReceiverServer]:
    with start_receiver(f"sqlite:///{folder}/inbox.db") as receiver:
        yield receiver


@pytest.fixture(name="airflow")
def start_airflow(folder: Path, receiver: ReceiverServer, postgres_url: str) -> Iterator[AirflowProcesses]:
    connection = {
        "conn_type": "pushmetrics",
        "extra": {"receiver_url": receiver.url, "receiver_token": READER_TOKEN},
    }
    environment = {
        "AIRFLOW_CONN_PUSHMETRICS_DEFAULT": json.dumps(connection),
        "PUSHMETRICS_TEST_OUTPUT": str(folder / "output"),
    }
    airflow = AirflowProcesses(folder / "airflow", DAGS, environment, database_url=postgres_url)
    try:
        airflow.start()
        yield airflow
    finally:
        airflow.stop()


def read_bodies(folder: Path, name: str) -> dict[str, Any]:
    """Read what the tasks of a Dag were given, by the name of the event."""
    bodies = [json.loads(path.read_text("utf-8")) for path in (folder / "output").glob(f"{name}-*.json")]
    return {
        body["name"]: {key: value for key, value in body.items() if key not in ("event", "report_id", "name")}
        for body in bodies
    }


def test_the_triggerer_lives_and_every_task_ends(
    airflow: AirflowProcesses, folder: Path, receiver: ReceiverServer
) -> None:
    airflow.wait_until(lambda: airflow.is_known(WAITING), "the Dag to be known")
    airflow.run("dags", "trigger", WAITING)
    airflow.wait_until(lambda: count_deferred(airflow) == 2, "two sensors to be deferred")

    fill_inbox(f"sqlite:///{folder}/inbox.db", *REFUSED_TODAY)
    for body in TAKEN:
        assert httpx.post(receiver.delivery_url, json=body).status_code == 202
    plain = {"event": "report.run", "report_id": 2, "name": "plain"}
    assert httpx.post(receiver.delivery_url, json=plain).status_code == 202

    airflow.wait_until(lambda: airflow.count_runs(WAITING) == 1, "both sensors to get their events")
    assert read_bodies(folder, "sensor") == {"integer": STORED["integer"], "plain": {}}
    if AIRFLOW_VERSION >= (3, 0):
        airflow.wait_until(
            lambda: read_bodies(folder, "asset") == STORED, "the watcher to pass on every event"
        )


def count_deferred(airflow: AirflowProcesses) -> int:
    query = "SELECT 1 FROM task_instance WHERE dag_id = ? AND state = 'deferred' AND trigger_id IS NOT NULL"
    return len(airflow.ask(query, WAITING))
