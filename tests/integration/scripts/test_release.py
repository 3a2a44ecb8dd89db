"""What a tag is refused for before anything is built: scripts/check_release and scripts/check_commit."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": str(folder)}
    return subprocess.run(
        command, cwd=folder, env={**own, **environment}, capture_output=True, text=True, timeout=120
    )


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    done = run(folder, "git", *identity, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree whose version can be published."""
    for name in ("check_release", "check_commit"):
        (tmp_path / "scripts").mkdir(exist_ok=True)
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    package = tmp_path / "airflow_provider_pushmetrics"
    package.mkdir()
    (package / "__init__.py").write_text('__version__ = "0.1.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 0.1.0 (2026-12-01)\n")
    (tmp_path / "README.md").write_text("Install it from PyPI.\n")
    (tmp_path / "SECURITY.md").write_text("Write to the maintainers.\n")
    return tmp_path


def test_a_version_with_a_date_is_taken(tree: Path) -> None:
    assert run(tree, "scripts/check_release", "v0.1.0").returncode == 0


def test_the_tag_of_another_version_is_refused(tree: Path) -> None:
    assert "the package has the version 0.1.0" in run(tree, "scripts/check_release", "v0.1.1").stderr


def test_a_version_without_a_date_is_refused(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text("## 0.1.0 (unreleased)\n")
    assert "has no heading '## 0.1.0 (YYYY-MM-DD)'" in run(tree, "scripts/check_release", "v0.1.0").stderr


@pytest.mark.parametrize("page", ["README.md", "SECURITY.md", "CHANGELOG.md"])
@pytest.mark.parametrize(
    "text",
    [
        "The package is not on PyPI yet.",
        "It is not published yet.",
        "It is not yet released.",
        "## Unreleased",
    ],
)
def test_a_page_that_says_that_nothing_is_published_is_refused(tree: Path, page: str, text: str) -> None:
    with (tree / page).open("a") as file:
        file.write(f"{text}\n")
    done = run(tree, "scripts/check_release", "v0.1.0")
    assert done.returncode == 1
    assert f"{page}:" in done.stderr
    assert text in done.stderr


@pytest.fixture
def commits(tree: Path) -> dict[str, str]:
    """A repository with a commit that is on main, and one that is not; and a forge that answers by file."""
    (tree / "bin").mkdir()
    forge = tree / "bin" / "gh"
    forge.write_text(f'#!/bin/sh\necho "$@" >{tree}/asked\ncat {tree}/passed\n')
    forge.chmod(0o755)
    git(tree, "init", "--quiet", "--initial-branch=work")
    git(tree, "add", "scripts")
    git(tree, "commit", "--quiet", "--message=a")
    git(tree, "update-ref", "refs/remotes/origin/main", "HEAD")
    on_main = git(tree, "rev-parse", "HEAD")
    git(tree, "commit", "--quiet", "--allow-empty", "--message=b")
    return {"on_main": on_main, "elsewhere": git(tree, "rev-parse", "HEAD")}


def check(tree: Path, commit: str, passed: int) -> subprocess.CompletedProcess[str]:
    (tree / "passed").write_text(f"{passed}\n")
    return run(tree, "scripts/check_commit", commit, GITHUB_REPOSITORY="an/owner")


def test_a_commit_of_main_for_which_ci_passed_is_taken(tree: Path, commits: dict[str, str]) -> None:
    done = check(tree, commits["on_main"], passed=1)
    assert done.returncode == 0, done.stderr
    asked = (tree / "asked").read_text()
    for part in ("an/owner/actions/workflows/ci.yml/runs", "branch=main", "event=push", "status=success"):
        assert part in asked
    assert f"head_sha={commits['on_main']}" in asked
    assert (ROOT / ".github" / "workflows" / "ci.yml").is_file()


def test_a_commit_for_which_ci_did_not_pass_is_refused(tree: Path, commits: dict[str, str]) -> None:
    done = check(tree, commits["on_main"], passed=0)
    assert (done.returncode, "CI has not passed" in done.stderr) == (1, True)


def test_a_commit_that_is_not_on_main_is_refused(tree: Path, commits: dict[str, str]) -> None:
    done = check(tree, commits["elsewhere"], passed=1)
    assert (done.returncode, "is not one of main" in done.stderr) == (1, True)
    assert not (tree / "asked").exists()


def test_a_forge_that_does_not_answer_refuses(tree: Path, commits: dict[str, str]) -> None:
    (tree / "bin" / "gh").write_text("#!/bin/sh\nexit 1\n")
    assert check(tree, commits["on_main"], passed=1).returncode != 0
