"""Links of tasks with a custom XCom backend, which only another process can have."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.airflow_versions import needs_airflow
from tests.fakes.pushmetrics import FakePushMetrics

ROOT = Path(__file__).parents[3]
BACKEND = """
from airflow.sdk.bases.xcom import BaseXCom

class Elsewhere(BaseXCom):
    kept = []

    @staticmethod
    def serialize_value(value, **whose):
        Elsewhere.kept.append(value)
        return f"elsewhere://{len(Elsewhere.kept) - 1}"

    @staticmethod
    def deserialize_value(result):
        return Elsewhere.kept[int(result.value.removeprefix("elsewhere://"))]
"""
PROGRAM = """
import asyncio, json
from airflow.providers.common.compat.sdk import TaskDeferred, XCom
from airflow.sdk.execution_time import task_runner
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from tests.fakes.supervisor import FakeSupervisor, FakeTaskInstance

class TaskInstance(FakeTaskInstance):
    def xcom_push(self, key, value):
        XCom.set(key=key, value=value, dag_id=self.dag_id, task_id=self.task_id, run_id=self.run_id)

async def end(trigger):
    trigger.task_instance = ti
    return [event async for event in trigger.run()]

supervisor, ti = FakeSupervisor(), TaskInstance()
supervisor.set_state(ti, "deferred")
task_runner.SUPERVISOR_COMMS = supervisor
operator = PushMetricsTriggerReportOperator(task_id="a_task", report_id=1, deferrable=True, defer_after=0)
try:
    operator.execute({"ti": ti})
except TaskDeferred as deferral:
    deferral.trigger.end_from_trigger = True
    asyncio.run(end(deferral.trigger))
links = {link.name: link.get_link(operator, ti_key=ti) for link in operator.operator_extra_links}
print("\\n" + json.dumps([supervisor.xcoms, links]))
"""


@needs_airflow("3.0")
@pytest.mark.usefixtures("quick_worker")
def test_links_are_stored_as_airflow_reads_them_whatever_the_xcom_backend(
    pushmetrics: FakePushMetrics, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere_backend.py").write_text(BACKEND, "utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    monkeypatch.setenv("AIRFLOW__CORE__XCOM_BACKEND", "elsewhere_backend.Elsewhere")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    xcoms, links = json.loads(done.stdout.splitlines()[-1])
    run, report = f"{pushmetrics.url}/api/reports/1/run/1", f"{pushmetrics.url}/app/reports/1"
    assert xcoms.pop("return_value").startswith("elsewhere://")
    assert xcoms == {"_link_PushMetricsRunLink": run, "_link_PushMetricsReportLink": report}
    assert links == {"PushMetrics run": run, "PushMetrics report": report}
