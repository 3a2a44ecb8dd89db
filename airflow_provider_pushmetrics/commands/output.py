"""What a command prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def keep_output_clean() -> Iterator[None]:
    """
    Send what Airflow and plugins print to the other stream, so that the output is the result alone.

    Airflow has to be imported inside: its log stays with the stream that was the output then.
    """
    with redirect_stdout(sys.stderr):
        yield
