"""Reports that a test saves and runs by the API of a running service."""

from __future__ import annotations

from typing import Any

from tests.fakes.service_process import ServiceProcess
from tests.fakes.waiting import wait_until

BlockParts = tuple[str, str, dict[str, Any]]
"""The type, the name and the content of a block."""


def query(name: str, text: str) -> BlockParts:
    """Make the parts of a SQL block, on the database of the demo."""
    return "sql", name, {"database_id": 1, "sql": text}


def save_report(service: ServiceProcess, name: str, *blocks: BlockParts) -> int:
    """Save a report and give its id."""
    rows = [{"type": kind, "name": block, "content": content} for kind, block, content in blocks]
    made = service.client.post("/api/v1/report/", json={"name": name, "blocks": rows})
    assert made.status_code == 201, made.text
    return int(made.json()["id"])


def start_run(service: ServiceProcess, report_id: int, **parameters: object) -> int:
    """Start a run of a report and give its id."""
    path = f"/api/v1/report/{report_id}/run/noteflow"
    answer = service.client.post(path, json={"parameters": parameters}).raise_for_status()
    return int(answer.json()["result"]["run_id"])


def wait_for_run(service: ServiceProcess, run_id: int) -> None:
    """Wait until a run has succeeded or failed."""
    path = f"/api/v1/noteflow_run/{run_id}"

    def has_ended() -> bool:
        return service.client.get(path).json()["result"]["status"] in ("success", "failed")

    wait_until(has_ended, f"run {run_id} does not end")
