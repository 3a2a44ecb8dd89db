from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.unit.serving.test_service_links import OF_SERVICE_PUSHMETRICS, OF_SERVICE_RECEIVER


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["receiver", "--help"], OF_SERVICE_RECEIVER),
        (["receiver"], OF_SERVICE_RECEIVER),
        (["service", "--data", "/dev/null/none"], OF_SERVICE_PUSHMETRICS),
    ],
)
def test_the_command_line_begins_in_such_a_pod(arguments: list[str], environment: dict[str, str]) -> None:
    """It fails for what is missing or wrong, and not for the port."""
    program = "from airflow_provider_pushmetrics.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert "enableServiceLinks: false" in done.stderr
    assert "Invalid value for '--port'" not in done.stderr
    assert "10.0.0.1" not in done.stderr.partition("enableServiceLinks")[2]
