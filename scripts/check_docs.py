"""
Check the Markdown pages: links lead somewhere, blocks of Python compile, tables and code are up to date.

``--write`` writes the tables of options and the code anew. ``<!-- dags/FILE MARKER -->`` before a block of
Python names the lines of a file between ``[START MARKER]`` and ``[END MARKER]``.
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from airflow_provider_pushmetrics.receiver.settings import MountedOptions, StandaloneOptions
from airflow_provider_pushmetrics.service.notifications.settings import SlackSettings, SmtpSettings
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.serving.options import DeclaredOption, list_options

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
TABLE = re.compile(r"(?<=<!-- options -->\n)(?:\|.*\n)*")
MARKED = re.compile(r"(<!-- (dags/\S+) (\w+) -->\n```python\n)(.*?)(?=```)", re.S)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*$", re.M)

COMMANDS: dict[str, list[type[Any]]] = {
    "docs/receiver.md": [StandaloneOptions],
    "docs/service.md": [ServiceSettings, SmtpSettings, SlackSettings],
    "docs/provider.md": [],
}
"""The pages with a table of options, and what declares them besides the options of ``airflow.cfg``."""


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


def build_table(page: str) -> str:
    """Build the table of the options of a page."""
    declared = [option for settings in COMMANDS[page] for option in list_options(settings)]
    mounted = (
        {option.name: option for option in list_options(MountedOptions)} if "service" not in page else {}
    )
    if not declared:
        rows = [["option", "default", "meaning"], ["---"] * 3]
        rows += [[f"`{name}`", describe_default(one), one.help] for name, one in mounted.items()]
        return write_rows(rows)
    header = ["option", "environment variable", *(["`airflow.cfg`"] if mounted else []), "default", "meaning"]
    rows = [header, ["---"] * len(header)]
    for option in declared:
        in_airflow = f"`{option.name}`" if mounted.pop(option.name, None) else ""
        set_by = [f"`{option.flag}`" if option.flag else "", f"`{option.variable}`", in_airflow]
        rows.append([*set_by[: len(header) - 2], describe_default(option), option.help])
    rows += [["", "", f"`{name}`", describe_default(option), option.help] for name, option in mounted.items()]
    return write_rows(rows)


def write_rows(rows: Sequence[Sequence[str]]) -> str:
    """Write the rows of a table, the head first."""
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def describe_default(option: DeclaredOption) -> str:
    """Describe a default; empty if there is none."""
    if option.kind is bool:
        return "yes" if option.default else "no"
    default = option.describe_default()
    return f"`{default}`" if default else ""


def find_old_table(page: str, text: str) -> Iterator[str]:
    """Find a table of options that is not what the code declares."""
    if page in COMMANDS and TABLE.findall(text) != [build_table(page)]:
        yield "the table of options is not up to date: scripts/check_docs.py --write writes it"


def read_marked(name: str, marker: str) -> str:
    """Read the lines of a file between two markers; empty if it has no such markers."""
    path = ROOT / name
    text = path.read_text("utf-8") if path.is_file() else ""
    found = re.search(rf"# \[START {marker}\]\n(.*?)[ ]*# \[END {marker}\]", text, re.S)
    return f"{textwrap.dedent(found[1]).strip()}\n" if found else ""


def find_old_code(text: str) -> Iterator[str]:
    """Find code of a file that is not as the file has it."""
    for _, name, marker, shown in MARKED.findall(text):
        code = read_marked(name, marker)
        if not code:
            yield f"{name} has no code between the markers {marker!r}"
        elif shown != code:
            yield f"the code of {name} is not up to date: scripts/check_docs.py --write writes it"


def write_generated() -> None:
    """Write all tables of options, and the code of files."""
    for page in find_pages():
        text = page.read_text("utf-8")
        written = MARKED.sub(lambda found: found[1] + read_marked(found[2], found[3]), text)
        if written != text:
            page.write_text(written, "utf-8")
    for page in COMMANDS:
        path = ROOT / page
        path.write_text(TABLE.sub(lambda _, page=page: build_table(page), path.read_text("utf-8")), "utf-8")


def main() -> int:
    """Print every fault, with its page."""
    if "--write" in sys.argv:
        write_generated()
    pages = find_pages()
    faults = []
    for page in pages:
        text = page.read_text("utf-8")
        found = [*find_broken_links(page, text), *find_broken_code(text), *find_old_code(text)]
        name = page.relative_to(ROOT).as_posix()
        faults += [f"{name}: {fault}" for fault in [*found, *find_old_table(name, text)]]
    sys.stdout.write("\n".join([*faults, f"{len(pages)} pages, {len(faults)} faults"]) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
