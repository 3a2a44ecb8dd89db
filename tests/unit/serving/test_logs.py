"""What a server writes to its log, and how often."""

from __future__ import annotations

import json
import logging

import pytest

from airflow_provider_pushmetrics.redaction import RedactingFilter
from airflow_provider_pushmetrics.serving.logs import (
    JsonFormatter,
    ThrottledLog,
    describe_fault,
)
from tests.fakes.clock import Clock


def build_record(message: str) -> logging.LogRecord:
    return logging.LogRecord("library", logging.WARNING, __file__, 1, message, (), None)


def test_failure_is_written_at_once_then_once_a_minute_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    log = ThrottledLog(logging.getLogger("server"), clock=clock)
    caplog.set_level(logging.INFO)
    log.end("works")  # nothing was wrong
    for second in range(90):
        clock.now = 100.0 + second
        log.error("no connection since %s s", second)
    log.end("works again")
    log.end("works again")
    assert caplog.messages == [
        "no connection since 0 s",
        "no connection since 60 s (59 more since the last such line)",
        "works again",
    ]


def test_failure_that_comes_and_goes_is_written_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    log = ThrottledLog(logging.getLogger("server"), clock=Clock())
    caplog.set_level(logging.INFO)
    for _ in range(50):
        log.warning("no connection")
        log.end("works")
    assert caplog.messages == ["no connection", "works"]


def test_percent_sign_without_arguments_is_text(caplog: pytest.LogCaptureFixture) -> None:
    ThrottledLog(logging.getLogger("server"), clock=Clock()).warning("the disk is 100%s full")
    assert caplog.messages == ["the disk is 100%s full"]


@pytest.mark.parametrize(("name", "level"), [("warning", logging.WARNING), ("error", logging.ERROR)])
def test_line_has_the_level_of_its_call(name: str, level: int, caplog: pytest.LogCaptureFixture) -> None:
    getattr(ThrottledLog(logging.getLogger("server"), clock=Clock()), name)("no connection")
    assert [record.levelno for record in caplog.records] == [level]


def write_json(record: logging.LogRecord) -> dict[str, str]:
    RedactingFilter().filter(record)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    found: dict[str, str] = json.loads(line)
    return found


def test_line_is_one_json_object_without_tokens() -> None:
    record = logging.LogRecord("receiver", logging.INFO, "x.py", 1, "POST /a?token=%s\n", ("s3cret-9",), None)
    line = write_json(record)
    assert set(line) == {"time", "level", "logger", "message"}
    assert (line["level"], line["message"]) == ("INFO", "POST /a?token=***\n")
    assert line["time"].endswith("+00:00")


def test_traceback_is_part_of_the_line_and_without_tokens_too() -> None:
    try:
        raise ValueError("http://x/?token=s3cret-9")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
        record = logging.LogRecord("receiver", logging.ERROR, "x.py", 1, "broken", None, info)
    line = write_json(record)
    assert "ValueError" in line["traceback"]
    assert "s3cret" not in line["traceback"]


def test_fault_is_described_by_type_and_place_without_its_text() -> None:
    try:
        raise ValueError("what a client sent")
    except ValueError as error:
        described = describe_fault(error)
    assert described.startswith(f"ValueError at {__file__}:")
    assert "client" not in described
    assert describe_fault(KeyError("sent")) == "KeyError"
