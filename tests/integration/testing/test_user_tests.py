"""The page about testing: its files, written into a folder and run as a user runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.airflow_versions import needs_dag_test

PAGE = Path(__file__).parents[3] / "docs" / "testing.md"
FILE = re.compile(r"<!-- file: (\S+) -->\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture(name="project")
def write_project(tmp_path: Path) -> Path:
    for name, content in FILE.findall(PAGE.read_text("utf-8")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, "utf-8")
    return tmp_path


@pytest.mark.slow
@needs_dag_test
def test_tests_of_the_page_pass(project: Path) -> None:
    environment = os.environ | {
        "AIRFLOW_HOME": str(project / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(project / "dags"),
        "PYTHONPATH": str(project / "dags"),
    }
    programs = Path(sys.executable).parent
    subprocess.run([programs / "airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
    ended = subprocess.run(
        [programs / "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "tests"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "3 passed" in ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["AIRFLOW__SECRETS__BACKEND", "AIRFLOW__WORKERS__SECRETS_BACKEND"])
def test_secrets_backend_with_another_connection_fails_the_fixture(project: Path, name: str) -> None:
    (project / "tests" / "test_sales.py").write_text("def test_nothing(pushmetrics):\n    pass\n", "utf-8")
    connections = project / "connections.json"
    real = {"conn_type": "pushmetrics", "host": "https://pushmetrics.example.com", "password": "real-token"}
    connections.write_text(json.dumps({"pushmetrics_default": real}), "utf-8")
    environment = os.environ | {
        "AIRFLOW_HOME": str(project / "airflow"),
        name: "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        f"{name}_KWARGS": json.dumps({"connections_file_path": str(connections)}),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "tests"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "leads to https://pushmetrics.example.com, and not to the PushMetrics of the tests" in ended.stdout
    assert "real-token" not in ended.stdout
