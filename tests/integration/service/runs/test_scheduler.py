"""The scheduler's thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.service.runs.scheduler import Scheduler
from airflow_provider_pushmetrics.service.storage.clock import DatabaseClock
from airflow_provider_pushmetrics.service.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/service.db")
    database.migrate()
    yield database
    database.close()


def test_scheduler_outlives_a_failure(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    has_fired = threading.Event()
    calls: list[int] = []

    def fire(*_: object) -> int:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("unforeseen")
        has_fired.set()
        return 1

    def read_clock(_database: Database, _clock: DatabaseClock) -> int:
        return fire()

    scheduler = Scheduler(database, fire=read_clock)
    with caplog.at_level(logging.ERROR):
        scheduler.start()
        assert has_fired.wait(120)
    assert scheduler.stop()
    assert "scheduler failed, retrying: ValueError" in caplog.text
    assert len(calls) >= 2
