"""What a process of the service writes to stderr."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable

from airflow_provider_pushmetrics.redaction import RedactingFilter

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

SPARING_SECONDS = 60.0


class SparingLog:
    """
    Writes of the same trouble once a minute, however many threads meet it how often.

    :param log: Where to.
    """

    def __init__(self, log: logging.Logger, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next: float | None = None

    def warning(self, message: str, *arguments: object) -> None:
        """Write a warning, unless there was one less than a minute ago."""
        with self._lock:
            now = self._monotonic()
            if self._next is not None and now < self._next:
                return
            self._next = now + SPARING_SECONDS
        self._log.warning(message, *arguments)


class SparingFilter(logging.Filter):
    """Lets what begins alike, up to a colon, through once a minute: DBOS tells of an outage at every poll."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is to be written."""
        beginning = record.getMessage().partition(":")[0]
        now = self._monotonic()
        with self._lock:
            if now < self._next.get(beginning, now):
                return False
            self._next = {known: end for known, end in self._next.items() if end > now}
            self._next[beginning] = now + SPARING_SECONDS
        return True


def set_up_logging() -> None:
    """Log to stderr, with every credential taken out."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    handler.addFilter(RedactingFilter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("alembic", "httpx", "httpcore", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # DBOS brings a handler of its own, which redacts nothing; with one there, it adds none.
    dbos_log = logging.getLogger("dbos")
    dbos_log.addHandler(handler)
    dbos_log.addFilter(SparingFilter())
    dbos_log.propagate = False
