"""The process that draws one chart: Vega-Lite comes in on stdin, SVG or PNG goes out on stdout."""

from __future__ import annotations

import re
import resource
import sys
from typing import Literal
from xml.etree import ElementTree

MAX_DATA_BYTES = 1024 * 1024 * 1024
MAX_CPU_SECONDS = 30
TRANSPARENT = {"background": "transparent"}
WHITE = {"background": "white"}
EXTERNAL_URL = re.compile(r"url\(\s*[\"']?\s*[^#\"'\s]", re.IGNORECASE)
PNG_SCALE = 2
"""Pixels of a picture for each pixel of the page: sharp on high-resolution screens."""


def refuse_references(svg: str) -> None:
    """
    Refuse SVG that leads elsewhere: what makes PNG of it would read files and ask servers.

    :raises ValueError: if it has images, links or styles from elsewhere.
    """
    for element in ElementTree.fromstring(svg).iter():
        if element.tag.rpartition("}")[2] in ("image", "use", "style", "foreignObject"):
            raise ValueError("a picture for a mail cannot have image marks")
        for name, value in element.attrib.items():
            if name.rpartition("}")[2] == "href" and not value.startswith("#"):
                raise ValueError("a picture for a mail cannot have links")
            if EXTERNAL_URL.search(value):
                raise ValueError("a picture for a mail cannot refer to anything elsewhere")


def main() -> int:
    """Draw, and give 0; or say on stderr why not, and give 1."""
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_DATA_BYTES, MAX_DATA_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        import vl_convert
    except ImportError:
        sys.stderr.write("vl-convert-python is missing: pip install 'airflow-provider-pushmetrics[service]'")
        return 1
    spec = sys.stdin.buffer.read().decode()
    theme: Literal["dark"] | None = "dark" if "dark" in sys.argv[1:] else None
    try:
        if "png" in sys.argv[1:]:
            svg = vl_convert.vegalite_to_svg(spec, config=WHITE, allowed_base_urls=[])
            refuse_references(svg)
            image = vl_convert.svg_to_png(svg, scale=PNG_SCALE)
        else:
            image = vl_convert.vegalite_to_svg(
                spec, config=TRANSPARENT, theme=theme, allowed_base_urls=[]
            ).encode()
    except ValueError as error:
        sys.stderr.write(str(error).partition("conversion failed:")[2].strip() or str(error))
        return 1
    sys.stdout.buffer.write(image)
    return 0


if __name__ == "__main__":
    sys.exit(main())
