"""The documentation site: what fails its build, and what is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.docs_site.__main__ import build_site, run_sphinx
from scripts.docs_site.links import find_broken_links
from scripts.docs_site.staging import find_place, list_pages, rewrite_links, write_pages

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A site of two pages; the second has one anchor."""
    (tmp_path / "other.html").write_text('<h1 id="here">Other</h1>')
    return tmp_path / "index.html"


@pytest.mark.parametrize(
    "link", ["other.html", "other.html#here", "#top", "https://example.com/a#b", "mailto:a@example.com", "."]
)
def test_a_link_that_leads_somewhere_is_no_fault(page: Path, link: str) -> None:
    page.write_text(f'<h1 id="top">Index</h1><a href="{link}">x</a>')
    assert list(find_broken_links(page.parent)) == []


@pytest.mark.parametrize(
    "link",
    ["gone.html", "other.html#gone", "#gone", "../outside.html", "https://", "javascript:x", "http://a b/"],
)
def test_a_link_that_leads_nowhere_is_a_fault(page: Path, link: str) -> None:
    page.write_text(f'<a href="{link}">x</a>')
    (fault,) = find_broken_links(page.parent)
    assert link in fault


@pytest.mark.parametrize(
    ("source", "link", "place"),
    [
        ("README.md", "docs/provider.md#metrics", "provider.md#metrics"),
        ("docs/how-to/balancer.md", "../service.md", "../service.md"),
        ("docs/provider.md", "../README.md#install-it", "overview.md#install-it"),
        (
            "docs/provider.md",
            "../dags/example_pushmetrics_sensor.py",
            "reference/examples.md#example_pushmetrics_sensor",
        ),
        ("docs/provider.md", "#metrics", "#metrics"),
        ("docs/provider.md", "https://example.com/docs/x.md", "https://example.com/docs/x.md"),
    ],
)
def test_a_link_of_the_repository_becomes_one_of_the_site(source: str, link: str, place: str) -> None:
    assert find_place(link, ROOT / source) == place


def test_a_link_to_a_file_that_the_site_does_not_have_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"docs/provider\.md: the site has no page for the link '\.\./setup\.cfg'"
    ):
        find_place("../setup.cfg", DOCS / "provider.md")


def test_links_in_code_stay_as_they_are() -> None:
    text = "[a](../README.md)\n\n```text\n[a](../README.md)\n```\n"
    assert rewrite_links(text, DOCS / "service.md") == text.replace("../README.md", "overview.md", 1)


def test_a_warning_of_sphinx_fails_the_build(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "index.md").write_text("# Index\n\nNo warning.\n")
    assert run_sphinx(pages, tmp_path / "good") == 0
    (pages / "index.md").write_text("# Index\n\n[gone](gone.md)\n")
    assert run_sphinx(pages, tmp_path / "bad") != 0


def test_the_navigation_has_every_page_once(tmp_path: Path) -> None:
    write_pages(tmp_path)
    index = (tmp_path / "index.md").read_text("utf-8")
    trees = re.findall(r"```{toctree}\n:hidden:\n:caption: [^\n]+\n\n(.*?)\n```", index, re.S)
    listed = re.findall(r"^.+ <(.+)>$", "\n".join(trees), re.M)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.md")}
    assert sorted(listed) == sorted(written - {"index.md"})
    assert len(written) > len(list_pages())


@pytest.mark.slow
def test_the_site_is_built_without_warnings_and_without_broken_links(tmp_path: Path) -> None:
    assert build_site(tmp_path / "pages", tmp_path / "html") == 0
    assert "PushMetricsTriggerReportOperator" in (tmp_path / "html" / "provider.html").read_text("utf-8")
