"""The execution order of a report's blocks, from Jinja references, not from the order on the page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.models import Block
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.rendering import References, find_references

PARAMETER = "parameter"
SQL = "sql"
TEXT = "text"
CHART = "chart"
EMAIL = "email"
SLACK = "slack"
BLOCK_TYPES = (PARAMETER, SQL, TEXT, CHART, EMAIL, SLACK)

TEMPLATE_KEYS: Mapping[str, tuple[str, ...]] = {
    SQL: ("sql",),
    TEXT: ("text",),
    CHART: ("spec",),
    EMAIL: ("subject", "value", "to_", "attachments"),
    SLACK: ("value_markdown", "channels"),
}
"""The keys with templates in the content of each block type."""


UNSAVED_ID = 0
"""The id of a block that was not saved."""

LAST_POSITION = 2**31 - 1
"""The position behind all blocks."""


class PlanError(PushMetricsError):
    """The blocks of a report have circular references."""


@dataclass(frozen=True)
class PlannedBlock:
    """
    A block as it is executed.

    :param needs: The names of the blocks that must succeed before.
    """

    id: int
    uid: str
    position: int
    name: str
    type: str
    content: Mapping[str, Any]
    query_id: int | None
    needs: frozenset[str] = frozenset()

    @property
    def template(self) -> str:
        """The Jinja template of a block; empty if its type has none."""
        return next(iter(self.templates), "")

    @property
    def templates(self) -> list[str]:
        """All Jinja templates of the block: every text under the keys that may contain them."""
        return collect_templates(self.type, self.content)


def hash_content(content: Mapping[str, Any]) -> str:
    """Hash the content of a block, to tell later whether it was changed."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def collect_templates(kind: str, content: Mapping[str, Any]) -> list[str]:
    return [text for key in TEMPLATE_KEYS.get(kind, ()) for text in _collect_texts(content.get(key, ""))]


def plan_waves(blocks: Sequence[PlannedBlock]) -> list[list[PlannedBlock]]:
    """
    Group blocks into waves; each block depends only on earlier waves.

    :raises PlanError: for circular references; the message contains the blocks.
    """
    by_name = {block.name: block for block in blocks}
    references = {block.name: _find_block_references(block, by_name) for block in blocks}
    sorter = _sort_references(references)
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise PlanError(f"blocks have circular references: {circle}. Remove one of the references.") from None
    waves = []
    while sorter.is_active():
        names = sorted(sorter.get_ready(), key=lambda name: by_name[name].position)
        waves.append([_with_needs(by_name[name], references, by_name) for name in names])
        sorter.done(*names)
    return waves


def _sort_references(references: Mapping[str, References]) -> TopologicalSorter[str]:
    return TopologicalSorter({name: found.outputs | found.texts for name, found in references.items()})


@dataclass(frozen=True)
class BlockGraph:
    """
    The references between the blocks of a report.

    :param uses: The names that each block refers to, by its name.
    :param absent: The names that each block refers to and no block has, those with a default too.
    :param missing: The references of blocks to names that the report does not have.
    :param circle: The names of blocks with circular references, the first of them also last; empty if there
        are none.
    """

    uses: Mapping[str, frozenset[str]]
    absent: Mapping[str, frozenset[str]]
    missing: Mapping[str, MissingReferences]
    circle: tuple[str, ...] = ()

    def find_upstream(self, name: str) -> frozenset[str]:
        """Find the blocks that a block uses, directly and indirectly."""
        found: set[str] = set()
        pending = [name]
        while pending:
            added = self.uses.get(pending.pop(), frozenset()) - found
            found |= added
            pending += added
        return frozenset(found - {name})


def read_graph(blocks: Sequence[PlannedBlock]) -> BlockGraph:
    """Read the references between blocks, also where they are circular or a template is not valid."""
    names = {block.name for block in blocks}
    references = {block.name: _find_block_references(block, names) for block in blocks}
    circle: tuple[str, ...] = ()
    try:
        _sort_references(references).prepare()
    except CycleError as error:
        circle = tuple(error.args[1])
    uses = {name: found.outputs | found.texts for name, found in references.items()}
    absent = {block.name: frozenset(_list_names(block) - names) for block in blocks}
    return BlockGraph(uses, absent, find_missing_references(blocks), circle)


def place_unsaved(blocks: Sequence[PlannedBlock], unsaved: PlannedBlock) -> list[PlannedBlock]:
    """Put a block that was not saved behind the others; one with its name, saved since, is left out."""
    return [*(block for block in blocks if block.name != unsaved.name), unsaved]


def plan_unsaved(content: Mapping[str, Any], *, uid: str, type: str, name: str) -> PlannedBlock:
    """Build the data for planning of a block that was not saved; its place is behind all others."""
    return PlannedBlock(UNSAVED_ID, uid, LAST_POSITION, name, type, content, query_id=None)


def plan_with_query(block: Block) -> PlannedBlock:
    """Read the data for planning from a stored block, with its query."""
    return replace(plan_block(block), query_id=block.query.id if block.query else None)


def plan_block(block: Block) -> PlannedBlock:
    """Read the data for planning from a stored block; not its query."""
    return PlannedBlock(
        id=block.id,
        uid=block.uid,
        position=block.position,
        name=block.name,
        type=block.type,
        content=block.content,
        query_id=None,
    )


def select_with_needs(waves: Sequence[Sequence[PlannedBlock]], name: str) -> list[list[PlannedBlock]]:
    """Keep one block and its dependencies, direct and indirect."""
    kept = {name}
    for wave in reversed(waves):
        for block in wave:
            if block.name in kept:
                kept |= block.needs
    selected = [[block for block in wave if block.name in kept] for wave in waves]
    return [wave for wave in selected if wave]


@dataclass(frozen=True)
class MissingReferences:
    """
    References of a block to names that its report does not have.

    :param names: Names that a trigger may still set.
    :param queries: Names that can only be queries, which a trigger cannot set.
    """

    names: frozenset[str] = frozenset()
    queries: frozenset[str] = frozenset()


def find_missing_references(blocks: Sequence[PlannedBlock]) -> dict[str, MissingReferences]:
    """Find references to names that the report does not have, by the name of the block."""
    known = {block.name for block in blocks} | {"params", "webhook"}
    sql = {block.name for block in blocks if block.type == SQL}
    missing = {}
    for block in blocks:
        named, queries = _collect_names(block)
        queries = (queries - known) | (_name_queries(block) - sql)
        found = MissingReferences(frozenset(named - known - queries), frozenset(queries))
        if found != MissingReferences():
            missing[block.name] = found
    return missing


def find_varying_choices(blocks: Sequence[PlannedBlock]) -> dict[str, list[str]]:
    """Find the names that queries of choices use, by the parameter whose choices depend on them."""
    names = {block.name: sorted(_collect_names(block)[0]) for block in blocks if block.type == SQL}
    parameters = (block for block in blocks if block.type == PARAMETER)
    found = {
        block.name: [name for query in _name_queries(block) for name in names.get(query, ())]
        for block in parameters
    }
    return {name: used for name, used in found.items() if used}


def _collect_names(block: PlannedBlock) -> tuple[set[str], set[str]]:
    """Collect the required names in a block's templates, and which of them are queries."""
    named: set[str] = set()
    queries: set[str] = set()
    for template in block.templates:
        try:
            found = find_references(template)
        except BlockTemplateError:
            continue  # saved before this check existed; the block itself will fail
        named |= (found.outputs | found.texts) - found.optional
        queries |= found.queries - found.optional
    return named, queries


def _name_queries(block: PlannedBlock) -> set[str]:
    """List the queries that a block uses outside its templates."""
    if block.type == CHART:
        return _name_query(block.content)
    if block.type == EMAIL:
        files = block.content.get("attachments")
        # A block that is being written may hold anything.
        return {name for file in _list_mappings(files) for name in _name_query(file)}
    choices = block.content.get("choices") if block.type == PARAMETER else None
    return _name_query(choices) if isinstance(choices, Mapping) else set()


def _name_query(content: Mapping[str, Any]) -> set[str]:
    """Read the name of a query; none is chosen yet in a block that is being written."""
    name = content.get("query")
    return {str(name)} if name not in (None, "") else set()


def _list_mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list | tuple) else []


def _list_names(block: PlannedBlock) -> set[str]:
    """List all names that a block refers to, of blocks or not."""
    names = set() if block.type == PARAMETER else _name_queries(block)
    for template in block.templates:
        with suppress(BlockTemplateError):  # the block itself will fail, with this message
            found = find_references(template)
            names |= found.outputs | found.texts
    return names - {"params", "webhook"}


def _find_block_references(block: PlannedBlock, names: Collection[str]) -> References:
    outputs: set[str] = set()
    texts: set[str] = set()
    for template in block.templates:
        try:
            found = find_references(template)
        except BlockTemplateError:
            return References(frozenset(), frozenset())  # the block itself will fail, with this message
        outputs |= found.outputs
        texts |= found.texts
    if block.type != PARAMETER:  # the choices of a parameter are known before there is a run
        outputs |= _name_queries(block)
    return References(frozenset(outputs.intersection(names)), frozenset(texts.intersection(names)))


def _collect_texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [text for one in value for text in _collect_texts(one)] if isinstance(value, list) else []


def _with_needs(
    block: PlannedBlock, references: Mapping[str, References], by_name: Mapping[str, PlannedBlock]
) -> PlannedBlock:
    """
    Find the blocks that must succeed before: blocks whose output is used, parameters and charts.

    A query of which only the text is used need not run, but the references in that text must.
    """
    needs: set[str] = set()
    pending, seen = [block.name], {block.name}
    while pending:
        found = references[pending.pop()]
        needs |= found.outputs
        for name in found.texts:
            if by_name[name].type in (PARAMETER, CHART):
                needs.add(name)
            elif name not in seen:
                seen.add(name)
                pending.append(name)
    return replace(block, needs=frozenset(needs))
