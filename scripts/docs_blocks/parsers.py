"""The parsers of the commands themselves: ``pushmetrics``, ``airflow`` and ``pip``."""

from __future__ import annotations

import argparse
import contextlib
import io
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

PLACEHOLDERS = ("[", "…", "<")
"""How a word begins that stands for others."""


@cache
def build_pushmetrics() -> Any:
    """Build the parser of ``pushmetrics``."""
    from typer.main import get_command

    from airflow_provider_pushmetrics.cli import build_app

    return get_command(build_app())


@cache
def build_airflow() -> argparse.ArgumentParser:
    """Build the parser of ``airflow``."""
    from airflow.cli.cli_parser import get_parser

    return get_parser()


def check_pushmetrics(words: list[str]) -> Iterator[str]:
    """Let the parser of ``pushmetrics`` read a command, without running it."""
    command, name, context = build_pushmetrics(), "pushmetrics", None
    while True:
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # --help
                context = command.make_context(name, list(words), parent=context)
        except Exception as error:  # Click's own, which typer may bring along under another name
            if type(error).__name__ == "Exit":
                return
            if not hasattr(error, "format_message"):
                raise
            yield f"{name}: {error.format_message()}"
            return
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        if not getattr(command, "commands", None) or not rest:
            return
        below = command.commands.get(rest[0])
        if below is None:
            yield f"{name} has no command {rest[0]!r}"
            return
        command, name, words = below, f"{name} {rest[0]}", rest[1:]


def check_airflow(words: list[str]) -> Iterator[str]:
    """Let the parser of ``airflow`` read a command, without running it."""
    yield from _parse("airflow", build_airflow(), words)


READ_PIP = """
import sys
from pip._internal.commands import commands_dict, create_command
if sys.argv[1] not in commands_dict:
    sys.exit(f"there is no command {sys.argv[1]!r}")
create_command(sys.argv[1]).parse_args(sys.argv[2:])
"""


def check_pip(words: list[str]) -> Iterator[str]:
    """Let the parser of ``pip`` read a command, without running it."""
    said = _read_pip(*words)
    if said:
        yield f"pip {words[0]}: {said}"


@cache
def _read_pip(*words: str) -> str:
    """Ask in a process of its own: in one that has imported setuptools, pip's imports warn."""
    ended = subprocess.run(
        [sys.executable, "-c", READ_PIP, *words], capture_output=True, text=True, timeout=300
    )
    return " ".join(ended.stderr.split())[-300:] if ended.returncode else ""


def _parse(name: str, parser: Any, words: Sequence[str]) -> Iterator[str]:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            parser.parse_args(list(words))
    except SystemExit as end:
        if end.code:
            yield f"{name}: {' '.join(said.getvalue().split())[-300:]}"


# --- mentions -----------------------------------------------------------------------------------------------


def check_mention(words: Sequence[str]) -> Iterator[str]:
    """Find commands and options that do not exist, in a command that a text names without its arguments."""
    if words[0] == "pushmetrics":
        yield from _check_mentioned_pushmetrics(words[1:])
    elif words[0] == "airflow":
        yield from _check_mentioned_airflow(words[1:])


def _check_mentioned_pushmetrics(words: Sequence[str]) -> Iterator[str]:
    command: Any = build_pushmetrics()
    known = {"--help"}
    for word in (one.strip("[]") for one in words if one != "…"):
        if word.startswith("-"):
            known |= {flag for one in command.params for flag in (*one.opts, *one.secondary_opts)}
            if word.partition("=")[0] not in known:
                yield f"pushmetrics has no option {word!r} here"
        elif getattr(command, "commands", None):
            if word not in command.commands:
                yield f"pushmetrics has no command {word!r} here"
                return
            command = command.commands[word]


def _check_mentioned_airflow(words: Sequence[str]) -> Iterator[str]:
    parser: Any = build_airflow()
    for word in words:
        groups = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        if word.startswith("-"):
            if not any(word.partition("=")[0] in one.option_strings for one in parser._actions):
                yield f"airflow has no option {word!r} here"
        elif groups and not word.startswith(PLACEHOLDERS):
            if word not in groups[0].choices:
                yield f"airflow has no command {word!r} here"
                return
            parser = groups[0].choices[word]
