"""Reads from the three databases, and from the log of the balancer, what the invariants are judged by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.chaos.invariants import DagRunRow, DeliveryRow, EventUse, Evidence, Post
from tests.chaos.servers import connect

WEBHOOK_DAG = "example_pushmetrics_webhook_receiver"
CONTINUOUS_DAG = "example_pushmetrics_webhook_receiver_continuous"
POLLING_DAG = "example_pushmetrics_without_receiver"

CLAIMS = """
    SELECT value FROM xcom
    WHERE key = 'return_value' AND task_id IN ('run_report', 'start_report', 'run_reports')
"""
STARTED = """
    SELECT dag_run.dag_id, (asset_event.extra -> 'payload' ->> 'id')::bigint AS id
    FROM asset_event
    JOIN dagrun_asset_event ON dagrun_asset_event.event_id = asset_event.id
    JOIN dag_run ON dag_run.id = dagrun_asset_event.dag_run_id
    WHERE asset_event.source_dag_id IS NULL
"""
DAG_RUNS = "SELECT dag_id, run_id, state FROM dag_run"
INBOX = "SELECT id, run_id FROM pushmetrics_inbox_events WHERE event = 'report.run'"
WAITED_FOR = "SELECT value FROM xcom WHERE key = 'return_value' AND dag_id = %s AND task_id = 'wait_for_run'"
OUTLETS = """
    SELECT id, EXISTS (SELECT FROM dagrun_asset_event WHERE event_id = asset_event.id) AS used
    FROM asset_event WHERE source_dag_id IS NOT NULL
"""
DELIVERIES = """
    SELECT outbox_event.run_id, EXISTS (
        SELECT FROM delivery_attempt
        WHERE delivery_id = delivery.id AND status_code BETWEEN 200 AND 299
    ) AS acknowledged
    FROM outbox_event JOIN delivery ON delivery.event_id = outbox_event.id
    WHERE outbox_event.event = 'report.run'
"""

UNFINISHED = {
    # The continuous Dag has a run that waits for the next event.
    "airflow": """
        SELECT concat_ws(' ', 'Dag run', dag_id, run_id, 'is', state) AS what FROM dag_run
        WHERE state NOT IN ('success', 'failed') AND dag_id <> %(continuous)s
        UNION ALL
        SELECT concat_ws(' ', 'task', dag_id, run_id, task_id, map_index, 'is', state) FROM task_instance
        WHERE coalesce(state, 'none') NOT IN ('success', 'failed', 'skipped', 'upstream_failed', 'removed')
        AND NOT (dag_id = %(continuous)s AND (
            (task_id = 'wait_for_run' AND state = 'deferred') OR (task_id = 'fetch_results' AND state IS NULL)
        ))
        UNION ALL
        SELECT concat_ws(' ', 'Dag', target_dag_id, 'waits in the queue of assets') FROM asset_dag_run_queue
    """,
    "service": """
        SELECT concat_ws(' ', 'report run', id, 'is', status) AS what FROM run WHERE finished_on IS NULL
        UNION ALL
        SELECT concat_ws(' ', 'delivery', id, 'is', status) FROM delivery WHERE status <> 'delivered'
        UNION ALL
        SELECT concat_ws(' ', 'message', id, 'is', status) FROM message WHERE status = 'pending'
    """,
}


def read_unfinished(folder: Path) -> tuple[str, ...]:
    """
    Read what is not over.

    :param folder: The folder of PostgreSQL's socket.
    """
    found: list[str] = []
    for database, query in UNFINISHED.items():
        found += [row["what"] for row in _read(folder, database, query, {"continuous": CONTINUOUS_DAG})]
    return tuple(found)


def read_posts(log: Path) -> Iterator[Post]:
    """Read which webhooks the receiver acknowledged from the log of the balancer."""
    for line in log.read_text("utf-8", "replace").splitlines():
        words = line.split()
        if words[:1] == ["receiver"] and words[1].startswith("2") and words[2] == "POST" and words[4] != "-":
            yield Post(words[4], float(words[5]))


def read_evidence(
    folder: Path,
    wanted_dag_runs: Iterable[tuple[str, str]],
    called: Iterable[int],
    posts: Iterable[Post] = (),
    faults: Iterable[tuple[float, float]] = (),
) -> Evidence:
    """
    Read everything.

    :param wanted_dag_runs: The Dag runs that were asked for.
    :param called: The report runs that calls of the trigger have started.
    :param posts: The webhooks that the receiver acknowledged.
    :param faults: When faults began and ended that may cut a delivery off.
    """
    inbox = {row["id"]: row["run_id"] for row in _read(folder, "inbox", INBOX)}
    runs = _read(folder, "service", "SELECT id, status FROM run")
    started = _read(folder, "airflow", STARTED)
    claims = [run for row in _read(folder, "airflow", CLAIMS) for run in list_run_ids(row["value"])]
    uses = set(_list_uses(inbox, started))
    waited = _read(folder, "airflow", WAITED_FOR, (CONTINUOUS_DAG,))
    uses |= set(_list_uses(inbox, ({"dag_id": CONTINUOUS_DAG, "id": row["value"]["id"]} for row in waited)))
    polled = [use.run_id for use in uses if use.dag_id == POLLING_DAG]
    return Evidence(
        wanted_dag_runs=frozenset(wanted_dag_runs),
        dag_runs=tuple(DagRunRow(**row) for row in _read(folder, "airflow", DAG_RUNS)),
        claimed_runs=(*claims, *called),
        report_runs={row["id"]: row["status"] for row in runs},
        deliveries=tuple(DeliveryRow(**row) for row in _read(folder, "service", DELIVERIES)),
        posts=tuple(posts),
        faults=tuple(faults),
        inbox=tuple(inbox.values()),
        uses=frozenset(uses),
        # A watcher of the list of runs begins with the runs that have not ended.
        event_dags={WEBHOOK_DAG: 0, CONTINUOUS_DAG: 0, POLLING_DAG: min(polled, default=0)},
        outlet_events={row["id"]: row["used"] for row in _read(folder, "airflow", OUTLETS)},
        unfinished=read_unfinished(folder),
    )


def list_run_ids(value: Any) -> list[int]:
    """List the report runs that the result of a task names: one, or one of each in a list."""
    rows = value if isinstance(value, list) else [value]
    return [int(row["run_id"]) for row in rows if row["run_id"] is not None]


def _list_uses(inbox: Mapping[int, int], started: Iterable[Mapping[str, Any]]) -> Iterator[EventUse]:
    """List which Dags have had which event; the id of one that was polled is that of the report's run."""
    for row in started:
        run = row["id"] if row["dag_id"] == POLLING_DAG else inbox.get(row["id"])
        if run is not None:
            yield EventUse(row["dag_id"], run)


def _read(folder: Path, database: str, query: str, parameters: Any = None) -> list[dict[str, Any]]:
    with connect(folder, database) as connection:
        return connection.execute(query.encode(), parameters).fetchall()
