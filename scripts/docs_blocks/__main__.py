"""
Check every block of code of the pages: python -m scripts.docs_blocks.

Python is compiled here, and run by tests/integration/provider/test_documented_python.py. Bash reads the
blocks of shell commands, without a program being started, and what it would start is given to the parser of
that program: a subcommand, an option, a file or a variable that does not exist is a fault. JSON, YAML, INI
and others are parsed, and their keys compared. A block of another language is a fault: no block is unchecked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from scripts.docs_blocks.blocks import ROOT, Block, find_blocks, find_mentions, list_pages
from scripts.docs_blocks.parsers import check_mention
from scripts.docs_blocks.programs import check_command, check_make
from scripts.docs_blocks.shell import record_commands
from scripts.docs_blocks.texts import (
    check_dockerfile,
    check_ini,
    check_json,
    check_nginx,
    check_text,
    check_yaml,
    find_docker_commands,
)
from scripts.docs_blocks.variables import check_exported, check_variables

SHELL = {"bash", "console", "shell"}


def check_python(block: Block) -> Iterator[str]:
    """Find Python that does not compile."""
    try:
        compile(block.code, block.place, "exec")
    except SyntaxError as error:
        yield f"it does not compile: {error}"


CHECKS: dict[str, Callable[[Block], Iterator[str]]] = {
    "dockerfile": check_dockerfile,
    "ini": check_ini,
    "json": check_json,
    "nginx": check_nginx,
    "python": check_python,
    "text": check_text,
    "yaml": check_yaml,
}


def check_page(page: str, text: str) -> Iterator[str]:
    """Find the faults of a page's blocks, and of the commands and variables that its text names."""
    blocks = list(find_blocks(page, text))
    for block in blocks:
        if block.language not in SHELL:
            yield from (f"{block.place}: {fault}" for fault in check_block(block))
        yield from (f"{block.place}: {fault}" for fault in check_variables(block.code))
    yield from check_shell(blocks)
    for mention in find_mentions(page, text):
        words = mention.code.split()
        found = [*check_variables(mention.code), *(check_mention(words) if words else ())]
        if words[:1] == ["make"]:
            found += check_make(words[1:])
        yield from (f"{mention.place}: {mention.code}: {fault}" for fault in found)


def check_block(block: Block) -> Iterator[str]:
    """Find the faults of a block that is no shell commands."""
    check = CHECKS.get(block.language)
    if check is None:
        yield f"nothing checks a block of {block.language or 'no language'!r}: see scripts/docs_blocks"
    else:
        yield from check(block)


def check_shell(blocks: Sequence[Block]) -> Iterator[str]:
    """Find the faults of a page's shell commands, and of those that its Dockerfiles run."""
    files = {block.code.split()[1]: block.code for block in blocks if is_file(block)}
    typed = [block for block in blocks if block.language in SHELL]
    docker = [
        replace(one, code=find_docker_commands(one.code)) for one in blocks if one.language == "dockerfile"
    ]
    for group in (typed, *([one] for one in docker)):
        # A variable of the image, as https://github.com/apache/airflow/blob/main/Dockerfile sets it.
        base = "AIRFLOW_VERSION=recorded\n" if group and group[0].language == "dockerfile" else ""
        recorded = record_commands([replace(one, code=base + one.code) for one in group], files)
        yield from recorded.faults
        for block, words in recorded.commands:
            # A file that the page shows exists, like the README.
            named = ["README.md" if word in files else word for word in words]
            yield from (f"{block.place}: {fault}" for fault in check_command(named))
        for block, variables in recorded.variables:
            yield from (f"{block.place}: {fault}" for fault in check_exported(variables))


def is_file(block: Block) -> bool:
    """Return whether a block is a file that the reader writes: a comment with a name comes first."""
    first = block.code.partition("\n")[0].split()
    return len(first) == 2 and first[0] == "#" and "." in first[1]


def main() -> int:
    """Print every fault, and how many blocks there are of each language."""
    pages = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in list_pages()}
    faults = [fault for page, text in pages.items() for fault in check_page(page, text)]
    count = sum(1 for page, text in pages.items() for _ in find_blocks(page, text))
    sys.stdout.write("\n".join([*faults, f"{count} blocks, {len(faults)} faults"]) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
