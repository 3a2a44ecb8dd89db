"""Logging of a server to stderr: text or JSON, without credentials, one line a minute for each failure."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal, TextIO

from airflow_provider_pushmetrics.redaction import RedactingFilter

LogFormat = Literal["text", "json"]

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

REPEAT_SECONDS = 60.0
"""The minimum time between two lines about one failure."""

QUIET_LOGGERS = ("alembic", "httpx", "httpcore", "uvicorn.error")
"""Libraries of which only warnings are logged."""


class ThrottledLog:
    """
    Writes one line a minute about a failure, however often it occurs in any thread.

    Each line contains how many were suppressed since the last one.

    :param log: The logger.
    :param clock: Gives seconds that never go back.
    """

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._written_at: float | None = None
        self._left_out = 0
        self._is_reported = False

    def warning(self, message: str, *arguments: object) -> None:
        """Write a warning, unless a line was written less than a minute ago."""
        self._write(logging.WARNING, message, arguments)

    def error(self, message: str, *arguments: object) -> None:
        """Write an error, unless a line was written less than a minute ago."""
        self._write(logging.ERROR, message, arguments)

    def end(self, message: str) -> None:
        """Log that the failure is over, if the last line was about it."""
        if not self._is_reported:
            return
        with self._lock:
            was_reported, self._is_reported = self._is_reported, False
        if was_reported:
            self._log.info("%s", message)

    def _write(self, level: int, message: str, arguments: tuple[object, ...]) -> None:
        with self._lock:
            now = self._clock()
            if self._written_at is not None and now - self._written_at < REPEAT_SECONDS:
                self._left_out += 1
                return
            more = f" ({self._left_out} more since the last such line)" if self._left_out else ""
            self._written_at, self._left_out, self._is_reported = now, 0, True
        self._log.log(level, "%s%s", message % arguments if arguments else message, more)


_facts: ContextVar[Mapping[str, str | int]] = ContextVar("log_facts", default=MappingProxyType({}))


@contextmanager
def logging_about(**facts: str | int) -> Iterator[None]:
    """Add these ids to each JSON line that is written in the block."""
    token = _facts.set({**_facts.get(), **facts})
    try:
        yield
    finally:
        _facts.reset(token)


class JsonFormatter(logging.Formatter):
    """
    Writes a record as one JSON object: time, level, logger, message, and the traceback if there is one.

    The ids of what it is about are in it, as far as they are known: of the trace, the span, and the run,
    delivery or message.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, str | int] = {
            **_facts.get(),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["traceback"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line)


class StderrHandler(logging.StreamHandler[TextIO]):
    """
    Writes to what ``sys.stderr`` is at that moment.

    Tests and programs that call a command replace it meanwhile, and close theirs. A handler that holds the
    closed one would report an error for each line of any server in the process.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """The stream to write to."""
        return sys.stderr


def set_up_logging(log_format: LogFormat = "text") -> None:
    """
    Log to stderr, with every credential removed.

    :param log_format: One line of text for each record, or one JSON object.
    """
    handler = StderrHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter(TEXT_FORMAT))
    handler.addFilter(RedactingFilter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def describe_fault(error: BaseException) -> str:
    """Describe an unexpected error by its type and place; its message may contain data of a client."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
