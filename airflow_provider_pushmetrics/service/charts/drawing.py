"""
Drawing charts: from a Vega-Lite specification to SVG for pages and to PNG for mails.

A specification is a program: one line of it can exhaust the machine. So each is drawn in a
separate process with limits, which loads no external data.
"""

from __future__ import annotations

import atexit
import re
import threading

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.bounded_processes.child import (
    CallFailedError,
    ChildDiedError,
    ChildProcess,
)
from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.charts.draw import MAX_CPU_SECONDS
from airflow_provider_pushmetrics.service.charts.pictures import DrawnChart
from airflow_provider_pushmetrics.service.datasources.base import Stopper

DRAW_PROGRAM = "airflow_provider_pushmetrics.service.charts.draw"
MAX_DRAWINGS = 4
MAX_DRAWN_BYTES = 64 * 1024 * 1024
DRAW_TIMEOUT_SECONDS = 120
"""A process that draws has 60 s of CPU time; on a busy machine these take longer."""

MAX_CHART_ERROR_LENGTH = 300

CHILDREN = ChildPool(
    DRAW_PROGRAM, max_children=MAX_DRAWINGS, max_frame_bytes=MAX_DRAWN_BYTES, variables=["TZ"]
)
"""The processes that draw, each one chart, with moments in the time zone of this process."""

atexit.register(CHILDREN.close)

TRACE = re.compile(r"\n[^\S\n]+at .*", re.S)


class DrawingError(PushMetricsError):
    """A chart cannot be drawn."""


def draw(
    spec: str, stopper: Stopper | None = None, *, timeout_seconds: float = DRAW_TIMEOUT_SECONDS
) -> DrawnChart:
    """
    Draw a chart.

    :param spec: A Vega-Lite specification as JSON, with its rows.
    :param stopper: Ends the process that draws, and the wait for one.
    :raises DrawingError: if it is no specification that can be drawn, takes too long, or was stopped.
    """
    stopper = stopper or Stopper()
    try:
        with CHILDREN.lease(lambda: stopper.reason is not None) as child:
            stopper.register(child.kill)
            try:
                return _draw(spec, child, timeout_seconds)
            finally:
                stopper.register(None)
    except (ChildDiedError, DrawingError) as error:
        raise DrawingError(stopper.reason or str(error)) from error


def _draw(spec: str, child: ChildProcess, timeout_seconds: float) -> DrawnChart:
    too_long = f"the chart took longer than {timeout_seconds:g} s to draw: give it fewer rows."
    timer = threading.Timer(timeout_seconds, child.kill, [too_long])
    try:
        timer.start()
        return DrawnChart.decode(b"".join(child.call(spec.encode())))
    except RuntimeError as error:
        raise DrawingError(f"the chart cannot be drawn now: {error}.") from error
    except CallFailedError as error:
        raise DrawingError(f"the chart cannot be drawn: {_describe(str(error))}") from error
    except ChildDiedError as error:
        raise DrawingError(too_long if error.ending == too_long else _explain(error.ending)) from error
    finally:
        timer.cancel()


def _explain(ending: str | None) -> str:
    """Say why a drawing ended by itself."""
    if ending in ("signal SIGKILL", "signal SIGXCPU"):
        return (
            f"the chart took more than {MAX_CPU_SECONDS} s of processor time, or this machine ran out of"
            " memory: give it fewer rows."
        )
    return (
        f"the chart cannot be drawn: its process ended ({ending}). It exceeds the memory limit of a chart, or"
        " has something that cannot be drawn."
    )


def _describe(message: str) -> str:
    return TRACE.sub("", message).strip()[:MAX_CHART_ERROR_LENGTH]
