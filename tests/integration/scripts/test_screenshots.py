"""The pictures of the documentation: each is shown somewhere, is small, and has the size of a window."""

from __future__ import annotations

import re
import runpy
import struct
import zlib

import pytest

from scripts.docs_blocks.blocks import ROOT, list_pages
from tests.screenshots.airflow_pictures import AIRFLOW_PICTURES
from tests.screenshots.pictures import HEIGHT, IMAGES, MAX_BYTES, PICTURES, SCHEMES, WIDTH
from tests.screenshots.png import SIGNATURE, predict, read_chunks, shrink, write_chunk

FILES = sorted(f"{name}-{scheme}.png" for name in (*PICTURES, *AIRFLOW_PICTURES) for scheme in SCHEMES)


def test_there_is_a_picture_of_each_page_in_each_scheme_and_no_other() -> None:
    assert sorted(path.name for path in IMAGES.iterdir()) == FILES


def test_every_picture_is_used_and_every_used_one_exists() -> None:
    used = {
        name for page in list_pages() for name in re.findall(r"images/([\w-]+\.png)", page.read_text("utf-8"))
    }
    assert sorted(used) == FILES


@pytest.mark.parametrize("name", FILES)
def test_a_picture_is_small_and_has_the_size_of_a_window(name: str) -> None:
    content = (IMAGES / name).read_bytes()
    assert len(content) <= MAX_BYTES
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) == (WIDTH, HEIGHT)


def test_a_picture_that_is_shrunk_has_the_same_pixels() -> None:
    """Of each kind of filter, with as many colors as a palette has."""
    pixels = [[(row * 7 % 16, column * 5 % 16, 9) for column in range(20)] for row in range(10)]
    lines = [b"".join(bytes(pixel) for pixel in row) for row in pixels]
    filtered, above = b"", bytes(60)
    for number, line in enumerate(lines):
        kind = number % 5
        left, corner = bytes(3) + line, bytes(3) + above
        predicted = [predict(kind, left[i], above[i], corner[i]) if kind else 0 for i in range(60)]
        filtered += bytes([kind, *((one - guess) & 255 for one, guess in zip(line, predicted, strict=True))])
        above = line
    header = struct.pack(">IIBBBBB", 20, 10, 8, 2, 0, 0, 0)
    parts = {b"IHDR": header, b"IDAT": zlib.compress(filtered), b"IEND": b""}
    picture = SIGNATURE + b"".join(write_chunk(name, body) for name, body in parts.items())
    shrunk = dict(read_chunks(shrink(picture)))
    palette = shrunk[b"PLTE"]
    indexes = zlib.decompress(shrunk[b"IDAT"])
    found = [
        [tuple(palette[3 * one : 3 * one + 3]) for one in indexes[i + 1 : i + 21]] for i in range(0, 210, 21)
    ]
    assert found == pixels


def test_the_package_page_has_no_picture_that_it_cannot_show() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    write_description = runpy.run_path(str(ROOT / "setup.py"))["write_description"]
    assert "![" in readme
    assert "![" not in write_description(readme)
    assert ".png" not in write_description(readme)
