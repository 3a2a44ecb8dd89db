"""What fresh interpreters import, and what that costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DAGS = sorted((ROOT / "dags").glob("*.py"))


def run_fresh(code: str, **environ: str) -> str:
    """Run code in a new interpreter that knows nothing of this one's settings, and return what it prints."""
    kept = {name: os.environ[name] for name in ("PATH", "AIRFLOW_HOME", "LANG") if name in os.environ}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_parts_without_airflow_import_none() -> None:
    code = """
import importlib, pkgutil, sys
for part in ("client", "events", "serving", "receiver", "service"):
    name = "airflow_provider_pushmetrics." + part
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), name + "."):
        if not found.name.endswith(("__main__", ".env")) and ".versions." not in found.name:
            importlib.import_module(found.name)
    print(part, [name for name in sys.modules if name.partition(".")[0] == "airflow"])
"""
    assert set(line.partition(" ")[2] for line in run_fresh(code).splitlines()) == {"[]"}


def test_the_package_and_its_metadata_are_light() -> None:
    code = """
import sys
before = set(sys.modules)
from airflow_provider_pushmetrics.get_provider_info import get_provider_info
get_provider_info()
brought = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print(sorted(brought))
"""
    assert run_fresh(code) == "['airflow_provider_pushmetrics']\n"


PARSE = """
import runpy, sys, time
import airflow.sdk, airflow.providers.common.compat.sdk
from airflow_provider_pushmetrics.hooks import pushmetrics as hook
from airflow_provider_pushmetrics.operators import pushmetrics as operators
from airflow_provider_pushmetrics.sensors import pushmetrics as sensors
FORBIDDEN = ("socket.", "subprocess.", "sqlite3.", "os.system", "os.mkdir", "os.remove", "shutil.")
def audit(event, arguments):
    if event.startswith(FORBIDDEN) or (event == "open" and set(str(arguments[1])) & set("wax+")):
        raise RuntimeError(f"{event} {arguments}")
sys.addaudithook(audit)
sys.dont_write_bytecode = True
for path in PATHS:
    began = time.process_time()
    try:
        runpy.run_path(path)
    except Exception as error:
        print(path, error)
    else:
        print(path, time.process_time() - began)
"""


@cache
def parse_dags() -> dict[str, str]:
    """Parse all example Dags in one fresh interpreter; give the seconds of each, or its error."""
    paths = [str(path) for path in DAGS]
    lines = run_fresh(PARSE.replace("PATHS", repr(paths))).splitlines()
    return dict(line.split(" ", 1) for line in lines)


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_a_dag_is_read_without_input_and_output_and_at_once(path: Path) -> None:
    assert float(parse_dags()[str(path)]) < 5


PERCENT = """
import asyncio, json, sys
from airflow_provider_pushmetrics.plugins.pushmetrics import RECEIVER

sent = []

async def send(message):
    sent.append(message)

asyncio.run(RECEIVER({"type": "http"}, None, send))
print(json.dumps([sent[0]["status"], json.loads(sent[1]["body"])["message"]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "option", ["inbox", "source", "source_connections", "receiver_connection", "keep_days"]
)
def test_percent_in_airflow_cfg_is_503_naming_the_option_and_stops_no_process(
    tmp_path: Path, option: str
) -> None:
    (tmp_path / "airflow.cfg").write_text(f"[pushmetrics]\n{option} = a%b\n")
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PERCENT], env=environment, capture_output=True, text=True, check=True
    )
    status, message = json.loads(done.stdout.splitlines()[-1])
    assert status == 503
    assert (
        f"option {option} of [pushmetrics] has a % in airflow.cfg, where it must be written as %%" in message
    )
    assert f"AIRFLOW__PUSHMETRICS__{option.upper()}" in message


IMPORT = """
import json, sys, time
import airflow.plugins_manager

before, began = set(sys.modules), time.process_time()
import airflow_provider_pushmetrics.plugins.pushmetrics
took = time.process_time() - began
print(json.dumps({"seconds": took, "new": sorted(set(sys.modules) - before)}))
"""


@pytest.fixture(name="imported", scope="module")
def import_in_a_process_of_its_own() -> dict[str, Any]:
    """What an import of the plugin costs: modules, and processor time, whatever else the machine does."""
    result = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    imported: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return imported


def test_import_brings_nothing_that_only_the_receiver_needs(imported: dict[str, Any]) -> None:
    new = {name.partition(".")[0] for name in imported["new"]}
    assert not new & {"sqlalchemy", "starlette", "fastapi", "alembic", "uvicorn", "pydantic"}
    assert "airflow_provider_pushmetrics.receiver" not in imported["new"]


def test_import_takes_no_time_in_processes_that_do_not_serve(imported: dict[str, Any]) -> None:
    assert imported["seconds"] < 0.1
