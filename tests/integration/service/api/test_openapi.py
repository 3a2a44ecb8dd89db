"""The OpenAPI document, and what the API answers to requests that are made from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from tests.fakes.service_process import API_TOKEN, ServiceProcess, run_ready_service
from tests.fakes.waiting import LIMIT_SECONDS, wait_until
from tests.integration.service.conftest import Api

EXAMPLES = os.environ.get("PUSHMETRICS_FUZZ_EXAMPLES")
"""How many requests of random data are sent to each operation; the variable asks for them."""

CONFIG = Path(__file__).with_name("schemathesis.toml")
PHASES = "examples,coverage,fuzzing" if EXAMPLES else "examples,coverage"
"""The first two send the same requests in each run."""

SUBSCRIPTION = {"name": "airflow", "url": "https://airflow.example/webhooks", "events": ["report.run"]}
SCHEDULE = {"name": "daily", "report_id": 1, "first_start": "2030-03-01T06:00:00", "recurrence": "daily"}


@pytest.fixture
def fuzzed(tmp_path: Path) -> Iterator[ServiceProcess]:
    """Give a service that nobody else needs, with one of each resource."""
    with run_ready_service(tmp_path / "fuzzed", "--demo") as service:
        for path, body in (
            ("/api/v1/webhook_subscription/", SUBSCRIPTION),
            ("/api/v1/webhook_subscription/1/test", None),
            ("/api/v1/schedule/", SCHEDULE),
            ("/api/v1/report/1/run/noteflow", {}),
        ):
            service.client.post(path, json=body).raise_for_status()
        wait_until(
            lambda: service.client.get("/api/reports/1/run/1").raise_for_status().status_code != 202,
            "the run does not end",
        )
        yield service


@pytest.mark.slow
@pytest.mark.timeout(900)  # about a minute on two cores of its own
@pytest.mark.parametrize(
    ("phases", "options", "fewest"),
    [
        (PHASES, (), 100),
        # This phase takes requests with the values of the configuration for requests with a fault.
        ("stateful", ("--exclude-checks", "negative_data_rejection"), 1),
    ],
)
def test_all_checks_of_schemathesis_find_nothing(
    fuzzed: ServiceProcess, tmp_path: Path, phases: str, options: Sequence[str], fewest: int
) -> None:
    report = tmp_path / "report.json"
    size = ("--max-examples", EXAMPLES) if EXAMPLES else ()
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(CONFIG), "run"]
    done = subprocess.run(
        [
            *(*command, f"http://127.0.0.1:{fuzzed.port}/openapi.json", "--checks", "all", "--no-shrink"),
            *("--header", f"Authorization: Bearer {API_TOKEN}", "--report-json-path", str(report)),
            *("--phases", phases, *size, *options),
        ],
        cwd=tmp_path,  # it keeps what it has found in the folder in which it runs
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text())
    assert all(found["phases"][name]["status"] == "success" for name in phases.split(",")), found["phases"]
    assert found["operations"]["tested"] >= fewest


@pytest.mark.slow
def test_description_has_examples_and_says_who_may_ask(served: ServiceProcess) -> None:
    document = httpx.get(
        f"http://127.0.0.1:{served.port}/openapi.json", trust_env=False, timeout=LIMIT_SECONDS
    ).json()
    schemas = document["components"]["schemas"]
    assert schemas["NewReport"]["examples"][0]["name"] == "Orders"
    assert document["components"]["securitySchemes"]["ApiToken"]["scheme"] == "bearer"
    operation = document["paths"]["/api/v1/report/"]["post"]
    assert operation["security"] == [{"ApiToken": []}]
    assert operation["responses"]["401"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "ErrorResponse"
    )
    trigger = document["paths"]["/api/v1/report/{reference}/webhook"]["post"]
    assert trigger["security"] == [{"TriggerToken": []}]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_no_page_loads_scripts_of_others(api: Api, path: str) -> None:
    assert "cdn" not in (await api.client.get(path)).text
    assert (await api.client.get("/openapi.json")).status_code == 200
