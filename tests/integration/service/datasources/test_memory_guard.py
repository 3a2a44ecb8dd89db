"""The end of a process that uses too much memory."""

from __future__ import annotations

import subprocess
import sys
from shutil import which

import pytest

from tests.fakes.waiting import LIMIT_SECONDS

AS_FIRST_PROCESS = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
"""A container's only process is the first one of its namespace: the kernel spares it its own SIGKILL."""

PROGRAM = """
import os, sys, time
from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.datasources.memory_guard import MemoryGuard, RunningQueries

print(os.getpid(), flush=True)
MemoryGuard(1, RunningQueries(), ChildPool("none", max_children=1, max_frame_bytes=1)).start()
time.sleep(float(sys.argv[1]))
"""


def run_guarded(*prefix: str) -> subprocess.CompletedProcess[str]:
    """Run a process that exceeds its limit, until the guard ends it."""
    command = [*prefix, sys.executable, "-c", PROGRAM, "20"]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS)


def test_process_above_its_limit_ends_with_the_code_of_a_killed_one() -> None:
    assert run_guarded().returncode == 137


def test_only_process_of_a_container_ends_above_its_limit() -> None:
    if (
        which("unshare") is None
        or subprocess.run([*AS_FIRST_PROCESS, "true"], capture_output=True).returncode
    ):
        pytest.skip("this machine does not let its users make namespaces")
    ended = run_guarded(*AS_FIRST_PROCESS)
    assert (ended.stdout, ended.returncode) == ("1\n", 137), ended.stderr
