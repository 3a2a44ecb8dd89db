"""The program of the drawing processes, one chart each: a call contains Vega-Lite, its answer SVG or PNG."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Literal
from xml.etree import ElementTree

from airflow_provider_pushmetrics.service.bounded_processes.limits import limit_cpu, limit_memory
from airflow_provider_pushmetrics.service.bounded_processes.server import CallError, Send, serve

MAX_DATA_BYTES = 1024 * 1024 * 1024
MAX_CPU_SECONDS = 30
MISSING = "vl-convert-python is missing: pip install 'airflow-provider-pushmetrics[service]'"
TRANSPARENT = {"background": "transparent"}
WHITE = {"background": "white"}
EXTERNAL_URL = re.compile(r"url\(\s*+[\"']?\s*[^#\"'\s]", re.IGNORECASE)
PNG_SCALE = 2
"""Pixels of a picture for each pixel of the page: sharp on high-resolution screens."""


def refuse_references(svg: str) -> None:
    """
    Refuse SVG with references: the PNG converter would read files and open connections.

    :raises ValueError: if it has external images, links or styles.
    """
    for element in ElementTree.fromstring(svg).iter():  # noqa: S314 (written by Vega, without a DTD)
        if element.tag.rpartition("}")[2] in ("image", "use", "style", "foreignObject"):
            raise ValueError("a picture for a mail cannot have image marks")
        for name, value in element.attrib.items():
            if name.rpartition("}")[2] == "href" and not value.startswith("#"):
                raise ValueError("a picture for a mail cannot have links")
            if EXTERNAL_URL.search(value):
                raise ValueError("a picture for a mail cannot refer to anything elsewhere")


@dataclass(frozen=True)
class DrawingCall:
    """
    A chart to draw.

    :param spec: Vega-Lite, as JSON.
    :param is_dark: Whether it is for a dark page.
    :param is_png: Whether to convert it to PNG; otherwise it is SVG.
    """

    spec: str
    is_dark: bool = False
    is_png: bool = False

    def encode(self) -> bytes:
        """Write it for the process that draws."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: memoryview) -> DrawingCall:
        """Read it in that process."""
        return cls(**json.loads(bytes(data)))


def answer(request: memoryview, send: Send) -> None:
    """
    Draw a chart, and send the picture.

    :raises CallError: if it cannot be drawn.
    """
    limit_memory(MAX_DATA_BYTES)
    limit_cpu(MAX_CPU_SECONDS)
    try:
        send(draw(DrawingCall.decode(request)))
    except ImportError:
        raise CallError(MISSING) from None
    except ValueError as error:
        raise CallError(str(error).partition("conversion failed:")[2].strip() or str(error)) from error


def draw(call: DrawingCall) -> bytes:
    """
    Draw a chart in this process.

    :raises ValueError: if it cannot be drawn.
    """
    import vl_convert

    if not call.is_png:
        theme: Literal["dark"] | None = "dark" if call.is_dark else None
        svg = vl_convert.vegalite_to_svg(call.spec, config=TRANSPARENT, theme=theme, allowed_base_urls=[])
        return svg.encode()
    svg = vl_convert.vegalite_to_svg(call.spec, config=WHITE, allowed_base_urls=[])
    refuse_references(svg)
    return bytes(vl_convert.svg_to_png(svg, scale=PNG_SCALE))


if __name__ == "__main__":
    serve(answer, is_reusable=False)  # a specification is a program, which may affect the next one
