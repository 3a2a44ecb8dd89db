"""A process that uses a SQLite file keeps its locks, so no other one takes itself for the last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sqlalchemy import Engine

from airflow_provider_pushmetrics.serving.sqlite import create_sqlite_engine

OTHER_PROCESS = """
import sys
from airflow_provider_pushmetrics.serving.sqlite import create_sqlite_engine

engine = create_sqlite_engine(sys.argv[1], busy_timeout_seconds=60, pool_size=2, max_overflow=0)
with engine.connect() as connection:
    print(connection.exec_driver_sql("SELECT max(n) FROM numbers").scalar())
engine.dispose()
"""


def read_in_another_process(url: str) -> int:
    command = [sys.executable, "-c", OTHER_PROCESS, url]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def write(engine: Engine, number: int) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO numbers VALUES (?)", (number,))


def test_process_that_ends_beside_another_leaves_the_write_ahead_log_in_use(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    url = f"sqlite:///{path}"
    engine = create_sqlite_engine(url, busy_timeout_seconds=60, pool_size=2, max_overflow=0)
    with engine.connect() as first:
        first.exec_driver_sql("CREATE TABLE numbers (n INTEGER)")
        first.commit()
        with engine.connect() as second:
            second.exec_driver_sql("SELECT n FROM numbers").all()
    write(engine, 1)
    log = Path(f"{path}-wal").stat().st_ino
    assert read_in_another_process(url) == 1
    assert Path(f"{path}-wal").stat().st_ino == log
    write(engine, 2)
    assert read_in_another_process(url) == 2
    engine.dispose()
