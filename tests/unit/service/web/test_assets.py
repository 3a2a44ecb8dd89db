"""The files of the web interface keep its rules."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.service import web

ASSETS = Path(web.__file__).parent / "page" / "assets"
MODULES = sorted(ASSETS.glob("*.js"))
MAX_LINES = 250

HTML_SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function"
)
READS_SANITISED_HTML = {"prose.js": ["DOMParser"]}
"""The Markdown of text blocks: made and sanitised by the service (``templates/html.py``)."""
STORES = re.compile(r"localStorage|sessionStorage|indexedDB|document\.cookie")
ADDRESS = re.compile(r"https?://")
IMPORT = re.compile(r'from "\./([\w.]+)"')


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_module_makes_no_html_of_text_stores_nothing_and_loads_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    assert HTML_SINKS.findall(text) == READS_SANITISED_HTML.get(path.name, [])
    assert STORES.findall(text) == []
    assert ADDRESS.findall(text) == []
    assert [name for name in IMPORT.findall(text) if not (ASSETS / name).is_file()] == []
    assert len(text.splitlines()) <= MAX_LINES


def test_every_module_is_used() -> None:
    used = {name for path in MODULES for name in IMPORT.findall(path.read_text("utf-8"))}
    assert {path.name for path in MODULES} - used == {"app.js"}


def test_modules_import_each_other_in_no_circle() -> None:
    imports = {path.name: set(IMPORT.findall(path.read_text("utf-8"))) for path in MODULES}
    order = list(TopologicalSorter(imports).static_order())  # a CycleError names the circle
    assert set(order) == imports.keys()


def test_page_has_no_script_or_style_of_its_own() -> None:
    page = (ASSETS.parent / "index.html").read_text("utf-8")
    assert re.findall(r"<style|style=|\son\w+=|<script(?![^>]*\bsrc=)", page) == []
