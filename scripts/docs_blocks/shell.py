"""What the shell commands of a page would run: Bash itself reads them, and no program is started."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.docs_blocks.blocks import Block

BASH = "/bin/bash"
IN_VENV = re.compile(r"(?<![\w.])[\w~.$/-]*bin/(pip|pushmetrics|python)\b")
"""A program of a virtual environment of the page."""

PRELUDE = r"""
shopt -s extdebug
set -o functrace
assignment="^[A-Za-z_][A-Za-z0-9_]*=([^[:space:]\"'(]|'[^']*'|\"[^\"]*\"|\([^)]*\))*[[:space:]]+(.*)$"
# A program with its path would be found and started: it is recorded and skipped.
skip_paths() {
    local text=$1 program name
    [[ ${FUNCNAME[1]-} != command_not_found_handle ]] || return 0
    while [[ $text =~ $assignment ]]; do text=${BASH_REMATCH[2]}; done
    program=${text%% *}
    program=${program//[\"\{\}]/}
    [[ $program != \$* ]] || { name=${program#?} && program=${!name-} && program=${program%% *}; }
    [[ $program == */* && $program != *=* ]] || return 0
    record $text
    return 1
}
record() { printf '%s\0' "$BLOCK" "$@" >"$RECORDS/$EPOCHREALTIME-$BASHPID-$RANDOM"; }
command_not_found_handle() {
    record "$@"
    [[ "$*" != python*" -m venv "* ]] || { /bin/mkdir -p "${!#}/bin" && : >"${!#}/bin/activate"; }
    printf 'recorded\n'
}
cd() { record cd "$@"; }
cat() {
    local line
    record cat "$@"
    [ $# = 0 ] || return 0
    while IFS= read -r line; do printf '%s\n' "$line"; done
}
"""
STARTED = "trap 'skip_paths \"$BASH_COMMAND\"' DEBUG\n"
EPILOGUE = r"""
wait
for _name in $(compgen -e); do printf '%s=%s\0' "$_name" "${!_name}"; done >"$VARIABLES/$BLOCK"
"""
"""What follows each block."""


@dataclass(frozen=True)
class Recorded:
    """
    What the blocks of a page do.

    :param commands: Each command with its arguments, as the program would get them, and its block.
    :param variables: What each block exports, or an earlier one of its page.
    :param faults: What Bash has against them.
    """

    commands: tuple[tuple[Block, tuple[str, ...]], ...]
    variables: tuple[tuple[Block, dict[str, str]], ...]
    faults: tuple[str, ...]


def record_commands(blocks: Sequence[Block], files: Mapping[str, str]) -> Recorded:
    """
    Let Bash read the blocks of a page in their order, as one reader types them.

    :param files: The files that the page shows, by name: the reader has written them.
    """
    if not blocks:
        return Recorded((), (), ())
    with tempfile.TemporaryDirectory() as name:
        records, variables, scratch = (Path(name) / one for one in ("records", "variables", "scratch"))
        for folder in (records, variables, scratch):
            folder.mkdir()
        for file, text in files.items():
            (scratch / file).write_text(text, "utf-8")
        script = "".join(f"BLOCK={number}\n{read_code(one)}\n{EPILOGUE}" for number, one in enumerate(blocks))
        # Nothing is found in this PATH: Bash gives each program to command_not_found_handle instead.
        environment = {"PATH": "/nowhere", "HOME": str(scratch), "BLOCK": ""}
        environment |= {"RECORDS": str(records), "VARIABLES": str(variables)}
        ended = subprocess.run(
            [BASH, "--norc", "--noprofile", "-u", "-c", PRELUDE + STARTED + script],
            cwd=scratch,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        faults = [line for line in ended.stderr.splitlines() if line]
        if ended.returncode and not faults:
            faults.append(f"Bash ended with {ended.returncode}")
        exported = [
            (one, read_variables(variables / str(number), {*environment, "_", "PWD", "OLDPWD", "SHLVL"}))
            for number, one in enumerate(blocks)
        ]
        commands = [(blocks[number], words) for number, words in read_records(records)]
    return Recorded(tuple(commands), tuple(exported), tuple(f"{blocks[0].page}: {fault}" for fault in faults))


def read_code(block: Block) -> str:
    """Read the commands of a block; of a console's, without prompts and output."""
    code = "".join(find_typed(block.code)) if block.language == "console" else block.code
    return IN_VENV.sub(r"\1", code)


def find_typed(text: str) -> Iterator[str]:
    """Find the lines of a console that a person types: they begin with a prompt, or continue such a line."""
    continues = False
    for line in text.splitlines(keepends=True):
        if continues or line.startswith("$ "):
            yield line if continues else line.removeprefix("$ ")
            continues = line.rstrip().endswith("\\")


def read_records(folder: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Read the commands in the order in which they began, each with the number of its block."""
    for path in sorted(folder.iterdir()):
        number, *words = path.read_text("utf-8").split("\0")[:-1]
        yield int(number), tuple(words)


def read_variables(path: Path, own: set[str]) -> dict[str, str]:
    """
    Read what was exported.

    :param own: The variables that every script has.
    """
    text = path.read_text("utf-8") if path.exists() else ""
    pairs = (one.partition("=") for one in text.split("\0") if one)
    return {name: value for name, _, value in pairs if name not in own}
