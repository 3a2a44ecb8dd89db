"""Blocks that are no shell commands: data, configuration, and plain text."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from scripts.docs_blocks.blocks import ROOT, Block
from scripts.docs_blocks.variables import check_connection, check_extra, list_sections

FILE_NAME = re.compile(r"(?<![\w…/.-])((?:[\w-]+/)+[\w-]+(?:\.\w+)?|[\w-]+\.py)(?![\w…/(-])")
ROOTS = (ROOT, ROOT / "airflow_provider_pushmetrics")


def check_json(block: Block) -> Iterator[str]:
    """Find JSON that cannot be read, or that is not what its mark says."""
    try:
        found = json.loads(block.code)
    except ValueError as error:
        yield f"it is not JSON: {error}"
        return
    if block.mark == "extra":
        yield from check_extra(found)
    elif block.mark == "connections":
        for connection in found.values():
            yield from check_connection(json.dumps(connection))
    elif block.mark == "sources":
        from airflow_provider_pushmetrics.receiver.sources import FIELDS

        unknown = {name for row in found for name in row} - FIELDS
        if unknown:
            yield f"a source has no {', '.join(sorted(unknown))}"
    else:
        yield "JSON needs a mark in the line before: <!-- extra -->, <!-- connections --> or <!-- sources -->"


def check_yaml(block: Block) -> Iterator[str]:
    """Find YAML that cannot be read, and in a file for Compose what Compose does not have."""
    try:
        found = yaml.safe_load(block.code)
    except yaml.YAMLError as error:
        yield f"it is not YAML: {error}"
        return
    if block.mark == "compose":
        yield from check_compose(found)
    elif block.mark == "prometheus-adapter":
        yield from check_series(block.code)
    elif block.mark != "airflow chart":
        yield (
            "YAML needs a mark in the line before: <!-- compose -->, <!-- prometheus-adapter --> or"
            " <!-- airflow chart -->"
        )


def check_compose(found: Mapping[str, Any]) -> Iterator[str]:
    """Find services, and keys of services, that docker-compose.yaml and Compose do not have."""
    ours = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))
    for name, service in found["services"].items():
        if name not in ours["services"]:
            yield f"docker-compose.yaml has no service {name!r}"
        for key in set(service) - {"image", "environment", "secrets", "volumes"}:
            yield f"{key!r} of the service {name!r} is not one that scripts/docs_blocks/texts.py knows"


def check_series(text: str) -> Iterator[str]:
    """Find metrics that the package does not write."""
    written = "\n".join(
        path.read_text("utf-8") for path in (ROOT / "airflow_provider_pushmetrics").rglob("*.py")
    )
    for name in re.findall(r"\bpushmetrics_\w+", text):
        if f'"{name.removeprefix("pushmetrics_service_")}"' not in written and f'"{name}"' not in written:
            yield f"there is no metric {name}"


def check_ini(block: Block) -> Iterator[str]:
    """Find sections and options that ``airflow.cfg`` does not have."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(block.code)
    except configparser.Error as error:
        yield f"it is not like airflow.cfg: {error}"
        return
    for section in parser.sections():
        for name in parser[section]:
            if name not in list_sections().get(section, ()):
                yield f"[{section}] of airflow.cfg has no option {name!r}"


def check_nginx(block: Block) -> Iterator[str]:
    """Find directives that nginx does not have, or that do not end."""
    text = re.sub(r"#.*", "", block.code)
    if text.count("{") != text.count("}"):
        yield "its braces are not in pairs"
    for line in map(str.strip, text.splitlines()):
        if line and line != "}" and not line.endswith((";", "{")):
            yield f"the line {line!r} has no end"
        if line and line != "}" and line.split()[0] not in DIRECTIVES:
            yield f"nginx has no directive {line.split()[0]!r} that scripts/docs_blocks/texts.py knows"


DIRECTIVES = {
    *("upstream", "server", "location", "keepalive", "keepalive_timeout", "listen", "http2", "server_name"),
    *("ssl_certificate", "ssl_certificate_key", "access_log", "error_log", "log_format"),
    *(
        "client_max_body_size",
        "proxy_pass",
        "proxy_http_version",
        "proxy_set_header",
        "proxy_next_upstream",
        "proxy_read_timeout",
    ),
}
"""https://nginx.org/en/docs/dirindex.html"""


def find_docker_commands(text: str) -> str:
    """Find what a Dockerfile runs, as a script; the copy of this repository is the repository."""
    text = re.sub(r"\\\n\s*", "", text)
    commands = "\n".join(re.findall(r"^RUN (.*)$", text, re.M))
    copied = re.search(r"^COPY (?:--\S+ )*\. (\S+)$", text, re.M)
    return commands.replace(f"{copied[1]}/", "").replace(copied[1], ".") if copied else commands


def check_dockerfile(block: Block) -> Iterator[str]:
    """Find instructions that a Dockerfile does not have, and files to copy that do not exist."""
    text = re.sub(r"\\\n\s*", "", block.code)
    for line in filter(None, text.splitlines()):
        instruction, *words = line.split()
        if instruction == "COPY":
            sources = [word for word in words if not word.startswith("--")][:-1]
            yield from (
                f"COPY {name}: there is no such file" for name in sources if not (ROOT / name).exists()
            )
        elif instruction not in {"FROM", "USER", "RUN"} and not line.startswith("#"):
            yield f"{instruction!r} is not an instruction that scripts/docs_blocks/texts.py knows"


def check_text(block: Block) -> Iterator[str]:
    """Find files of this repository that a drawing or an output names and that do not exist."""
    if not block.page.endswith("architecture.md"):
        return
    for name in FILE_NAME.findall(block.code):
        if name.endswith(".py") and not any((root / name).exists() for root in ROOTS):
            yield f"there is no file {name}"
