"""The files of the web interface keep its rules."""

from __future__ import annotations

import configparser
import hashlib
import json
import re
import shutil
import subprocess
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.service import web
from airflow_provider_pushmetrics.service.web.assets import load_assets

ASSETS = Path(web.__file__).parent / "page" / "assets"
VENDORED = ASSETS / "vendored"
MODULES = sorted(path for path in ASSETS.rglob("*.js") if path.parent != VENDORED)
MAX_LINES = 250
MAX_MODULES = 14

HTML_SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function"
)
READS_SANITIZED_HTML = {"results/prose.js": ["DOMParser"]}
"""The Markdown of text blocks: made and sanitized by the service (``templates/html.py``)."""
STORES_IN_BROWSER = {
    "drafts/unsaved.js": ["localStorage"],
    "notebook/sections.js": ["localStorage"],
    "settings/theme.js": ["document.cookie", "document.cookie"],
}
"""What is typed and not saved, of which ``drafts.js`` leaves out secrets; what is folded; and the theme."""
STORES = re.compile(r"localStorage|sessionStorage|indexedDB|document\.cookie")
ADDRESS = re.compile(r"https?://(?!www\.w3\.org/2000/svg\")")
"""The name of SVG's elements looks like an address, and nothing is loaded from it."""
IMPORT = re.compile(r'(?:from |import\()"(\.[\w./]+)"')
IMPORT_AT_ONCE = re.compile(r'from "(\.[\w./]+)"')


def name(path: Path) -> str:
    return path.relative_to(ASSETS).as_posix()


def find_imports(path: Path, pattern: re.Pattern[str] = IMPORT) -> set[Path]:
    return {(path.parent / found).resolve() for found in pattern.findall(path.read_text("utf-8"))}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_makes_no_html_of_text_stores_only_drafts_and_the_theme_and_loads_nothing_from_elsewhere(
    path: Path,
) -> None:
    text = path.read_text("utf-8")
    assert HTML_SINKS.findall(text) == READS_SANITIZED_HTML.get(name(path), [])
    assert STORES.findall(text) == STORES_IN_BROWSER.get(name(path), [])
    assert ADDRESS.findall(text) == []
    assert [found for found in find_imports(path) if not found.is_file()] == []
    assert len(text.splitlines()) <= MAX_LINES


def test_every_module_is_used() -> None:
    used = {found for path in MODULES for found in find_imports(path)}
    assert set(MODULES) - used == {ASSETS / "app.js"}


def test_no_folder_has_more_modules_than_a_stranger_can_look_through() -> None:
    counts = Counter(path.parent for path in MODULES)
    assert [folder for folder, count in counts.items() if count > MAX_MODULES] == []


def test_modules_import_each_other_in_no_circle() -> None:
    imports = {path: find_imports(path) for path in MODULES}
    order = list(TopologicalSorter(imports).static_order())  # a CycleError names the circle
    assert {path for path in order if path.parent != VENDORED} == imports.keys()


def test_page_has_no_script_or_style_of_its_own() -> None:
    page = (ASSETS.parent / "index.html").read_text("utf-8")
    assert re.findall(r"<style|style=|\son\w+=|<script(?![^>]*\bsrc=)", page) == []


BUNDLES = json.loads((VENDORED / "vendored.json").read_text("utf-8"))
ROOT = Path(__file__).resolve().parents[4]


def test_vendored_files_are_those_that_the_script_wrote() -> None:
    hashes = {name: digest for bundle in BUNDLES.values() for name, digest in bundle["sha256"].items()}
    found = {path.name for path in VENDORED.iterdir() if path.suffixes != [".d", ".ts"]}
    assert found == {*hashes, "vendored.json"}
    for name, digest in hashes.items():
        assert hashlib.sha256((VENDORED / name).read_bytes()).hexdigest() == digest, name


def test_vendored_packages_have_the_versions_and_the_license_that_the_metadata_say() -> None:
    locked = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    licenses = set(setup["metadata"]["license"].split(" AND "))
    for stem, bundle in BUNDLES.items():
        text = (VENDORED / f"LICENSE-{stem}.txt").read_text("utf-8")
        assert f"vendored/LICENSE-{stem}.txt" in setup["metadata"]["license_files"]
        for package in bundle["packages"]:
            # A package may be there in two versions, one of them for one other package alone.
            path = f"node_modules/{package['name']}"
            assert package["version"] in {one["version"] for at, one in locked.items() if at.endswith(path)}
            assert package["license"] in licenses
            assert f"{package['name']} {package['version']} ({package['license']})" in text


def test_vendored_files_are_loaded_only_by_modules_that_pages_load_later() -> None:
    """What a page loads at first are the imports of `app.js` and of the page, without those by `import()`."""
    entry = ASSETS / "app.js"
    waiting, loaded = [entry, *find_imports(entry)], set[Path]()
    while waiting:
        path = waiting.pop()
        loaded.add(path)
        waiting += find_imports(path, IMPORT_AT_ONCE) - loaded
    assert [path for path in loaded if path.parent == VENDORED] == []


def test_joined_files_are_accepted_by_node(tmp_path: Path) -> None:
    """A module that waits outside a function would be a syntax error of the whole file."""
    node = shutil.which("node")
    if not node:
        pytest.skip("node is not installed")
    for one, asset in load_assets().files.items():
        if re.fullmatch(r"bundles/.*\.js", one):
            path = (tmp_path / Path(one).name).with_suffix(".mjs")
            path.write_bytes(asset.content)
            done = subprocess.run([node, "--check", path], capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr


def test_joined_files_have_every_module_once_and_none_of_the_vendored_files() -> None:
    """How they are joined is tested beside `bundling.py`; this is about what there is to join."""
    files = load_assets().files
    codes = {one: files[one].content.decode() for one in files if re.fullmatch(r"bundles/.*\.js", one)}
    joined = [
        found for code in codes.values() for found in re.findall(r'^\$modules\["(.+)"\] = \(', code, re.M)
    ]
    assert sorted(joined) == sorted(name(path) for path in MODULES)
    assert [one for one, code in codes.items() if "$vendored" in code and one.count("-") == 0] == []


def test_every_style_sheet_is_in_the_one_that_pages_load() -> None:
    sheets = sorted(ASSETS.rglob("*.css"))
    joined = load_assets().files["bundles/app.css"].content
    assert all(path.read_bytes() in joined for path in sheets)
    assert len(joined) == sum(path.stat().st_size for path in sheets)


TOKENS = re.compile(
    r"//[^\n]*|/\*.*?\*/"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?P<template>`(?:\\.|\$\{(?:[^{}`]|\{[^{}]*\}|`[^`]*`)*\}|[^`\\])*`)"
    r"|(?<=[(=,:\[!&|?{};>\n])[ \n]*/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[dgimsuvy]*",
    re.S,
)
"""Comments, texts, template literals and regular expressions, as far as these modules have them."""


def find_lines_of_templates(text: str) -> list[str]:
    """Find the lines that begin within a template literal."""
    templates = (found["template"] or "" for found in TOKENS.finditer(text))
    return [line for template in templates for line in template.split("\n")[1:]]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_line_of_a_text_looks_like_code_to_what_joins_the_modules(path: Path) -> None:
    """`bundling.py` reads lines: it would take a comment out of a text, and an import in one for its own."""
    text = path.read_text("utf-8")
    assert "`" not in TOKENS.sub("", text), "this test reads the module wrongly"
    lines = find_lines_of_templates(text)
    assert [line for line in lines if re.match(r"\s*(//|/\*)|(import|export)\b", line)] == []


def test_lines_of_texts_are_found() -> None:
    text = 'const a = `x ${f(`y`)}\n// no comment\n`;\n// `\nconst b = /[`"]/.test("`");\n'
    assert find_lines_of_templates(text) == ["// no comment", "`"]
