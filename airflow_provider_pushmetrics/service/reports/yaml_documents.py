"""Reports as YAML documents: writing, parsing, and comparing them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from airflow_provider_pushmetrics.service.models import Block, Report
from airflow_provider_pushmetrics.service.reports.authoring import (
    MAX_BLOCKS,
    REPORT_TYPES,
    BlockDraft,
    ReportDraft,
)
from airflow_provider_pushmetrics.service.reports.block_graph import EMAIL, SLACK, SQL
from airflow_provider_pushmetrics.service.reports.block_types import (
    ContentError,
    check_json,
    refuse_unknown_keys,
)

MAX_DOCUMENT_LENGTH = 256 * 1024
MAX_YAML_DEPTH = 64
MAX_VALUES = 20_000
"""The maximum number of values in a document: forty for each of the maximum number of blocks."""
MAX_NUMBER_LENGTH = 400
MAX_REPORT_NAME_LENGTH = 255
DESTINATIONS = (EMAIL, SLACK)
DOCUMENT_KEYS = ("name", "type", "description", "folder", "time_zone", "destinations", "blocks")
BLOCK_KEYS = ("name", "type", "uid", "verbose_name", "content")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Loads plain documents, with dates as text; in C if available, which is 20 times as fast."""

    yaml_implicit_resolvers = {
        letter: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _construct_number(loader: Any, node: yaml.ScalarNode) -> Any:
    """Read a number; the time that a long one takes grows with the square of its length."""
    if len(node.value) > MAX_NUMBER_LENGTH:
        raise ContentError(f"the YAML has a number of more than {MAX_NUMBER_LENGTH} characters")
    return yaml.SafeLoader.yaml_constructors[node.tag](loader, node)


for _tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
    _Loader.add_constructor(_tag, _construct_number)


def _construct_mapping(loader: Any, node: yaml.MappingNode) -> Any:
    """Read a mapping. Of two equal keys YAML itself takes the last, silently."""
    seen = set()
    for key_node, _ in node.value:
        if isinstance(key_node, yaml.ScalarNode):
            key = loader.construct_object(key_node)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise ContentError(
                    f"the YAML has the key {key!r:.100} twice, again in line {line}: remove one"
                )
            seen.add(key)
    return yaml.SafeLoader.construct_yaml_map(loader, node)


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


class _Dumper(yaml.SafeDumper):
    """Writes multi-line texts as literal blocks."""


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _write_text)


def write_config(report: Report, databases: Mapping[int, str]) -> str:
    """
    Write a report as YAML.

    :param databases: The names of databases by their id: names are portable between services.
    """
    document: dict[str, Any] = {
        "name": report.name,
        "type": report.type,
        "description": report.description,
        "folder": report.folder,
        "time_zone": report.time_zone,
        "destinations": [kind for kind in DESTINATIONS if any(one.type == kind for one in report.blocks)],
        "blocks": [_build_block(block, databases) for block in report.blocks],
    }
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def parse_config(text: str) -> ReportDraft:
    """
    Parse a report from YAML.

    :raises ContentError: if it is not YAML, or not a report.
    """
    document = _load(text)
    if not isinstance(document, dict):
        raise ContentError("the YAML is not that of a report: it must have a name and blocks")
    check_json(document)
    refuse_unknown_keys(document, DOCUMENT_KEYS, "a report has")
    blocks = document.get("blocks") or []
    if not isinstance(blocks, list):
        raise ContentError("blocks must be a list")
    if len(blocks) > MAX_BLOCKS:
        raise ContentError(f"the YAML has {len(blocks)} blocks: a report has at most {MAX_BLOCKS} blocks")
    kind = document.get("type", "report")
    if kind not in REPORT_TYPES:
        raise ContentError(f"type is {kind!r}: it must be one of {', '.join(REPORT_TYPES)}")
    return ReportDraft(
        name=_read_name(document, "name", "the report"),
        description=_read_optional_text(document, "description") or "",
        type=kind,
        folder=_read_optional_text(document, "folder"),
        time_zone=_read_optional_text(document, "time_zone") or "UTC",
        blocks=tuple(_parse_block(number, block) for number, block in enumerate(blocks, start=1)),
    )


def _load(text: str) -> Any:
    if len(text) > MAX_DOCUMENT_LENGTH:
        raise ContentError(f"the YAML is longer than {MAX_DOCUMENT_LENGTH} characters")
    try:
        _check_extent(text)
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, ContentError):
            raise
        raise ContentError(f"not valid YAML: {_describe_error(error)}") from None


def _check_extent(text: str) -> None:
    """Refuse large documents before they are built."""
    depth = values = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            # Nested aliases grow exponentially.
            name = str(event.anchor)[:64]
            raise ContentError(f"the YAML has an alias (*{name}): write the value out")
        values += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_YAML_DEPTH:
            raise ContentError(f"the YAML is nested deeper than {MAX_YAML_DEPTH} levels")
        if values > MAX_VALUES:
            raise ContentError(f"the YAML has more than {MAX_VALUES} values")


def write_diff(before: str, after: str) -> str:
    """Write the difference between two documents, as a unified diff."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "stored", "given", lineterm="")
    return "\n".join(lines)


def list_databases_by_id(rows: Sequence[Any]) -> dict[int, str]:
    """Map databases to their names, if the name is unique."""
    names = [row.name for row in rows]
    return {row.id: row.name for row in rows if names.count(row.name) == 1}


def _build_block(block: Block, databases: Mapping[int, str]) -> dict[str, Any]:
    content = dict(block.content)
    if block.type == SQL and content.get("database_id") in databases:
        content = {"database": databases[content.pop("database_id")], **content}
    row: dict[str, Any] = {"name": block.name, "type": block.type, "uid": block.uid}
    if block.verbose_name:
        row["verbose_name"] = block.verbose_name
    return {**row, "content": content}


def _parse_block(number: int, value: Any) -> BlockDraft:
    if not isinstance(value, dict):
        raise ContentError(f"block {number} is not a mapping")
    try:
        refuse_unknown_keys(value, BLOCK_KEYS, "a block has")
    except ContentError as error:
        raise ContentError(f"block {number}: {error}") from None
    content = value.get("content")
    if not isinstance(content, dict):
        raise ContentError(f"block {number} has no content")
    return BlockDraft(
        type=_read_name(value, "type", f"block {number}"),
        name=_read_name(value, "name", f"block {number}"),
        content=content,
        verbose_name=_read_optional_text(value, "verbose_name"),
        uid=_read_optional_text(value, "uid"),
    )


def _read_name(value: Mapping[str, Any], key: str, owner: str) -> str:
    text = value.get(key)
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_REPORT_NAME_LENGTH or "\x00" in text:
        raise ContentError(
            f"{owner} has no {key}: it must be a text of 1 to {MAX_REPORT_NAME_LENGTH} characters"
        )
    return text.strip()


def _read_optional_text(value: Mapping[str, Any], key: str) -> str | None:
    text = value.get(key)
    if text is not None and (not isinstance(text, str) or (key != "description" and len(text) > 255)):
        raise ContentError(f"{key} must be a text")
    return text


def _describe_error(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or type(error).__name__
    return f"{problem} in line {mark.line + 1}" if mark is not None else str(problem)
