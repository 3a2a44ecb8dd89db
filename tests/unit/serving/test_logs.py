"""What a server writes to its log, and how often."""

from __future__ import annotations

import io
import json
import logging
from contextlib import redirect_stderr
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.redaction import REDACTED, RedactingFilter
from airflow_provider_pushmetrics.serving.logs import (
    TEXT_FORMAT,
    JsonFormatter,
    ThrottledLog,
    describe_fault,
    logging_about,
    set_up_logging,
)
from tests.fakes.clock import Clock
from tests.fakes.kept_logging import keep_logging


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


def test_log_follows_stderr_when_it_was_replaced_and_closed() -> None:
    before, now = io.StringIO(), io.StringIO()
    with keep_logging():
        with redirect_stderr(before):
            set_up_logging()
            logging.getLogger("server").info("started")
            assert "INFO server: started\n" in before.getvalue()
        before.close()
        with redirect_stderr(now):
            logging.getLogger("server").info("a request")
    assert now.getvalue().endswith("INFO server: a request\n")
    assert "Logging error" not in now.getvalue()


def test_percent_sign_without_arguments_is_text(caplog: pytest.LogCaptureFixture) -> None:
    ThrottledLog(logging.getLogger("server"), clock=Clock()).warning("the disk is 100%s full")
    assert caplog.messages == ["the disk is 100%s full"]


@pytest.mark.parametrize(("name", "level"), [("warning", logging.WARNING), ("error", logging.ERROR)])
def test_line_has_the_level_of_its_call(name: str, level: int, caplog: pytest.LogCaptureFixture) -> None:
    getattr(ThrottledLog(logging.getLogger("server"), clock=Clock()), name)("no connection")
    assert [record.levelno for record in caplog.records] == [level]


def write_json(record: logging.LogRecord) -> dict[str, Any]:
    RedactingFilter().filter(record)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
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


def test_line_has_the_ids_of_what_it_is_about() -> None:
    record = build_record("it ends")
    with logging_about(trace_id="0af7", run_id=7), logging_about(span_id="b7ad", message="not the line's"):
        line = write_json(record)
    assert {name: line.get(name) for name in ("trace_id", "span_id", "run_id")} == {
        "trace_id": "0af7",
        "span_id": "b7ad",
        "run_id": 7,
    }
    assert line["message"] == "it ends"
    assert "run_id" not in write_json(record)


SECRETS = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=16, max_size=40
)
WAYS = (
    "https://p/api/v1/report/1/webhook?token={}&x=1",
    "Authorization: Bearer {}",
    "pmpat_{}",
    "whsec_{}",
    "postgresql://user:{}@db/name",
    "\u2028 token={} é",
)


@given(SECRETS, st.sampled_from(WAYS), st.sampled_from(["message", "argument", "error", "stack"]))
def test_no_secret_that_text_hides_is_in_a_json_line(secret: str, way: str, place: str) -> None:
    written = way.format(secret)
    record = build_record(written if place == "message" else "it failed")
    if place == "argument":
        record.msg, record.args = "called %s", (written,)
    elif place == "error":
        error = ValueError(written)
        record.exc_info = (ValueError, error, None)
    elif place == "stack":
        record.stack_info = written
    RedactingFilter().filter(record)
    assert secret not in logging.Formatter(TEXT_FORMAT).format(record)
    text = JsonFormatter().format(record)
    assert secret not in text
    assert "\n" not in text
    assert REDACTED in text
    json.loads(text)
