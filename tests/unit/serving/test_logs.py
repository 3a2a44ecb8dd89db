"""What a process of the service writes, and how often."""

from __future__ import annotations

import logging

from airflow_provider_pushmetrics.serving.logs import SPARING_SECONDS, SparingFilter


def build_record(message: str) -> logging.LogRecord:
    return logging.LogRecord("dbos", logging.WARNING, __file__, 1, message, (), None)


def test_lines_that_begin_alike_are_written_once_a_minute() -> None:
    now = [100.0]
    sparing = SparingFilter(monotonic=lambda: now[0])
    assert sparing.filter(build_record("Database connection failed: at port 5432"))
    assert not sparing.filter(build_record("Database connection failed: at port 5433"))
    assert sparing.filter(build_record("Notification listener error: closed"))
    now[0] += SPARING_SECONDS
    assert sparing.filter(build_record("Database connection failed: again"))
    assert not sparing.filter(build_record("Database connection failed: and again"))
