"""The pictures of a chart, which are drawn once and kept as one file beside the results of its run."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

PNG_SCALE = 2
"""Pixels of a picture for each pixel of the page: sharp on high-resolution screens."""

LIGHT, DARK, PICTURE = "light.svg", "dark.svg", "picture.png"


@dataclass(frozen=True)
class DrawnChart:
    """
    A chart that was drawn.

    :param light: SVG for a light page.
    :param dark: SVG for a dark page.
    :param picture: PNG on white, for mails.
    """

    light: bytes
    dark: bytes
    picture: bytes

    def encode(self) -> bytes:
        """Write it as the file that is kept, a ZIP archive."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in ((LIGHT, self.light), (DARK, self.dark), (PICTURE, self.picture)):
                archive.writestr(name, content)
        return buffer.getvalue()

    @classmethod
    def decode(cls, file: bytes) -> DrawnChart:
        """Read the file that is kept."""
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            return cls(*(archive.read(name) for name in (LIGHT, DARK, PICTURE)))
