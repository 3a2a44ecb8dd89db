"""scripts/check_workflows, on a folder with an invalid workflow."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FORM = ".github/ISSUE_TEMPLATE/bug_report"
VALID = {
    ".github/workflows/valid.yml": "on: push\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n",
    ".github/ISSUE_TEMPLATE/config.yml": "blank_issues_enabled: true\n",
    f"{FORM}.yml": (ROOT / f"{FORM}.yml").read_text("utf-8"),
}


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["yml", "yaml"])
@pytest.mark.parametrize("name", [".github/workflows/invalid", ".github/ISSUE_TEMPLATE/invalid"])
def test_invalid_file_is_found_whatever_its_suffix(tmp_path: Path, name: str, suffix: str) -> None:
    for path, text in {**VALID, f"{name}.{suffix}": "jobs: 1\n"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, "utf-8")
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "check_workflows", tmp_path / "scripts")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    command = [str(tmp_path / "scripts" / "check_workflows")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert f"invalid.{suffix}" in done.stdout
