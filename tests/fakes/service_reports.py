"""Reports for tests, written to the database as the service itself keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import select

from airflow_provider_pushmetrics.service.datasources.urls import DUCKDB
from airflow_provider_pushmetrics.service.models import (
    Block,
    DataSource,
    Query,
    Report,
    ReportTrigger,
    Workspace,
)
from airflow_provider_pushmetrics.service.runs.triggers import set_token
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.service.storage.ids import generate_uid

TRIGGER_TOKEN = "trigger-token-of-the-tests-0123456789"

SLOW = "SELECT sum(hash(a.range + b.range)) AS n FROM range(12000) a, range(20000) b"
"""Takes a second or two, so that a process can be killed in the middle of it."""


ENDLESS = SLOW.replace("12000", "1200000000")


@dataclass(frozen=True)
class MadeReport:
    """What a test needs to know of a report."""

    id: int
    queries: dict[str, int]
    blocks: dict[str, str]


def sql(text: str) -> tuple[str, dict[str, Any]]:
    """Make the content of a SQL block."""
    return "sql", {"sql": text}


def text(template: str) -> tuple[str, dict[str, Any]]:
    """Make the content of a text block."""
    return "text", {"text": template}


def parameter(
    default: Any = None, kind: str = "any", *, required: bool = False
) -> tuple[str, dict[str, Any]]:
    """Make the content of a Parameter block."""
    return "parameter", {"default": default, "type": kind, "required": required}


def make_report(
    database: Database,
    cipher: Cipher,
    data_dir: Path,
    kind: str = DUCKDB,
    /,
    **blocks: tuple[str, dict[str, Any]],
) -> MadeReport:
    """
    Make a report with these blocks, in this order, and an enabled trigger.

    :param kind: Of its empty data source: ``duckdb``, or ``sqlite``, which starts no process.
    """
    path = data_dir / "sources" / f"empty.{kind}"
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        duckdb.connect(str(path)).close() if kind == DUCKDB else path.touch()
    with database.writing() as session:
        workspace_id = session.scalars(select(Workspace.id).order_by(Workspace.id)).first()
        assert workspace_id is not None
        source = DataSource(
            workspace_id=workspace_id,
            name=f"empty {generate_uid()}",
            kind=kind,
            location_encrypted=cipher.encrypt(path.name if kind == DUCKDB else f"{kind}:///{path.name}"),
        )
        report = Report(workspace_id=workspace_id, name="Made by a test")
        session.add_all([source, report])
        session.flush()
        made = MadeReport(report.id, {}, {})
        for position, (name, (type_, content)) in enumerate(blocks.items()):
            block = Block(report_id=report.id, position=position, type=type_, name=name, content=content)
            session.add(block)
            if type_ == "sql":
                block.content = {"database_id": source.id, **content}
                block.query = Query(report_id=report.id)
            session.flush()
            made.blocks[name] = block.uid
            if block.query is not None:
                made.queries[name] = block.query.id
        webhook = ReportTrigger(report_id=report.id)
        set_token(webhook, TRIGGER_TOKEN, cipher)
        session.add(webhook)
    return made
