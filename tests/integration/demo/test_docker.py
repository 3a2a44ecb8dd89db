"""The two programs that docker-compose.yaml runs and that are not in the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.demo.conftest import FakeServer

DOCKER = Path(__file__).resolve().parents[3] / "docker"


def run(program: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DOCKER / program), *arguments]
    return subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, timeout=240)


def set_up(server: FakeServer) -> subprocess.CompletedProcess[str]:
    return run(
        "set_up.py",
        SERVICE_URL=server.url,
        RECEIVER_URL="http://receiver:8091",
        PUSHMETRICS_API_TOKEN="api",
        PUSHMETRICS_TRIGGER_TOKEN="trigger",
        PUSHMETRICS_WEBHOOK_TOKEN="webhook",
    )


def list_changes(server: FakeServer) -> list[tuple[str, str, Any]]:
    return [(method, path, body) for method, path, _, body in server.requests if method != "GET"]


SUBSCRIPTION = {
    "name": "docker compose",
    "url": "http://receiver:8091/webhooks/pushmetrics?token=webhook",
    "events": ["report.run"],
    "active": True,
}


def test_a_new_service_gets_a_subscription_and_its_trigger_the_token(server: FakeServer) -> None:
    server.will_answer("GET", "/api/v1/webhook/", {"result": [{"id": 7}]})
    server.will_answer("GET", "/api/v1/webhook/7", {"result": {"id": 7, "report_id": 1}})
    server.will_answer("PUT", "/api/v1/webhook/7", {"result": {}})
    server.will_answer("GET", "/api/v1/webhook_subscription/", {"result": []})
    server.will_answer("POST", "/api/v1/webhook_subscription/", {"result": {}}, 201)
    assert set_up(server).returncode == 0
    assert list_changes(server) == [
        ("PUT", "/api/v1/webhook/7", {"token": "trigger", "active": True}),
        ("POST", "/api/v1/webhook_subscription/", SUBSCRIPTION),
    ]


def test_a_second_set_up_adds_nothing(server: FakeServer) -> None:
    server.will_answer("GET", "/api/v1/webhook/", {"result": []})
    server.will_answer("POST", "/api/v1/webhook/", {"result": {}}, 201)
    server.will_answer(
        "GET", "/api/v1/webhook_subscription/", {"result": [{"id": 3, "name": "docker compose"}]}
    )
    server.will_answer("PUT", "/api/v1/webhook_subscription/3", {"result": {}})
    assert set_up(server).returncode == 0
    assert list_changes(server) == [
        ("POST", "/api/v1/webhook/", {"report_id": 1, "token": "trigger", "active": True}),
        ("PUT", "/api/v1/webhook_subscription/3", SUBSCRIPTION),
    ]


def test_a_refused_set_up_says_what_was_asked_and_no_token(server: FakeServer) -> None:
    server.will_answer("GET", "/api/v1/webhook/", {"message": "Not authorized"}, 401)
    result = set_up(server)
    assert result.returncode == 1
    assert result.stderr == "the service answered 401 to GET /api/v1/webhook/\n"


def test_the_health_check_says_whether_a_server_is_well(server: FakeServer) -> None:
    server.will_answer("GET", "/health/ready", {"status": "ok"})
    assert run("check_health.py", f"{server.url}/health/ready").returncode == 0
    server.will_answer("GET", "/health/ready", {"status": "starting"}, 503)
    assert "503" in run("check_health.py", f"{server.url}/health/ready").stderr


def test_the_health_check_of_a_server_that_is_down_fails(server: FakeServer) -> None:
    assert run("check_health.py", "http://127.0.0.1:9/health/ready").returncode == 1
