"""What is read from the databases shows every fault that was put into them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.evidence import CONTINUOUS_DAG, POLLING_DAG, WEBHOOK_DAG, read_evidence
from tests.chaos.fleet import Fleet
from tests.chaos.invariants import judge
from tests.chaos.servers import connect

DAG, CONSUMER = "example_pushmetrics_result_assets", "example_pushmetrics_result_assets_consumer"
ONE_RUN = '{"run_id": 1, "status": "success"}'
EVENT = '{"payload": {"id": %d, "body": {}}}'
TABLES = {
    # Those columns of the real tables that are read; `make chaos` reads the real ones.
    "airflow": f"""
        CREATE TABLE dag_run (id int, dag_id text, run_id text, state text);
        CREATE TABLE task_instance (dag_id text, run_id text, task_id text, map_index int, state text);
        CREATE TABLE xcom (dag_id text, run_id text, task_id text, key text, value jsonb);
        CREATE TABLE asset_event (id int, source_dag_id text, extra json);
        CREATE TABLE dagrun_asset_event (dag_run_id int, event_id int);
        CREATE TABLE asset_dag_run_queue (target_dag_id text);
        INSERT INTO dag_run VALUES
            (1, '{DAG}', 'asked', 'success'), (2, '{CONSUMER}', 'a', 'success'),
            (3, '{WEBHOOK_DAG}', 'b', 'success'), (4, '{POLLING_DAG}', 'c', 'success'),
            (5, '{CONTINUOUS_DAG}', 'd', 'success'), (6, '{CONTINUOUS_DAG}', 'e', 'running');
        INSERT INTO task_instance VALUES
            ('{DAG}', 'asked', 'run_report', -1, 'success'),
            ('{CONTINUOUS_DAG}', 'e', 'wait_for_run', -1, 'deferred'),
            ('{CONTINUOUS_DAG}', 'e', 'fetch_results', -1, NULL);
        INSERT INTO xcom VALUES
            ('{DAG}', 'asked', 'run_report', 'return_value', '{ONE_RUN}'),
            ('{DAG}', 'asked', 'run_report', 'link', '"a URL"'),
            ('{CONTINUOUS_DAG}', 'd', 'wait_for_run', 'return_value', '{{"id": 11}}');
        INSERT INTO asset_event VALUES
            (1, '{DAG}', '{{}}'), (2, NULL, '{EVENT % 11}'), (3, NULL, '{EVENT % 1}');
        INSERT INTO dagrun_asset_event VALUES (2, 1), (3, 2), (4, 3);
    """,
    "inbox": """
        CREATE TABLE pushmetrics_inbox_events (id int, run_id int, event text);
        INSERT INTO pushmetrics_inbox_events VALUES (11, 1, 'report.run');
    """,
    "service": """
        CREATE TABLE run (id int, status text, finished_on timestamptz);
        CREATE TABLE outbox_event (id int, event text, run_id int);
        CREATE TABLE delivery (id int, event_id int, status text);
        CREATE TABLE delivery_attempt (delivery_id int, status_code int);
        CREATE TABLE message (id int, status text);
        INSERT INTO run VALUES (1, 'success', now());
        INSERT INTO outbox_event VALUES (5, 'report.run', 1);
        INSERT INTO delivery VALUES (6, 5, 'delivered');
        INSERT INTO delivery_attempt VALUES (6, 503), (6, 202);
    """,
}
RUN_2 = "INSERT INTO run VALUES (2, 'success', now())"
EVENT_2 = (
    "INSERT INTO outbox_event VALUES (7, 'report.run', 2); INSERT INTO delivery VALUES (8, 7, 'delivered')"
)
FAULTS = {
    "a failed Dag run": (
        "airflow",
        "UPDATE dag_run SET state = 'failed' WHERE id = 2",
        "Dag and report runs failed",
    ),
    "a second run of a task": ("service", f"{RUN_2}; {EVENT_2}", "report runs doubled"),
    "a lost event": ("inbox", "DELETE FROM pushmetrics_inbox_events", "events lost"),
    "a doubled event": (
        "inbox",
        "INSERT INTO pushmetrics_inbox_events VALUES (12, 1, 'report.run')",
        "events lost",
    ),
    "an event not recorded": ("service", "DELETE FROM outbox_event", "events lost"),
    "an event without a delivery": ("service", "DELETE FROM delivery", "events lost"),
    "a missing Dag run": ("airflow", "DELETE FROM dag_run WHERE id = 1", "Dags not started"),
    "an event that started nothing": (
        "airflow",
        "DELETE FROM dagrun_asset_event WHERE event_id = 2",
        "Dags not started",
    ),
    "an asset that started nothing": (
        "airflow",
        "DELETE FROM dagrun_asset_event WHERE event_id = 1",
        "Dags not started",
    ),
    "a run without its event": (
        "airflow",
        "DELETE FROM xcom WHERE task_id = 'wait_for_run'",
        "Dags not started",
    ),
    "a list of runs not polled": (
        "airflow",
        "DELETE FROM dagrun_asset_event WHERE event_id = 3",
        "Dags not started",
    ),
    "a queued task": (
        "airflow",
        "UPDATE task_instance SET state = 'queued' WHERE task_id = 'run_report'",
        "stuck",
    ),
    "a task in no state": (
        "airflow",
        "UPDATE task_instance SET state = NULL WHERE task_id = 'run_report'",
        "stuck",
    ),
    "a Dag run that runs": ("airflow", "UPDATE dag_run SET state = 'running' WHERE id = 3", "stuck"),
    "a wait that is not deferred": (
        "airflow",
        "UPDATE task_instance SET state = 'queued' WHERE state = 'deferred'",
        "stuck",
    ),
    "a queued Dag": ("airflow", f"INSERT INTO asset_dag_run_queue VALUES ('{WEBHOOK_DAG}')", "stuck"),
    "a run that is not over": ("service", "UPDATE run SET status = 'running', finished_on = NULL", "stuck"),
    "a delivery that waits": ("service", "UPDATE delivery SET status = 'pending'", "stuck"),
    "a message that waits": ("service", "INSERT INTO message VALUES (1, 'pending')", "stuck"),
}


@pytest.fixture(name="folder")
def fill_databases(postgres: tuple[Fleet, Path]) -> Path:
    """Give the folder of a server that has one task that ran a report, and what its event started."""
    _, folder = postgres
    for database, statements in TABLES.items():
        with connect(folder, database) as connection:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            connection.execute(statements.encode())
    return folder


def find_violated(folder: Path) -> set[str]:
    found = judge(read_evidence(folder, [(DAG, "asked")], []))
    return {name for name, violations in found.items() if violations}


def test_a_sound_system_violates_nothing(folder: Path) -> None:
    assert find_violated(folder) == set()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_a_database_is_found(folder: Path, name: str) -> None:
    database, statement, invariant = FAULTS[name]
    with connect(folder, database) as connection:
        connection.execute(statement.encode())
    assert invariant in find_violated(folder)
