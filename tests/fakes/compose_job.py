"""The main job against docker-compose.yaml, by the names of its proxy. Prints what it found as JSON."""

from __future__ import annotations

import json
import ssl
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from dotenv import dotenv_values

from demo.http_client import AirflowClient, DagRun
from demo.main_job import TRIGGER_DAG, WEBHOOK_DAG
from tests.fakes.waiting import wait_until

LIMIT_SECONDS = 420


class Airflow(AirflowClient):
    """Airflow behind a certificate of a CA of one's own."""

    def __init__(self, url: str, context: ssl.SSLContext | bool) -> None:
        super().__init__(url)
        self._client = httpx.Client(base_url=url, verify=context, timeout=60, trust_env=False)


def read_answers(client: httpx.Client, urls: dict[str, str]) -> dict[str, int]:
    return {name: client.get(url).status_code for name, url in urls.items()}


def wait_for_end(airflow: Airflow, run: DagRun) -> DagRun:
    ended = wait_until(lambda: airflow.find_finished_run(run), run, LIMIT_SECONDS)
    assert ended.state == "success", ended
    return ended


def find_webhook_run(airflow: Airflow) -> DagRun | None:
    runs = [run for run in airflow.find_runs(WEBHOOK_DAG) if run.run_type == "asset_triggered"]
    return runs[-1] if runs else None


def run_main_job(airflow: Airflow, folder: Path) -> dict[str, Any]:
    """Run a report by its Dag, and wait for the Dag that the report's webhook starts."""
    for dag in (TRIGGER_DAG, WEBHOOK_DAG):
        wait_until(partial(airflow.find, f"/api/v2/dags/{dag}"), dag, LIMIT_SECONDS)
    time.sleep(5)  # the triggerer begins to watch the asset
    trigger = wait_for_end(airflow, airflow.trigger_dag(TRIGGER_DAG, {"origin": "JFK", "month": 2}))
    webhook = wait_for_end(airflow, wait_until(lambda: find_webhook_run(airflow), WEBHOOK_DAG, LIMIT_SECONDS))
    saved = sorted((folder / "volumes" / "airflow-results").rglob("by_carrier.json"))
    rows = json.loads(saved[0].read_text("utf-8"))
    return {
        "trigger": trigger.state,
        "webhook": [webhook.state, webhook.run_type],
        "files": len(saved),
        "rows": rows["data"] if isinstance(rows, dict) else rows,
    }


def main() -> None:
    """Do it."""
    folder, profile = Path(sys.argv[1]), sys.argv[2]
    settings = dict(dotenv_values(folder / ".env"))
    port = settings["HTTPS_PORT"]
    is_full = profile == "full"
    urls = {
        name: f"https://{settings[variable]}:{port}"
        for name, variable in (
            ("airflow", "AIRFLOW_HOST"),
            ("service", "PUSHMETRICS_HOST"),
            ("receiver", "RECEIVER_HOST"),
        )
    }
    context = ssl.create_default_context(cafile=folder / "secrets" / "ca.crt") if is_full else True
    airflow = Airflow(urls["airflow"] if is_full else "http://127.0.0.1:8080", context)
    password = json.loads((folder / "secrets" / "airflow_passwords.json").read_text("utf-8"))["admin"]
    airflow.log_in("admin", password)
    found: dict[str, Any] = run_main_job(airflow, folder)
    if is_full:
        with httpx.Client(verify=context, timeout=60, trust_env=False) as client:
            found["answers"] = read_answers(
                client,
                {
                    "service": f"{urls['service']}/health/ready",
                    "service's figures": f"{urls['service']}/metrics",
                    "receiver": f"{urls['receiver']}/health/ready",
                    "receiver's events": f"{urls['receiver']}/events",
                    "worker": "http://worker:8092/health/ready",
                },
            )
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
