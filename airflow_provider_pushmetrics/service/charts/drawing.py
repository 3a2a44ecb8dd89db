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
from airflow_provider_pushmetrics.service.bounded_processes.child import CallFailedError, ChildDiedError
from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.charts.pictures import DrawnChart

DRAW_PROGRAM = "airflow_provider_pushmetrics.service.charts.draw"
MAX_DRAWINGS = 4
MAX_DRAWN_BYTES = 64 * 1024 * 1024
DRAW_TIMEOUT_SECONDS = 120
"""A process that draws has 30 s of CPU time; on a busy machine these take longer."""

MAX_CHART_ERROR_LENGTH = 300

CHILDREN = ChildPool(DRAW_PROGRAM, max_children=MAX_DRAWINGS, max_frame_bytes=MAX_DRAWN_BYTES)
"""The processes that draw, each one chart."""

atexit.register(CHILDREN.close)

TRACE = re.compile(r"\n[^\S\n]+at .*", re.S)


class DrawingError(PushMetricsError):
    """A chart cannot be drawn."""


def draw(spec: str, *, timeout_seconds: float = DRAW_TIMEOUT_SECONDS) -> DrawnChart:
    """
    Draw a chart.

    :param spec: A Vega-Lite specification as JSON, with its rows.
    :raises DrawingError: if it is no specification that can be drawn, or takes too long.
    """
    too_long = f"the chart took longer than {timeout_seconds:g} s to draw: give it fewer rows."
    with CHILDREN.lease() as child:
        timer = threading.Timer(timeout_seconds, child.kill, [too_long])
        timer.start()
        try:
            return DrawnChart.decode(b"".join(child.call(spec.encode())))
        except CallFailedError as error:
            raise DrawingError(f"the chart cannot be drawn: {_describe(str(error))}") from error
        except ChildDiedError as error:
            too_much = "the chart cannot be drawn: it exceeds the memory limit of a chart."
            raise DrawingError(too_long if error.ending == too_long else too_much) from error
        finally:
            timer.cancel()


def _describe(message: str) -> str:
    return TRACE.sub("", message).strip()[:MAX_CHART_ERROR_LENGTH]
