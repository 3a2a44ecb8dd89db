"""Acting in the middle of a restore: its place was found to be empty, and nothing is written yet."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from typing import Any

import pytest


def act_when_an_archive_is_read(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Act once, when the next archive is opened."""
    opened, due = tarfile.open, [act]

    def open_(*arguments: Any, **options: Any) -> tarfile.TarFile:
        if due:
            due.pop()()
        return opened(*arguments, **options)

    monkeypatch.setattr(tarfile, "open", open_)
