from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_pushmetrics.commands.doctor.parts import check_filters_of_dags
from airflow_provider_pushmetrics.hooks.connection_check import Status

DAG = """
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor

with DAG("filters", schedule=None):
    PushMetricsRunSensor.partial(task_id="a", report_id=1).expand(event_filter=["os.path.exists"])
"""


def find(folder: Path) -> tuple[Status, str]:
    (finding,) = [one for one in check_filters_of_dags(folder, []) if one.part == "event filter"]
    return finding.status, finding.text


@pytest.mark.parametrize(
    ("source", "status", "text"),
    [
        ("import airflow, nothing_like_this  # a dag\n", Status.WARNING, "some Dags cannot be imported"),
        (DAG, Status.WARNING, "some are known only in a run"),
        ("# no Dag\n", Status.OK, "no Dag in"),
    ],
)
def test_no_filter_is_right_only_if_all_dags_were_read(
    tmp_path: Path, source: str, status: Status, text: str
) -> None:
    (tmp_path / "dag.py").write_text(source, "utf-8")
    found, said = find(tmp_path / "dag.py")
    assert (found, text in said) == (status, True), said


def test_missing_dags_folder_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(tmp_path / "none")[0] is Status.WARNING
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", "")
    (finding,) = check_filters_of_dags(None, [])
    assert (finding.status, "there is no Dags folder" in finding.text) == (Status.WARNING, True)
