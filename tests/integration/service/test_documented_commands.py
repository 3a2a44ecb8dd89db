"""The commands that the two documents print, in a shell, with their host and their token replaced."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.fakes.service_process import API_TOKEN, ServiceProcess
from tests.fakes.waiting import wait_until

TRIGGER = r"""curl -X POST \
"https://app.pushmetrics.io/api/v1/report/{report_id}/webhook?token={token}" \
-H "Content-Type: application/json" \
-d '{"date": "2026-01-01", "region": "EMEA"}'"""

TRIGGER_URL = (
    "https://app.pushmetrics.io/api/v1/report/{report_id}/webhook?token={token}&date=2026-01-01&region=EMEA"
)

RESULT = r"""curl -X POST "http://laravel.test/api/reports/1/queries/3/run/2" \
     -H "Authorization: Bearer YOUR_PERSONAL_API_TOKEN" \
     -H "Accept: application/json" """

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def run_in_shell(command: str) -> Any:
    """Run a command as somebody would who pasted it, and read the JSON that it prints."""
    ended = subprocess.run(
        ["sh", "-c", command.replace("curl ", "curl --silent --show-error --noproxy '*' ", 1)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def read_token(served: ServiceProcess) -> str:
    token: str = served.client.get("/api/v1/webhook/1").json()["result"]["token"]
    return token


def fill_in(served: ServiceProcess, command: str) -> str:
    """Put in the host, the report and the token."""
    return (
        command.replace("https://app.pushmetrics.io", f"http://127.0.0.1:{served.port}")
        .replace("{report_id}", "1")
        .replace("{token}", read_token(served))
    )


def wait_for_run(served: ServiceProcess, run_id: int) -> dict[str, Any]:
    url = f"/api/reports/1/run/{run_id}"
    wait_until(lambda: served.client.get(url).status_code != 202)
    outputs: dict[str, Any] = served.client.get(url).json()
    return outputs


def test_trigger_with_a_body_works_as_printed(served: ServiceProcess) -> None:
    answer = run_in_shell(fill_in(served, TRIGGER))
    assert answer["success"] is True
    outputs = wait_for_run(served, answer["run_id"])
    assert outputs["parameters"] == {"origin": "all", "month": "all", "date": "2026-01-01", "region": "EMEA"}
    assert outputs["status"] == "success"


@pytest.mark.parametrize("method", ["", "-X POST "])
def test_trigger_with_query_parameters_works_as_printed(served: ServiceProcess, method: str) -> None:
    answer = run_in_shell(f"curl {method}'{fill_in(served, TRIGGER_URL)}'")
    outputs = wait_for_run(served, answer["run_id"])
    assert (outputs["parameters"]["date"], outputs["parameters"]["region"]) == ("2026-01-01", "EMEA")


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_result_of_a_query_run_is_read_as_printed(served: ServiceProcess, method: str) -> None:
    block = served.client.get("/api/v1/report/1").json()["result"]["blocks"][-1]
    run_id = served.client.post(f"/api/v1/block/{block['uid']}/run", json={}).json()["run_id"]
    path = f"/api/reports/1/queries/{block['query_id']}/run/{run_id}"
    wait_until(lambda: served.client.get(path).status_code != 202)
    command = (
        RESULT.replace(
            "http://laravel.test/api/reports/1/queries/3/run/2", f"http://127.0.0.1:{served.port}{path}"
        )
        .replace("YOUR_PERSONAL_API_TOKEN", API_TOKEN)
        .replace("-X POST", f"-X {method}")
    )
    answer = run_in_shell(command)
    assert (answer["query_name"], answer["status"], answer["row_count"]) == ("worst", "success", 50)
    assert len(answer["data"]) == 50
