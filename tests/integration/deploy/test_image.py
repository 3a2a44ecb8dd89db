"""The image: what it installs is pinned, and its bill of materials is complete. No image is built here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from airflow_provider_pushmetrics.service.storage.object_store import PROVIDERS
from tests.fakes.deployment_tools import ROOT, install_tools, run_with_tools

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text("utf-8")
STAGES = DOCKERFILE.split("\nFROM ")[1:]
(REQUIREMENT,) = re.findall(r'"(\.\[[\w,]+\])"', STAGES[0])
EXTRAS = REQUIREMENT[2:-1].split(",")


def test_the_image_has_what_each_kind_of_object_storage_needs() -> None:
    assert {provider.extra for provider in PROVIDERS.values()} <= set(EXTRAS)


@pytest.mark.slow
def test_everything_that_the_image_installs_has_an_exact_version_in_the_constraints() -> None:
    (constraints,) = set(re.findall(r"--constraint (\S+)", STAGES[0]))
    command = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version", "3.12"]
    extras = [f"--extra={extra}" for extra in EXTRAS]
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("uv")),
            *command,
            "setup.cfg",
            *extras,
            "--constraint",
            constraints,
        ],
        cwd=ROOT,
        env={**os.environ, "UV_SYSTEM_CERTS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    resolved = {
        line for line in done.stdout.splitlines() if not line.startswith("airflow-provider-pushmetrics")
    }
    pinned = {line.partition(" ; ")[0] for line in (ROOT / constraints).read_text("utf-8").splitlines()}
    assert len(resolved) > 100
    assert sorted(resolved - pinned) == []


LIST_INSTALLED = """
import json
from importlib import metadata

print(json.dumps([one.metadata["Name"] for one in metadata.distributions()]))
"""


@pytest.mark.slow
def test_bill_of_materials_names_every_distribution_and_is_the_same_each_time(tmp_path: Path) -> None:
    """Of a smaller environment than the image's, which takes the tool minutes."""
    python, bills = install_tools() / "bin" / "python", []
    for name in ("first", "second"):
        file = tmp_path / name
        environment = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"}
        script = [str(ROOT / "docker" / "write_sbom"), str(python), str(file)]
        done = subprocess.run(
            script, env=environment, check=False, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stderr[-2000:]
        bills.append(file.read_bytes())
    assert bills[0] == bills[1]
    bill = json.loads(bills[0])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    named = {canonicalize_name(component["name"]) for component in bill["components"]}
    assert {canonicalize_name(name) for name in json.loads(run_with_tools(LIST_INSTALLED))} == named


def test_the_image_runs_as_a_user_without_rights_and_has_no_installer() -> None:
    assert len(STAGES) == 2
    last = STAGES[-1]
    assert re.findall(r"^USER (.+)$", last, re.M) == ["50000:50000"]
    assert "pip install" not in last
    assert "--without-pip" in STAGES[0]


def test_both_stages_have_the_same_python() -> None:
    assert [stage.split()[0] for stage in STAGES] == ["python:${PYTHON}"] * 2
