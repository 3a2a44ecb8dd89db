"""
Draw charts: from a Vega-Lite specification to SVG for pages and to PNG for mails.

A specification is a program: one line of it can ask for more than the machine has. So each is drawn by a
process of its own, with bounds, and that process loads nothing from anywhere.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from airflow_provider_pushmetrics.exceptions import PushMetricsError

PROGRAM = Path(__file__).with_name("draw.py")
DRAW_TIMEOUT_SECONDS = 30
MAX_CHART_ERROR_LENGTH = 300

POOL = ThreadPoolExecutor(2, thread_name_prefix="charts")
"""So many charts are drawn for requests at a time; its threads are not those that answer other requests."""

TRACE = re.compile(r"\n\s+at .*", re.S)


class DrawingError(PushMetricsError):
    """A chart cannot be drawn."""


def draw(
    spec: str, *, is_dark: bool = False, is_png: bool = False, timeout_seconds: float = DRAW_TIMEOUT_SECONDS
) -> bytes:
    """
    Draw a chart, as SVG unless PNG is asked for.

    :param spec: A Vega-Lite specification as JSON, with its rows.
    :param is_dark: Whether it stands on a dark page.
    :raises DrawingError: if it is no specification that can be drawn, or takes too long.
    """
    # An empty environment: a chart has no business with credentials or proxies.
    command = [sys.executable, "-I", str(PROGRAM)]
    command += [word for word, is_wanted in (("dark", is_dark), ("png", is_png)) if is_wanted]
    try:
        done = subprocess.run(
            command, input=spec.encode(), capture_output=True, env={}, timeout=timeout_seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise DrawingError(
            f"the chart took longer than {timeout_seconds:g} s to draw: give it fewer rows."
        ) from None
    if done.returncode != 0:
        raise DrawingError(f"the chart cannot be drawn: {_describe(done.stderr.decode(errors='replace'))}")
    return done.stdout


async def draw_in_turn(spec: str, *, is_dark: bool = False) -> bytes:
    """
    Draw a chart when it is its turn, while others wait without a thread.

    :raises DrawingError: if it cannot be drawn.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(POOL, partial(draw, spec, is_dark=is_dark))


def _describe(output: str) -> str:
    message = TRACE.sub("", output).strip()
    return message[:MAX_CHART_ERROR_LENGTH] or "it needs more than a chart may take."
