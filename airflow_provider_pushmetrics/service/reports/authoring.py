"""
Changes of reports and their blocks, with one event for each change.

A change of a whole report is one ``report.…`` event, however many of its queries change. A change of
a single query is one ``query.…`` event. Both are written in the transaction of the change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.models import Block, DataSource, Query, Report
from airflow_provider_pushmetrics.service.reports.block_graph import PARAMETER, SQL, plan_block, plan_waves
from airflow_provider_pushmetrics.service.reports.block_types import (
    ContentError,
    check_block_type,
    check_content,
)
from airflow_provider_pushmetrics.service.reports.recurrence import find_zone
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.ids import MAX_INTEGER_ID, parse_id
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.checking import check_sql
from airflow_provider_pushmetrics.service.templates.dialects import find_dialect
from airflow_provider_pushmetrics.service.webhooks.event_outbox import (
    QUERY_CREATED,
    QUERY_DELETED,
    QUERY_UPDATED,
    REPORT_CREATED,
    REPORT_DELETED,
    REPORT_UPDATED,
    build_query_change,
    build_report_change,
    put_in_outbox,
)

NOTEBOOK = "notebook"
REPORT_TYPES = ("report", NOTEBOOK)
SCRATCH_NAME = "Blocks without a report"
MAX_BLOCKS = 500


@dataclass(frozen=True)
class BlockDraft:
    """
    A block in a request or document.

    :param uid: The block to replace, if a document contains it.
    """

    type: str
    name: str
    content: Mapping[str, Any]
    verbose_name: str | None = None
    uid: str | None = None


@dataclass(frozen=True)
class ReportDraft:
    """
    A report in a request or document.

    :param time_zone: The time zone of its queries and schedules, as an IANA name.
    """

    name: str
    description: str = ""
    type: str = "report"
    folder: str | None = None
    time_zone: str = "UTC"
    owner_id: int | None = None
    blocks: tuple[BlockDraft, ...] = field(default=())


@dataclass(frozen=True)
class BlockChanges:
    """The changes that a document made to the blocks of a report, by name."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


def create_report(session: Session, workspace_id: int, draft: ReportDraft) -> Report:
    """
    Create a report.

    :raises ContentError: if a block is invalid.
    :raises PlanError: if blocks have circular references.
    """
    check_time_zone(draft.time_zone)
    report = Report(
        workspace_id=workspace_id,
        name=draft.name,
        description=draft.description,
        type=draft.type,
        folder=draft.folder,
        time_zone=draft.time_zone,
        owner_id=draft.owner_id,
    )
    session.add(report)
    session.flush()
    for block in draft.blocks:
        _add_block(session, report, block)
    check_order(session, report)
    add_report_event(session, REPORT_CREATED, report)
    return report


def change_report(session: Session, report: Report, changes: Mapping[str, Any]) -> None:
    """Change fields of a report; an actual change adds an event."""
    if "time_zone" in changes:
        check_time_zone(changes["time_zone"])
    if apply_fields(report, changes):
        add_report_event(session, REPORT_UPDATED, report)


def rewrite_report(session: Session, report: Report, draft: ReportDraft, *, prune: bool) -> BlockChanges:
    """
    Replace a report by a document.

    :param prune: Whether blocks that are not in the document are deleted.
    :return: The changes of the blocks.
    """
    check_time_zone(draft.time_zone)
    fields = {"name": draft.name, "description": draft.description, "folder": draft.folder}
    is_changed = apply_fields(report, {**fields, "type": draft.type, "time_zone": draft.time_zone})
    changes = _rewrite_blocks(session, report, draft.blocks, prune=prune)
    check_order(session, report)
    if is_changed or changes != BlockChanges():
        add_report_event(session, REPORT_UPDATED, report)
    return changes


def delete_report(session: Session, report: Report) -> None:
    """Delete a report with its blocks, triggers and runs."""
    add_report_event(session, REPORT_DELETED, report)
    session.flush()
    session.delete(report)


def create_block(session: Session, report: Report, draft: BlockDraft) -> Block:
    """
    Add a block to a report.

    :raises ContentError: if it is invalid.
    :raises PlanError: if blocks have circular references with it.
    """
    block = _add_block(session, report, draft)
    check_order(session, report)
    _add_block_event(session, block, QUERY_CREATED)
    return block


def change_block(session: Session, block: Block, changes: Mapping[str, Any]) -> None:
    """Change fields of a block; an actual change adds an event."""
    changes = dict(changes)
    if changes.get("content") is not None:
        changes["content"] = check_block_content(session, block.report, block.type, changes["content"])
    if apply_fields(block, changes):
        session.flush()
        check_order(session, block.report)
        _add_block_event(session, block, QUERY_UPDATED)


def delete_block(session: Session, block: Block) -> None:
    _add_block_event(session, block, QUERY_DELETED)
    session.flush()
    block.report.blocks.remove(block)


def move_block(session: Session, block: Block, position: int) -> None:
    """Move a block on the page; an actual change adds an event of its report."""
    order = [other for other in block.report.blocks if other is not block]
    order.insert(position, block)
    if order != list(block.report.blocks):
        _reorder(session, block.report, order)
        add_report_event(session, REPORT_UPDATED, block.report)


def ensure_scratch(session: Session, workspace_id: int) -> Report:
    """Find or create the notebook for blocks that were created without a report."""
    found = select(Report).where(Report.workspace_id == workspace_id, Report.name == SCRATCH_NAME)
    report = session.scalars(found.order_by(Report.id)).first()
    if report is None:
        report = create_report(session, workspace_id, ReportDraft(SCRATCH_NAME, type=NOTEBOOK))
    return report


def check_time_zone(name: str) -> None:
    """
    Check the name of a time zone.

    :raises ContentError: if it is unknown.
    """
    try:
        find_zone(name)
    except PushMetricsParameterError as error:
        raise ContentError(str(error)) from None


def check_order(session: Session, report: Report) -> None:
    """
    Check that the blocks of a report have an order.

    :raises PlanError: for circular references; the message contains the blocks.
    """
    session.flush()
    plan_waves([plan_block(block) for block in report.blocks])


def check_block_content(
    session: Session, report: Report, kind: str, content: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Validate the content of a block; a database may be given by its id, its uid or its name.

    :raises ContentError: if it is invalid, or the database is not in the workspace.
    """
    if kind != SQL:
        return check_content(kind, content)
    here = select(DataSource.id).where(DataSource.workspace_id == report.workspace_id)
    content = dict(content)
    name, reference = content.pop("database", None), content.get("database_id")
    if name is not None and reference is not None:
        raise ContentError("it has both database and database_id: leave one of them out")
    if isinstance(name, str):
        content["database_id"] = session.scalars(here.where(DataSource.name == name)).first()
        if content["database_id"] is None:
            raise ContentError(f"there is no database called {name[:255]!r}: see GET /api/v1/database/")
    elif isinstance(reference, str) and parse_id(reference) is None:
        content["database_id"] = session.scalars(here.where(DataSource.uid == reference)).first()
    checked = check_content(kind, content)
    number = checked["database_id"]
    source = session.get(DataSource, number) if abs(number) <= MAX_INTEGER_ID else None
    if source is None or source.workspace_id != report.workspace_id:
        raise ContentError(f"there is no database with the id {number}: see GET /api/v1/database/")
    _check_sql(checked["sql"], source, {block.name for block in report.blocks if block.type != PARAMETER})
    return checked


def _check_sql(sql: str, source: DataSource, blocks: Collection[str]) -> None:
    """Refuse SQL that could never be executed on its database."""
    try:
        check_sql(sql, find_dialect(source.kind), blocks)
    except BlockTemplateError as error:
        raise ContentError(str(error)) from None


def apply_fields(row: Any, changes: Mapping[str, Any]) -> bool:
    """Set fields of a row; return whether one of them changed."""
    is_changed = False
    for name, value in changes.items():
        if getattr(row, name) != value:
            setattr(row, name, value)
            is_changed = True
    return is_changed


def add_report_event(session: Session, event: str, report: Report) -> None:
    now = get_now()
    report.updated_on = now
    session.flush()
    put_in_outbox(session, report.workspace_id, build_report_change(event, report, now))


def add_query_event(session: Session, event: str, query: Query) -> None:
    body = build_query_change(event, query, get_now())
    put_in_outbox(session, query.block.report.workspace_id, body)


def _add_block_event(session: Session, block: Block, event: str) -> None:
    """Add an event of a block's query, or of its report for any other block; note when the report changed."""
    if block.query is not None:
        block.report.updated_on = get_now()
        add_query_event(session, event, block.query)
    else:
        add_report_event(session, REPORT_UPDATED, block.report)


def _add_block(session: Session, report: Report, draft: BlockDraft) -> Block:
    kind = check_block_type(draft.type)
    if len(report.blocks) >= MAX_BLOCKS:
        raise ContentError(f"the report has {MAX_BLOCKS} blocks, which is the maximum")
    content = _check_draft(session, report, draft, kind)
    last = session.scalar(select(func.max(Block.position)).where(Block.report_id == report.id))
    block = Block(
        type=kind,
        name=draft.name,
        verbose_name=draft.verbose_name,
        content=content,
        position=0 if last is None else last + 1,
    )
    if kind == SQL:
        block.query = Query(report_id=report.id)
    report.blocks.append(block)
    session.flush()
    return block


def _check_draft(
    session: Session, report: Report, draft: BlockDraft, kind: str, replaced: Block | None = None
) -> Mapping[str, Any]:
    """Check the name of a block, and return its checked content."""
    if any(block.name == draft.name and block is not replaced for block in report.blocks):
        raise ContentError(f"the report already has a block called {draft.name!r}: choose another name")
    try:
        return check_block_content(session, report, kind, draft.content)
    except ContentError as error:
        raise ContentError(f"block {draft.name!r}: {error}") from None


def _rewrite_blocks(
    session: Session, report: Report, drafts: tuple[BlockDraft, ...], *, prune: bool
) -> BlockChanges:
    created, updated, deleted = [], [], []
    kept: set[int] = set()
    order: list[Block] = []
    matched = [(draft, _find_block(report, draft, kept)) for draft in drafts]
    if prune:
        for block in [block for block in report.blocks if block.id not in kept]:
            deleted.append(block.name)
            report.blocks.remove(block)
        session.flush()
    for draft, found in matched:
        if found is None:
            order.append(_add_block(session, report, draft))
            created.append(draft.name)
            continue
        order.append(found)
        if _rewrite_block(session, report, found, draft):
            updated.append(draft.name)
    _reorder(session, report, order)
    return BlockChanges(tuple(created), tuple(updated), tuple(deleted))


def list_pruned(report: Report, draft: ReportDraft) -> list[Block]:
    """
    List the blocks of a report that a document does not have.

    :raises ContentError: if the document has a block of an unknown type.
    """
    kept: set[int] = set()
    for block in draft.blocks:
        _find_block(report, block, kept)
    return [block for block in report.blocks if block.id not in kept]


def _find_block(report: Report, draft: BlockDraft, kept: set[int]) -> Block | None:
    """Find the block of a document by its uid, otherwise by its name."""
    kind = check_block_type(draft.type)
    for key in ("uid", "name"):
        for block in report.blocks:
            if getattr(block, key) == getattr(draft, key) and block.type == kind and block.id not in kept:
                kept.add(block.id)
                return block
    return None


def _rewrite_block(session: Session, report: Report, block: Block, draft: BlockDraft) -> bool:
    content = _check_draft(session, report, draft, block.type, block)
    is_changed = apply_fields(
        block, {"name": draft.name, "verbose_name": draft.verbose_name, "content": content}
    )
    session.flush()
    return is_changed


def _reorder(session: Session, report: Report, order: list[Block]) -> None:
    """Reorder the blocks as in a document; blocks that are not in it come last."""
    rest = [block for block in report.blocks if block not in order]
    for position, block in enumerate([*order, *rest]):
        block.position = position
    session.flush()
    session.expire(report, ["blocks"])  # they are read again, in their new order
