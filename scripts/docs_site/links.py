"""Check the links of the built site, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links of a page and the anchors in it."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what is linked to, and what can be linked to."""
        found = dict(attrs)
        self.links += [value for name in ("href", "src") if (value := found.get(name))]
        self.anchors |= {value for name in ("id", "name") if (value := found.get(name))}


@cache
def read_page(path: Path) -> Page:
    """Read a page of the site."""
    page = Page()
    page.feed(path.read_text("utf-8"))
    return page


def find_broken_links(site: Path) -> Iterator[str]:
    """Find links to files or anchors that are not in the site, and external ones that are no URL."""
    for path in sorted(site.rglob("*.html")):
        name = path.relative_to(site)
        for link in dict.fromkeys(read_page(path).links):
            if fault := find_fault(site, path, link):
                yield f"{name}: {link!r} {fault}"


def find_fault(site: Path, page: Path, link: str) -> str:
    """Find what is wrong with a link; empty if nothing is."""
    parts = urlsplit(link)
    if parts.scheme in ("http", "https"):
        return "" if parts.hostname and " " not in link else "is not a URL"
    if parts.scheme:
        return "" if parts.scheme in ("mailto", "data") else "has a scheme that no browser opens"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if target.is_dir():
        target /= "index.html"
    if not target.is_file() or not target.is_relative_to(site.resolve()):
        return "leads nowhere"
    if (
        parts.fragment
        and target.suffix == ".html"
        and unquote(parts.fragment) not in read_page(target).anchors
    ):
        return "names an anchor that is not there"
    return ""
