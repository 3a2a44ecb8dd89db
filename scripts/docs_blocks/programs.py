"""The programs that pages name: their subcommands and options, and the files that they are given."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

import yaml
from packaging.requirements import InvalidRequirement, Requirement

from scripts.docs_blocks.blocks import ROOT
from scripts.docs_blocks.parsers import check_airflow, check_pip, check_pushmetrics
from scripts.write_openapi import build_document

NAME = "airflow-provider-pushmetrics"
RECORDED = "recorded"
"""What each program prints while Bash only reads the commands."""


@dataclass(frozen=True)
class Tool:
    """
    A program, or a subcommand of one.

    :param flags: Its options without a value.
    :param valued: Its options with a value.
    :param below: Its subcommands.
    :param inner: How many words come before a command that it runs; None if it runs none.
    :param check: Checks its words, and its options with their values.
    """

    flags: frozenset[str] = frozenset()
    valued: frozenset[str] = frozenset()
    below: Mapping[str, Tool] = field(default_factory=dict)
    inner: int | None = None
    check: Callable[[Sequence[str], Sequence[tuple[str, str]]], Iterator[str]] = lambda words, options: iter(
        ()
    )


def check_command(words: Sequence[str]) -> Iterator[str]:
    """Find what is wrong with a command."""
    program = words[0].removesuffix("3") if words[0] == "python3" else words[0]
    if program in PARSERS:
        yield from PARSERS[program](list(words[1:]))
    elif program in TOOLS:
        yield from check_tool(program, TOOLS[program], list(words[1:]))
    else:
        yield f"the program {program!r} is not known: scripts/docs_blocks/programs.py lists those that are"


def check_tool(name: str, tool: Tool, words: list[str]) -> Iterator[str]:
    """Find what is wrong with the arguments of a program."""
    plain: list[str] = []
    options: list[tuple[str, str]] = []
    while words:
        word = words.pop(0)
        option, has_value, value = word.partition("=")
        if word == "--" or (tool.inner is not None and len(plain) == tool.inner and not word.startswith("-")):
            yield from check_command(words if word == "--" else [word, *words])
            break
        if option in tool.valued:
            options.append((option, value if has_value else words.pop(0) if words else ""))
        elif word in tool.flags:
            options.append((word, ""))
        elif word.startswith("-") and word != "-":
            yield f"{name} has no option {option!r} that scripts/docs_blocks/programs.py knows"
        elif tool.below and not plain:
            if word not in tool.below:
                yield f"{name} has no command {word!r} that scripts/docs_blocks/programs.py knows"
                return
            yield from tool.check(plain, options)
            yield from check_tool(f"{name} {word}", tool.below[word], words)
            return
        else:
            plain.append(word)
    yield from tool.check(plain, options)


# --- what the words mean ------------------------------------------------------------------------------------


def check_files(
    words: Sequence[str], options: Sequence[tuple[str, str]], *, named: Sequence[str]
) -> Iterator[str]:
    """Find files that do not exist."""
    for option, value in options:
        if option in named and not (ROOT / value).exists():
            yield f"{option} names {value!r}, which does not exist"


def check_make(words: list[str]) -> Iterator[str]:
    """Find targets and variables that the Makefile does not have."""
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", text, re.M))
    variables = {*re.findall(r"^([A-Z]+) \?=", text, re.M), *re.findall(r"\$\((\w+)\)", text)}
    variables |= {"PUSHMETRICS_DEMO_SERVICE_PORT", "PUSHMETRICS_DEMO_AIRFLOW_PORT"}
    for word in words:
        name, is_variable, _ = word.partition("=")
        if name not in (variables if is_variable else targets):
            yield f"the Makefile has no {'variable' if is_variable else 'target'} {name!r}"


def check_python(words: list[str]) -> Iterator[str]:
    """Find code that does not compile, a module that nobody has, and a script that does not exist."""
    if words[:1] == ["-c"]:
        try:
            compile(words[1], "<-c>", "exec")
        except SyntaxError as error:
            yield f"the code of python -c does not compile: {error}"
    elif words[:1] == ["-m"]:
        yield from check_tool("python -m", MODULES, words[1:])
    elif not (ROOT / words[0]).is_file():
        yield f"there is no script {words[0]!r}"


def check_requirements(words: list[str]) -> Iterator[str]:
    """Find options that pip does not have, and requirements that this package cannot meet."""
    yield from check_pip(words)
    known = {name for name in metadata.metadata(NAME).get_all("Provides-Extra") or ()}
    before = ""
    for word in words[1:]:
        if before in {"--constraint", "-c"} and not (ROOT / word).is_file():
            yield f"there is no file {word!r}"
        if before not in {"--constraint", "-c"} and not word.startswith("-"):
            text = re.sub(r"^\.(?=\[|$)", NAME, word).replace(f"=={RECORDED}", "==3.3.2")
            try:
                one = Requirement(text)
            except InvalidRequirement as error:
                yield f"pip cannot install {word!r}: {error}"
            else:
                if one.name == NAME and one.extras - known:
                    yield f"this package has no extra {', '.join(sorted(one.extras - known))!r}"
        before = word


def check_services(words: Sequence[str], options: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Find services that docker-compose.yaml does not have."""
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))["services"]
    for word in words:
        if word not in services:
            yield f"docker-compose.yaml has no service {word!r}"


def check_chart(words: Sequence[str], options: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Find values that the chart does not have."""
    chart = ROOT / words[1] if len(words) == 2 else None
    if chart is None or not (chart / "values.yaml").is_file():
        yield f"{' '.join(words)!r} is not a name and a chart of this repository"
        return
    values = yaml.safe_load((chart / "values.yaml").read_text("utf-8"))
    for option, value in options:
        found: Any = values
        for name in value.partition("=")[0].split("."):
            if not isinstance(found, dict) or name not in found:
                yield f"the chart has no value for {option} {value}"
                break
            found = found[name]


def check_request(words: Sequence[str], options: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Find requests to paths that the service does not have, and bodies that are no JSON."""
    bodies = [value for option, value in options if option in {"-d", "--data"}]
    methods = [value for option, value in options if option in {"-X", "--request"}]
    for body in bodies:
        try:
            json.loads(body)
        except ValueError as error:
            yield f"the body of a request is not JSON: {error}"
    method = (methods or ["POST" if bodies else "GET"])[0].lower()
    for word in words:
        place = urlsplit(word)
        if place.port == SERVICE_PORT and not any(
            re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), place.path) and method in operations
            for path, operations in list_operations().items()
        ):
            yield f"the service has no {method.upper()} {place.path}"


SERVICE_PORT = 8090


@cache
def list_operations() -> dict[str, dict[str, Any]]:
    """List the operations of the service's API, by their path."""
    paths: dict[str, dict[str, Any]] = build_document()["paths"]
    return paths


# --- the programs -------------------------------------------------------------------------------------------


def tool(*options: str, **more: Any) -> Tool:
    """Make a tool; an option that ends with ``=`` has a value."""
    flags = frozenset(one for one in options if not one.endswith("="))
    valued = frozenset(one.removesuffix("=") for one in options if one.endswith("="))
    return Tool(flags, valued, **more)


PARSERS: dict[str, Callable[[list[str]], Iterator[str]]] = {
    "airflow": check_airflow,
    "make": check_make,
    "pip": check_requirements,
    "pushmetrics": check_pushmetrics,
    "python": check_python,
}
MODULES = tool(below={"venv": tool(), "build": tool("--wheel")})
COMPOSE = tool(
    "--file=",
    "--profile=",
    check=partial(check_files, named=("--file",)),
    below={
        "up": tool("--build", "--detach", check=check_services),
        "run": tool("--rm", "--no-deps", "--volume=", inner=1, check=check_services),
        "exec": tool("-T", inner=1, check=check_services),
    },
)
BUILD = tool("--file=", "--tag=", check=partial(check_files, named=("--file",)))
DOCKER = tool(below={"build": BUILD, "push": tool(), "compose": COMPOSE})
SECRET = tool(below={"generic": tool("--from-literal=")})
KUBECTL = tool(
    below={
        "create": tool(below={"secret": SECRET}),
        "cp": tool(),
        "exec": tool(),
        "get": tool(below={"pod": tool("--selector=", "--output=")}),
    }
)
CURL = tool(
    *("--silent", "-s", "--show-error", "--fail"),
    *("--header=", "-H=", "--data=", "-d=", "--output=", "--request=", "-X="),
    check=check_request,
)
TOOLS: dict[str, Tool] = {
    "apt-get": tool(below={"update": tool(), "install": tool("--yes", "--no-install-recommends")}),
    "/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh": tool("-y"),
    "cat": tool(),
    "cd": tool(),
    "chmod": tool(),
    "curl": CURL,
    "docker": DOCKER,
    "grep": tool("--invert-match", "--extended-regexp"),
    "head": tool("-1"),
    "helm": tool(below={"install": tool("--set=", check=check_chart)}),
    "install": tool("--directory", "--owner=", "--mode="),
    "kubectl": KUBECTL,
    "ls": tool(),
    "mktemp": tool("-d"),
    "pytest": tool(),
    "rm": tool("-rf"),
    "sh": tool("-c="),
    "sudo": tool(inner=0),
}
"""Programs that bring no parser along: what the pages use of them. Look up what you add."""
