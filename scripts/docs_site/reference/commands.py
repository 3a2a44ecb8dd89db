"""The page with the commands, from the command line itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from airflow_provider_pushmetrics.cli import build_app
from scripts.docs_site.reference.markdown import build_table, escape_text, write_code


def build_commands() -> str:
    """Build the page: each command with its arguments and options."""
    return "# Commands\n\n" + "".join(describe_command("pushmetrics", get_command(build_app())))


def describe_command(name: str, command: Any) -> Iterator[str]:
    """Describe a command, and then those below it."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    usage = " ".join(
        [name, *("[OPTIONS]" for _ in options[:1]), *(describe_argument(one) for one in arguments)]
    )
    yield f"## `{name}`\n\n"
    yield f"{describe_help(command.help or '')}\n\n```text\n{usage}\n```\n\n"
    if arguments:
        yield build_table(
            ["argument", "meaning"], ([write_code(one.name), read_help(one)] for one in arguments)
        )
    if options:
        rows = (
            [describe_flags(one), write_code(one.envvar or ""), describe_default(one), read_help(one)]
            for one in options
        )
        yield build_table(["option", "environment variable", "default", "meaning"], rows)
    for below, found in getattr(command, "commands", {}).items():
        yield from describe_command(f"{name} {below}", found)


def describe_help(text: str) -> str:
    """Write the help of a command: its paragraphs."""
    return escape_text(inspect.cleandoc(text))


def describe_argument(argument: Any) -> str:
    """Write an argument as in a usage line."""
    name = argument.name.upper() + ("…" if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def describe_flags(option: Any) -> str:
    """Write the names of an option."""
    return ", ".join(write_code(flag) for flag in [*option.opts, *option.secondary_opts])


def describe_default(option: Any) -> str:
    """Write the default of an option; empty if there is none."""
    if option.default is None or callable(option.default):
        return ""
    if option.default in (True, False):
        return "yes" if option.default else "no"
    return write_code(str(option.default))


def read_help(parameter: Any) -> str:
    """Read the help of a parameter."""
    return escape_text(getattr(parameter, "help", None) or "")
