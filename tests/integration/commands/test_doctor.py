"""``pushmetrics doctor``, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.airflow_versions import AIRFLOW_VERSION
from tests.fakes.service_process import API_TOKEN, COMMAND
from tests.integration.commands.conftest import Reports, Run, build_environment

pytestmark = pytest.mark.timeout(900)

DAG = """
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor

print("a Dag file may print")
with DAG("with_filter", schedule=None):
    PushMetricsRunSensor(task_id="a", report_id=1, event_filter="os.path.exists")
    PushMetricsRunSensor(task_id="b", report_id=1, event_filter="nowhere_at_all.f")
    PushMetricsRunSensor(task_id="c", report_id=1, event_filter="common.is_wanted")
"""


def read(output: str) -> dict[str, dict[str, Any]]:
    """Read the findings; the last one of each part."""
    return {finding["part"]: finding for finding in json.loads(output)["findings"]}


@pytest.mark.slow
@pytest.mark.usefixtures("airflow_home")
def test_installation_that_works_has_no_failure(reports: Reports, run: Run) -> None:
    reports.add("Doctor")
    ended = run("doctor", "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = read(ended.stdout)
    assert found["host"]["status"] == "ok"
    assert 0 < found["host"]["seconds"] < 60
    assert found["certificates"]["status"] == "ok"
    assert found["receiver"]["text"].startswith("there is no receiver")
    assert found["scheduler"]["text"] == "no scheduler is running"
    assert ("none of them missed" in found["events"]["text"]) == (AIRFLOW_VERSION >= (3, 1))
    assert "airflow-triggerer pushmetrics doctor" in json.loads(ended.stdout)["note"]


@pytest.mark.slow
def test_database_that_does_not_exist_is_not_created(run: Run, tmp_path: Path) -> None:
    """As on a worker of Airflow 3, which has none; the default is a file in AIRFLOW_HOME."""
    file = tmp_path / "absent.db"
    ended = run("doctor", "--json", AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{file}")
    found = read(ended.stdout)["scheduler"]
    assert (found["status"], "absent.db does not exist" in found["text"]) == ("warning", True)
    assert not file.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("airflow_home")
def test_each_failure_has_its_row(reports: Reports, run: Run, tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "dag.py").write_text(DAG, "utf-8")
    (tmp_path / "dags" / "common.py").write_text("def is_wanted(event):\n    return True\n", "utf-8")
    connection = json.dumps(
        {
            "conn_type": "pushmetrics",
            "host": reports.url,
            "password": "another-token-0123456789",
            "extra": {
                "receiver_url": "http://127.0.0.1:1/pushmetrics",
                "receiver_token": "reader-token-0123456789",
                "trigger_tokens": {"1": "trigger-token-0123456789"},
            },
        }
    )
    ended = run("doctor", "--dags", "dags", AIRFLOW_CONN_PUSHMETRICS_DEFAULT=connection)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "rejects the API token, which is the password" in ended.stdout
    assert "could not connect to '127.0.0.1' at port 1" in ended.stdout
    assert "'nowhere_at_all.f', which cannot be imported" in ended.stdout
    assert "os.path.exists can be imported here" in ended.stdout
    assert "is in the Dags folder, which the triggerer may not import from" in ended.stdout
    assert "Mend the import error" not in ended.stdout
    assert "-0123456789" not in ended.stdout + ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("dags", ["home/dags/dag.py", "home/dags/team", "linked"])
def test_event_filter_of_the_dags_folder_is_a_warning_whatever_part_of_it_is_read(
    run: Run, tmp_path: Path, dags: str
) -> None:
    folder = tmp_path / "home" / "dags"
    (folder / "team").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(folder)
    (folder / "common.py").write_text("def is_wanted(event):\n    return True\n", "utf-8")
    for file in (folder / "dag.py", folder / "team" / "dag.py"):
        file.write_text(DAG, "utf-8")
    ended = run("doctor", "--dags", dags, AIRFLOW__CORE__DAGS_FOLDER=str(folder))
    assert "common.is_wanted is in the Dags folder, which the triggerer may not import" in ended.stdout
    assert "common.is_wanted can be imported here" not in ended.stdout


def test_percent_sign_that_stops_airflow_is_found_without_airflow(tmp_path: Path) -> None:
    config = tmp_path / "airflow.cfg"
    config.write_text(f"[pushmetrics]\ntoken = {API_TOKEN}%\n", "utf-8")
    environment = {**build_environment(tmp_path), "AIRFLOW_CONFIG": str(config)}
    command = [sys.executable, "-c", COMMAND, "doctor"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "has a single '%', which stops every Airflow process" in ended.stdout
    assert "Traceback" not in ended.stderr
