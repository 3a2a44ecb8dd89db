"""scripts/build_package.py: two builds of one commit are equal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def build(folder: Path, umask: int) -> dict[str, bytes]:
    """Build the package; give the files and their names."""
    command = [sys.executable, str(ROOT / "scripts" / "build_package.py"), str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=600, umask=umask)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_builds_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    usual, private = build(tmp_path / "usual", 0o022), build(tmp_path / "private", 0o077)
    assert sorted(name.rpartition(".")[2] for name in usual) == ["gz", "whl"]
    assert usual == private
