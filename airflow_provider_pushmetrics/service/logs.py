"""What a process of the service writes to stderr."""

from __future__ import annotations

import logging
import sys

from airflow_provider_pushmetrics.redaction import RedactingFilter

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


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
    dbos_log.propagate = False
