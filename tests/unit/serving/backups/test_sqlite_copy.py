"""Copies of a database on SQLite that cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.serving.backups.sqlite_copy import copy_sqlite


def test_error_of_sqlite_is_one_that_commands_print(tmp_path: Path) -> None:
    file = tmp_path / "service.db"
    file.write_bytes(b"no database" * 1000)
    with (
        pytest.raises(PushMetricsConfigurationError, match=r"cannot be copied to .*: file is not a database"),
        copy_sqlite(file, tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == [file]
