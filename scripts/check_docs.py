"""Check the Markdown pages: every relative link leads somewhere, and every block of Python compiles."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<!\!)\[[^\]\[]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*$", re.M)


def find_pages() -> list[Path]:
    """Find the Markdown pages that belong to the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).exists()]


def find_anchors(text: str) -> set[str]:
    """Find the anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(CODE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def find_broken_links(page: Path, text: str) -> Iterator[str]:
    """Find links to files, or to headings in them, that do not exist."""
    for link in LINK.findall(CODE.sub("", text)):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or not target.is_relative_to(ROOT):
            yield f"the link {link!r} leads nowhere"
        elif anchor and target.suffix == ".md" and anchor not in find_anchors(target.read_text("utf-8")):
            yield f"the link {link!r} names a heading that is not there"


def find_broken_code(text: str) -> Iterator[str]:
    """Find blocks of Python that do not compile."""
    for language, code in CODE.findall(text):
        if language != "python":
            continue
        try:
            compile(code, "<block>", "exec")
        except SyntaxError as error:
            yield f"a block of Python does not compile: {error}"


def main() -> int:
    """Print every fault, with its page."""
    pages = find_pages()
    faults = []
    for page in pages:
        text = page.read_text("utf-8")
        found = [*find_broken_links(page, text), *find_broken_code(text)]
        faults += [f"{page.relative_to(ROOT)}: {fault}" for fault in found]
    sys.stdout.write("\n".join([*faults, f"{len(pages)} pages, {len(faults)} faults"]) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
