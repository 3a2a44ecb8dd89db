"""The health check of docker-compose.yaml; ``test_set_up.py`` has its other program outside the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.integration.demo.conftest import FakeServer

DOCKER = Path(__file__).resolve().parents[3] / "docker"


def run(program: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DOCKER / program), *arguments]
    return subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, timeout=240)


def test_the_health_check_says_whether_a_server_is_well(server: FakeServer) -> None:
    server.will_answer("GET", "/health/ready", {"status": "ok"})
    assert run("check_health.py", f"{server.url}/health/ready").returncode == 0
    server.will_answer("GET", "/health/ready", {"status": "starting"}, 503)
    assert "503" in run("check_health.py", f"{server.url}/health/ready").stderr


def test_the_health_check_of_a_server_that_is_down_fails(server: FakeServer) -> None:
    assert run("check_health.py", "http://127.0.0.1:9/health/ready").returncode == 1
