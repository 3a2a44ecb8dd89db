"""The command, as it is ended early."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from demo.processes import DemoProcesses
from tests.fakes.pgbouncer import SEARCH_PATH
from tests.fakes.waiting import wait_until

ROOT = Path(__file__).parents[3]
MISSING = [
    name for name in ("haproxy", "pgbouncer", "redis-server") if not shutil.which(name, path=SEARCH_PATH)
]


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_interrupted_leaves_no_process_behind(tmp_path: Path, number: int) -> None:
    processes = DemoProcesses(tmp_path / ".chaos")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.chaos", "--size", "quick", "--seed", "1"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True) as running:
        wait_until(lambda: (tmp_path / ".chaos" / "logs" / "web-1.log").exists(), "the first processes")
        assert processes.find_members()
        running.send_signal(number)
        assert running.wait(120) == 128 + number
    assert processes.find_members() == set()
