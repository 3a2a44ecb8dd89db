"""The pages of the site: those of the repository with the links of the site, and the generated ones."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from scripts.docs_site.reference.commands import build_commands
from scripts.docs_site.reference.errors import build_errors
from scripts.docs_site.reference.events import build_events
from scripts.docs_site.reference.examples import build_examples
from scripts.docs_site.reference.http_api import build_operations, build_schemas, write_document
from scripts.docs_site.reference.options import build_options
from scripts.docs_site.reference.python_api import build_python_api

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
IMAGES = DOCS / "images"
INDEX = Path("index.md")
EXAMPLES = Path("reference/examples.md")

OUTSIDE_DOCS = {
    "README.md": "overview.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Pages of the repository that are not in ``docs/``, and where the site has them."""

GENERATED = {
    EXAMPLES: ("Example Dags", "every example, whole", build_examples),
    Path("reference/python-api.md"): (
        "Python API",
        "classes and functions that Dags import",
        build_python_api,
    ),
    Path("reference/errors.md"): ("Errors", "what the package raises, with every message", build_errors),
    Path("reference/options.md"): ("Options", "all options and environment variables", build_options),
    Path("reference/commands.md"): ("Commands", "`pushmetrics` on the command line", build_commands),
    Path("reference/events.md"): ("Events", "the bodies of webhooks", build_events),
    Path("reference/service-api.md"): ("HTTP API of the service", "every operation", build_operations),
    Path("reference/service-schemas.md"): (
        "Schemas of the HTTP API",
        "what it takes and returns",
        build_schemas,
    ),
}
"""Pages that are written from the code: title, what the index says of it, and the function that writes it."""

LINK = re.compile(r"(\[(?:[^\]\[]|\[[^\]]*\])*\]\()([^)\s]+)(\))")
FENCE = re.compile(r"(^ *```.*?^ *```)", re.M | re.S)
SECTION = re.compile(r"^## (.+)$", re.M)
GENERATED_ROWS = "<!-- generated pages -->\n"


def write_pages(target: Path) -> None:
    """Write all pages of the site to a folder."""
    for source, place in list_pages().items():
        text = source.read_text("utf-8")
        if place == INDEX:
            text = text.replace(GENERATED_ROWS, build_generated_rows())
        text = rewrite_links(text, source)
        write(target / place, text if place != INDEX else text + "".join(build_tables_of_contents(text)))
    for place, (_, _, build) in GENERATED.items():
        write(target / place, build())
    write(target / "reference" / "openapi.json", write_document())
    shutil.copytree(IMAGES, target / IMAGES.name)


def write(path: Path, text: str) -> None:
    """Write a file, and its folder if it is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def list_pages() -> dict[Path, Path]:
    """List the Markdown pages of the repository, each with its place in the site."""
    pages = {page: page.relative_to(DOCS) for page in sorted(DOCS.rglob("*.md"))}
    pages[DOCS / "README.md"] = INDEX
    return pages | {ROOT / name: Path(place) for name, place in OUTSIDE_DOCS.items()}


def build_generated_rows() -> str:
    """Build the rows of the index for the generated pages, as links of the file ``docs/README.md``."""
    return "".join(f"| [{title}]({place}) | {what} |\n" for place, (title, what, _) in GENERATED.items())


def rewrite_links(text: str, source: Path) -> str:
    """Replace the targets of links outside of code: places in the repository by places in the site."""
    parts = FENCE.split(text)
    parts[::2] = [
        LINK.sub(lambda found: found[1] + find_place(found[2], source) + found[3], part)
        for part in parts[::2]
    ]
    return "".join(parts)


def find_place(link: str, source: Path) -> str:
    """
    Find the target of a link in the site.

    :raises ValueError: if it is a file of the repository that the site does not have.
    """
    if re.match(r"[a-z][a-z0-9+.-]*:|#", link):
        return link
    name, hash_, anchor = unquote(link).partition("#")
    target = (source.parent / name).resolve()
    pages = list_pages()
    if target in pages:
        place = pages[target]
    elif target.is_relative_to(ROOT / "dags"):
        place, hash_, anchor = EXAMPLES, "#", target.stem
        if target.name == "dags":
            hash_ = anchor = ""
    elif (target.parent == IMAGES and target.is_file()) or (
        target.is_relative_to(DOCS) and target.relative_to(DOCS) in GENERATED
    ):
        place = target.relative_to(DOCS)
    else:
        raise ValueError(f"{source.relative_to(ROOT)}: the site has no page for the link {link!r}")
    return os.path.relpath(place, pages[source].parent).replace(os.sep, "/") + hash_ + anchor


def build_tables_of_contents(index: str) -> Iterator[str]:
    """Build the navigation: for each section of the index, the pages that it links to."""
    sections = SECTION.split(index)[1:]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        links = {target: label.removesuffix("](")[1:] for label, target, _ in reversed(LINK.findall(body))}
        entries = "\n".join(
            f"{links[target]} <{target}>" for target in reversed(links) if target.endswith(".md")
        )
        yield f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{entries}\n```\n"
