"""What the tests of deployments run: programs of Debian, and those of an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


def find_program(name: str, package: str) -> str:
    """Find a program; without it, skip the test."""
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: {package})")
    return found


@cache
def install_tools() -> Path:
    """Install the environment with Helm, Caddy and others, and give its folder."""
    script = ROOT / "scripts" / "install_deployment_tools"
    found = subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True)
    return Path(found.stdout.strip())


def run_with_tools(code: str, *arguments: str) -> str:
    """Run Python in that environment, and give its output."""
    command = [str(install_tools() / "bin" / "python"), "-I", "-c", code, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout
