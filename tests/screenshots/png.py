"""Smaller pictures: with a palette of 256 colors, which is more than a page of text needs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLORS = 256
RGB, PALETTE = 2, 3
"""Kinds of pixels: https://www.w3.org/TR/png-3/#11IHDR"""


def shrink(content: bytes) -> bytes:
    """Give a picture as Chromium writes it a palette of its most frequent colors."""
    parts = list(read_chunks(content))
    width, height, depth, kind = struct.unpack(">IIBB", parts[0][1][:10])
    assert (depth, kind) == (8, RGB)
    packed = b"".join(body for name, body in parts if name == b"IDAT")
    pixels = np.array(list(read_lines(zlib.decompress(packed), width * 3)), np.uint8).reshape(-1, 3)
    colors, numbers, counts = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    palette = colors[np.argsort(-counts)[:COLORS]]
    distances = ((colors[:, None].astype(np.int32) - palette[None].astype(np.int32)) ** 2).sum(axis=2)
    lines = distances.argmin(axis=1).astype(np.uint8)[numbers].reshape(height, width)
    return SIGNATURE + b"".join(
        [
            write_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, PALETTE, 0, 0, 0)),
            write_chunk(b"PLTE", palette.tobytes()),
            write_chunk(b"IDAT", zlib.compress(add_filters(lines), 9)),
            write_chunk(b"IEND", b""),
        ]
    )


def add_filters(lines: NDArray[np.uint8]) -> bytes:
    """Write before each line that it is not filtered."""
    return np.hstack([np.zeros((len(lines), 1), np.uint8), lines]).tobytes()


def read_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Read the parts of a file, each with its name."""
    place = len(SIGNATURE)
    while place < len(content):
        (size,) = struct.unpack(">I", content[place : place + 4])
        yield content[place + 4 : place + 8], content[place + 8 : place + 8 + size]
        place += size + 12


def write_chunk(name: bytes, body: bytes) -> bytes:
    """Write a part of a file."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def read_lines(content: bytes, size: int) -> Iterator[list[int]]:
    """Undo the filter of each line: https://www.w3.org/TR/png-3/#9Filter-types"""
    above = [0] * (size + 3)
    for start in range(0, len(content), size + 1):
        line = [0, 0, 0, *content[start + 1 : start + 1 + size]]  # with a pixel to the left of the first
        kind = content[start]
        if kind:
            for place in range(3, size + 3):
                line[place] = (
                    line[place] + predict(kind, line[place - 3], above[place], above[place - 3])
                ) & 255
        yield line[3:]
        above = line


def predict(kind: int, left: int, above: int, corner: int) -> int:
    """Predict a byte from those beside and above it."""
    if kind < 3:
        return left if kind == 1 else above
    if kind == 3:
        return (left + above) // 2
    wanted = left + above - corner
    return min((left, above, corner), key=lambda one: abs(wanted - one))
