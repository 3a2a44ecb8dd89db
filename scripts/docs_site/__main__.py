"""
Build the documentation site: python -m scripts.docs_site.

The Markdown pages of the repository are copied to ``build/docs/pages``, beside those that are generated from
the code, and Sphinx writes ``build/docs/html``. Warnings of Sphinx and links that lead nowhere are failures.
No network is used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.docs_site.links import find_broken_links
from scripts.docs_site.staging import write_pages

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "build" / "docs"


def build_site(pages: Path, html: Path) -> int:
    """Write the pages and build the site; returns 0 without a warning and without a broken link."""
    for folder in (pages, html):
        shutil.rmtree(folder, ignore_errors=True)
    write_pages(pages)
    code = run_sphinx(pages, html)
    if code:
        return code
    broken = list(find_broken_links(html))
    files = sum(1 for _ in html.rglob("*.html"))
    sys.stdout.write("\n".join([*broken, f"{files} pages, {len(broken)} broken links: {html}"]) + "\n")
    return 1 if broken else 0


def run_sphinx(pages: Path, html: Path) -> int:
    """Run Sphinx with warnings as errors, in a home of Airflow that is removed afterwards."""
    options: list[str | Path] = ["-q", "-W", "--keep-going", "-E", "-c", Path(__file__).parent, "-b", "html"]
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "AIRFLOW_HOME": home, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "sphinx", *options, pages, html]
        return subprocess.run(command, cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    sys.exit(build_site(TARGET / "pages", TARGET / "html"))
