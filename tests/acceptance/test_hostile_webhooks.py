"""
Webhooks and settings as the world sends them, in a real Airflow on PostgreSQL.

Events that Airflow cannot store end no triggerer, and the receiver in the API server takes its credentials
from a connection that changes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.airflow_processes import AirflowProcesses
from tests.fakes.airflow_versions import AIRFLOW_VERSION, needs_airflow
from tests.fakes.inbox_filler import fill_inbox
from tests.fakes.postgres import make_database
from tests.fakes.receiver_server import READER_TOKEN, ReceiverServer, start_receiver
from tests.fakes.waiting import LIMIT_SECONDS

pytestmark = [pytest.mark.timeout(600), pytest.mark.postgres]

DAGS = Path(__file__).with_name("hostile_dags")
WAITING = "waits_for_harmful"
MOUNTED = "receives"

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


@pytest.fixture(name="receiver", scope="module")
def serve_receiver(folder: Path) -> Iterator[ReceiverServer]:
    with start_receiver(f"sqlite:///{folder}/inbox.db") as receiver:
        yield receiver


@pytest.fixture(name="airflow", scope="module")
def start_airflow(
    folder: Path, receiver: ReceiverServer, postgres_server_url: str
) -> Iterator[AirflowProcesses]:
    connection = {
        "conn_type": "pushmetrics",
        "extra": {"receiver_url": receiver.url, "receiver_token": READER_TOKEN},
    }
    environment = {
        "AIRFLOW_CONN_PUSHMETRICS_DEFAULT": json.dumps(connection),
        "PUSHMETRICS_TEST_OUTPUT": str(folder / "output"),
        "AIRFLOW__PUSHMETRICS__RECEIVER_CONNECTION": MOUNTED,
        # The test needs no password; and each request gets a second credential, but not from Airflow 3.1.
        # On Airflow 3.0 the LocalExecutor ended with an HTTP error of a task's start when this was on.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": str(AIRFLOW_VERSION >= (3, 1)),
    }
    for name in ("airflow", "output"):
        (folder / name).mkdir()
    with make_database(postgres_server_url) as url:
        airflow = AirflowProcesses(folder / "airflow", DAGS, environment, database_url=url)
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
        assert httpx.post(receiver.delivery_url, json=body, timeout=LIMIT_SECONDS).status_code == 202
    plain = {"event": "report.run", "report_id": 2, "name": "plain"}
    assert httpx.post(receiver.delivery_url, json=plain, timeout=LIMIT_SECONDS).status_code == 202

    airflow.wait_until(lambda: airflow.count_runs(WAITING) == 1, "both sensors to get their events")
    assert read_bodies(folder, "sensor") == {"integer": STORED["integer"], "plain": {}}
    if AIRFLOW_VERSION >= (3, 0):
        airflow.wait_until(
            lambda: read_bodies(folder, "asset") == STORED, "the watcher to pass on every event"
        )


def count_deferred(airflow: AirflowProcesses) -> int:
    query = "SELECT 1 FROM task_instance WHERE dag_id = ? AND state = 'deferred' AND trigger_id IS NOT NULL"
    return len(airflow.ask(query, WAITING))


# The receiver in Airflow's API server


def write_connection(reader_token: str, sender_token: str) -> dict[str, Any]:
    extra = {"source": "demo", "token": sender_token}
    return {
        "connection_id": MOUNTED,
        "conn_type": "generic",
        "password": reader_token,
        "extra": json.dumps(extra),
    }


def deliver(client: httpx.Client, token: str, path: str = "/webhooks/demo") -> int:
    """Deliver an event, with the token in the URL as a person writes it there."""
    url = f"{client.base_url}pushmetrics{path}?token={token}"
    return client.post(url, json={"event": "report.run", "report_id": 3}).status_code


def read(client: httpx.Client, token: str) -> int:
    headers = {"authorization": f"Bearer {token}"}
    return client.get("/pushmetrics/cursor", headers=headers).status_code


@needs_airflow("3.1")
def test_the_mounted_receiver_follows_its_connection_without_a_restart(airflow: AirflowProcesses) -> None:
    base_url = f"http://127.0.0.1:{airflow.port}/"
    with httpx.Client(base_url=base_url, timeout=120) as client:
        for _ in range(3):
            assert deliver(client, "old+token%") == 503
        assert read_log(airflow).count("The configuration of the PushMetrics receiver is invalid") == 1
        api = {"authorization": f"Bearer {client.get('/auth/token').json()['access_token']}"}
        made = client.post(
            "/api/v2/connections", json=write_connection("old%reader", "old+token"), headers=api
        )
        made.raise_for_status()
        # For some seconds, the receiver remembers that it could not be built.
        airflow.wait_until(lambda: deliver(client, "old+token") == 202, "the receiver")
        assert deliver(client, "old+token", "/webhooks/demo/") == 200
        assert (read(client, "old%reader"), read(client, "new%reader")) == (200, 401)

        changed = client.patch(
            f"/api/v2/connections/{MOUNTED}",
            json=write_connection("new%reader", "new+token"),
            headers=api,
        )
        changed.raise_for_status()
        began = time.monotonic()
        while deliver(client, "old+token") != 401:
            assert time.monotonic() - began < 120, "the old token was not refused within a minute"
            time.sleep(1)
        assert deliver(client, "new+token") == 200
        assert (read(client, "old%reader"), read(client, "new%reader")) == (401, 200)
        check_access_log(airflow)


def check_access_log(airflow: AirflowProcesses) -> None:
    """Check that the API server has logged the webhooks of the test, and none of their tokens."""
    airflow.wait_until(lambda: read_log(airflow).count("/pushmetrics/webhooks/demo") > 6, "the access log")
    assert not [line for line in read_log(airflow).splitlines() if "old+token" in line or "new+token" in line]


def read_log(airflow: AirflowProcesses) -> str:
    return (airflow.home / "api-server.log").read_text("utf-8", "replace")
