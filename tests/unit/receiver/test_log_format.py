from __future__ import annotations

import json
import logging

from airflow_provider_pushmetrics.receiver.log_format import JsonFormatter
from airflow_provider_pushmetrics.redaction import RedactingFilter


def write(record: logging.LogRecord) -> dict[str, str]:
    RedactingFilter().filter(record)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    found: dict[str, str] = json.loads(line)
    return found


def test_line_is_one_json_object_without_tokens() -> None:
    record = logging.LogRecord("receiver", logging.INFO, "x.py", 1, "POST /a?token=%s\n", ("s3cret-9",), None)
    line = write(record)
    assert set(line) == {"time", "level", "logger", "message"}
    assert (line["level"], line["message"]) == ("INFO", "POST /a?token=***\n")
    assert line["time"].endswith("+00:00")


def test_traceback_is_part_of_the_line_and_without_tokens_too() -> None:
    try:
        raise ValueError("http://x/?token=s3cret-9")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
        record = logging.LogRecord("receiver", logging.ERROR, "x.py", 1, "broken", None, info)
    line = write(record)
    assert "ValueError" in line["traceback"]
    assert "s3cret" not in line["traceback"]
