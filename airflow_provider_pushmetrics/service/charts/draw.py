"""The program of the drawing processes, one chart each: from Vega-Lite to the pictures of the chart."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from airflow_provider_pushmetrics.service.bounded_processes.limits import limit_cpu, limit_memory
from airflow_provider_pushmetrics.service.bounded_processes.server import CallError, Send, serve
from airflow_provider_pushmetrics.service.charts.pictures import PNG_SCALE, DrawnChart

MAX_DATA_BYTES = 1024 * 1024 * 1024
MAX_CPU_SECONDS = 60
"""For its four drawings."""

MISSING = "vl-convert-python is missing: pip install 'airflow-provider-pushmetrics[service]'"
TRANSPARENT = {"background": "transparent"}
WHITE = {"background": "white"}
SPOKEN = frozenset({"aria-label", "aria-roledescription"})
"""Attributes of text, such as values of rows, which refer to nothing."""

ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)")
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0, and so SVG, cannot hold; the converter aborts at it: https://www.w3.org/TR/xml/#charsets."""

EXTERNAL_URL = re.compile(r"url\(\s*+[\"']?\s*[^#\"'\s]", re.IGNORECASE)


def refuse_references(svg: str) -> None:
    """
    Refuse SVG with references: the PNG converter would read files and open connections.

    :raises ValueError: if it has external images, links or styles.
    """
    for element in ElementTree.fromstring(svg).iter():  # noqa: S314 (written by Vega, without a DTD)
        if element.tag.rpartition("}")[2] in ("image", "use", "style", "foreignObject"):
            raise ValueError("a chart cannot have image marks")
        for name, value in element.attrib.items():
            if name.rpartition("}")[2] == "href" and not value.startswith("#"):
                raise ValueError("a chart cannot have links")
            if name not in SPOKEN and EXTERNAL_URL.search(value):
                raise ValueError("a chart cannot refer to anything elsewhere")


def replace_invisible(spec: str) -> str:
    """Replace what SVG cannot hold, such as a vertical tab, in the texts of a specification, by U+FFFD."""
    return NO_XML.sub("\ufffd", ESCAPE.sub(_replace_escape, spec))


def _replace_escape(escape: re.Match[str]) -> str:
    if escape[1] is None:
        return "\ufffd" if escape[0] in (r"\b", r"\f") else escape[0]
    code = int(escape[1], 16)
    is_half = 0xD800 <= code < 0xE000  # of a character beyond 16 bits
    return "\ufffd" if NO_XML.match(chr(code)) and not is_half else escape[0]


def answer(request: memoryview, send: Send) -> None:
    """
    Draw a chart, and send its pictures.

    :raises CallError: if it cannot be drawn.
    """
    limit_memory(MAX_DATA_BYTES)
    limit_cpu(MAX_CPU_SECONDS)
    try:
        send(draw(bytes(request).decode()).encode())
    except ImportError:
        raise CallError(MISSING) from None
    except ValueError as error:
        raise CallError(str(error).partition("conversion failed:")[2].strip() or str(error)) from error


def draw(spec: str) -> DrawnChart:
    """
    Draw a chart in this process.

    :raises ValueError: if it cannot be drawn.
    """
    from vl_convert import svg_to_png, vegalite_to_svg

    spec = replace_invisible(spec)
    printed = vegalite_to_svg(spec, config=WHITE, allowed_base_urls=[])
    refuse_references(printed)
    light = vegalite_to_svg(spec, config=TRANSPARENT, allowed_base_urls=[])
    dark = vegalite_to_svg(spec, config=TRANSPARENT, theme="dark", allowed_base_urls=[])
    return DrawnChart(light.encode(), dark.encode(), bytes(svg_to_png(printed, scale=PNG_SCALE)))


if __name__ == "__main__":
    serve(answer, is_reusable=False)  # a specification is a program, which may affect the next one
