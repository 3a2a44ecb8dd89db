"""No credential is left where people look: logs, XCom, rendered fields, the metadata database."""

from __future__ import annotations

import base64
import secrets
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest

from demo.main_job import MainJobOutcome
from demo.settings import find_free_ports
from demo.system import DemoSystem
from tests.fakes.service_subscriber import listen

SUBSCRIPTIONS = "/api/v1/webhook_subscription/"


def list_forms(secret: str) -> set[str]:
    """List the forms in which a secret might be written down."""
    encoded = base64.b64encode(secret.encode()).decode()
    return {secret, quote(secret, safe=""), encoded, encoded.rstrip("="), quote(encoded, safe="")}


def find_secrets(text: str, system: DemoSystem, *more: str) -> list[str]:
    """Find the secrets in a text: how each begins, which is enough to know it."""
    return [
        secret[:9] + "…"
        for secret in (*system.credentials.list_secrets(), *more)
        for form in list_forms(secret)
        if form in text
    ]


def read_database(path: Path) -> Iterator[tuple[str, str]]:
    """Read every row of every table as text, with the table's name."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                values = (
                    value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in row
                )
                yield table, "\n".join(values)
    database.close()


@pytest.fixture
def header_secret(system: DemoSystem) -> str:
    """Give a secret that was sent in a header: to an endpoint that takes it, and to one that is not there."""
    secret = secrets.token_urlsafe(32)
    with listen() as subscriber:
        for url in (subscriber.url, f"http://127.0.0.1:{find_free_ports(1)[0]}/hook"):
            body = {"name": "h", "url": url, "events": ["query.run"], "headers": {"X-Api-Key": secret}}
            path = f"{SUBSCRIPTIONS}{(system.service.post(SUBSCRIPTIONS, body) or {})['id']}"
            delivery_id = (system.service.post(f"{path}/test", {}) or {})["id"]
            system.wait_for("an attempt", partial(find_attempts, system, delivery_id), timeout_seconds=120)
            system.service.post(f"{path}/disable", {})
        system.wait_for("the header", lambda: subscriber.received or None, timeout_seconds=120)
        assert subscriber.received[0].headers["x-api-key"] == secret
    return secret


def find_attempts(system: DemoSystem, delivery_id: int) -> object:
    return system.service.find(f"/api/v1/webhook_delivery/{delivery_id}")["result"]["attempts"] or None


@pytest.mark.usefixtures("outcome")
def test_no_log_holds_a_secret(system: DemoSystem, header_secret: str) -> None:
    logs = [*system.folder.logs.rglob("*"), *(system.folder.airflow_home / "logs").rglob("*")]
    files = [path for path in logs if path.is_file()]
    assert len(files) > 6
    assert {
        str(path): found
        for path in files
        if (found := find_secrets(path.read_text("utf-8", errors="replace"), system, header_secret))
    } == {}


@pytest.mark.usefixtures("outcome")
def test_airflows_database_holds_no_secret(system: DemoSystem) -> None:
    rows = list(read_database(system.folder.airflow_home / "airflow.db"))
    tables = {table for table, _ in rows}
    assert {"xcom", "rendered_task_instance_fields", "dag_run", "asset_event", "trigger"} <= tables
    assert [(table, found) for table, row in rows if (found := find_secrets(row, system))] == []


@pytest.mark.usefixtures("outcome")
def test_lineage_names_the_report_and_holds_no_secret(system: DemoSystem) -> None:
    lineage = (system.folder.logs / "lineage.json").read_text("utf-8")
    assert '"reports/1"' in lineage
    assert f'"{system.service_url.replace("http", "pushmetrics", 1)}"' in lineage
    assert find_secrets(lineage, system) == []


def test_no_task_shows_a_secret_in_the_api(system: DemoSystem, outcome: MainJobOutcome) -> None:
    shown = ""
    for run in (outcome.trigger_run, outcome.webhook_run):
        for task in system.airflow.find(f"{run.path}/taskInstances")["task_instances"]:
            shown += str(task)
            path = f"{run.path}/taskInstances/{task['task_id']}/xcomEntries"
            for entry in system.airflow.find(path)["xcom_entries"]:
                shown += str(system.airflow.find(f"{path}/{entry['key']}", map_index=entry["map_index"]))
    assert "by_carrier" in shown
    assert find_secrets(shown, system) == []


@pytest.mark.usefixtures("outcome")
def test_results_hold_no_secret(system: DemoSystem) -> None:
    texts = [path.read_text("utf-8") for path in system.folder.results.rglob("*.json")]
    assert texts
    assert find_secrets("\n".join(texts), system) == []


def test_a_secret_is_found_in_each_of_its_forms(system: DemoSystem) -> None:
    secret = system.credentials.signing_secret
    assert find_secrets(f"secret={quote(secret, safe='')}", system) == ["whsec_" + secret[6:9] + "…"] * 1
    assert find_secrets(base64.b64encode(secret.encode()).decode(), system)
