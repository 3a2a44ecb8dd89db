"""Reports and notebooks: making, showing, changing, deleting and running them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.api.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.lookup import find_by_reference, select_in_workspace
from airflow_provider_pushmetrics.service.api.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.api.texts import LongText, Name, ShortText
from airflow_provider_pushmetrics.service.authoring import (
    BlockDraft,
    ReportDraft,
    change_report,
    create_report,
    delete_report,
    list_warnings,
)
from airflow_provider_pushmetrics.service.clock import format_moment
from airflow_provider_pushmetrics.service.contents import check_json, parse_content
from airflow_provider_pushmetrics.service.listing import (
    Listing,
    match_integer,
    match_part,
    match_text,
    parse_list_query,
)
from airflow_provider_pushmetrics.service.models import Block, Report
from airflow_provider_pushmetrics.service.results.store import list_result_files
from airflow_provider_pushmetrics.service.runs import accept_run, check_idempotency_key

router = APIRouter(prefix="/api/v1/report", tags=["report"])

LISTING = Listing(
    order=Report.id,
    columns={
        "id": Report.id,
        "name": Report.name,
        "created_on": Report.created_on,
        "updated_on": Report.updated_on,
    },
    conditions={
        ("id", "eq"): match_integer(Report.id, "id"),
        ("name", "eq"): match_text(Report.name),
        ("name", "ct"): match_part(Report.name),
        ("type", "eq"): match_text(Report.type),
    },
)


class NewBlock(BaseModel):
    """A block of a new report; its content is an object or, as ``content_json``, the JSON text of one."""

    type: ShortText = Field(examples=["text"])
    name: Name = Field(examples=["introduction"])
    verbose_name: ShortText | None = None
    content: dict[str, Any] | None = Field(None, examples=[{"text": "Hello {{ who }}"}])
    content_json: str | dict[str, Any] | None = None

    def build_draft(self) -> BlockDraft:
        """Read the content."""
        given = self.content if self.content is not None else self.content_json
        content = parse_content({} if given is None else given)
        return BlockDraft(self.type, self.name, content, self.verbose_name)


class NewReport(BaseModel):
    """A report or a notebook, with its blocks."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Orders",
                    "description": "How much was ordered.",
                    "blocks": [
                        {"type": "parameter", "name": "region", "content": {"default": "EMEA"}},
                        {
                            "type": "sql",
                            "name": "orders",
                            "content": {
                                "database_id": 1,
                                "sql": "SELECT * FROM orders WHERE region = {{ region }}",
                            },
                        },
                    ],
                }
            ]
        }
    )

    name: Name
    description: LongText = ""
    type: Literal["report", "notebook"] = "report"
    folder: ShortText | None = None
    time_zone: ShortText = "UTC"
    blocks: list[NewBlock] = Field(default_factory=list, max_length=500)


class ReportChange(BaseModel):
    """What to change of a report; what is left out stays, and what is unknown is ignored."""

    name: Name | None = Field(None, examples=["Orders of a week"])
    description: LongText | None = Field(None, examples=["How much was ordered."])
    type: Literal["report", "notebook"] | None = None
    folder: ShortText | None = None
    time_zone: ShortText | None = Field(None, examples=["Europe/Berlin"])


class RunOptions(BaseModel):
    """
    How to run a report.

    :param send_to_me: Whether this is a preview: mails go to ``email`` only, other messages nowhere.
    :param email: Where a preview's mails go; without it, nowhere.
    """

    send_to_me: bool = False
    email: ShortText | None = None


class ReportRunRequest(BaseModel):
    """
    With what to run a report.

    :param parameters: Values for its parameters.
    """

    parameters: dict[str, Any] = Field(default_factory=dict, examples=[{"region": "EMEA"}])
    options: RunOptions | None = None


@router.get("/")
def list_reports(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List the reports of the workspace."""
    with parts.database.reading() as session:
        rows = select_in_workspace(Report, caller)
        count, page = LISTING.fetch(session, rows, parse_list_query(q))
        return build_list(count, [build_report_row(report) for report in page])


@router.post("/", status_code=201)
def make_report(wanted: NewReport, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Make a report, with its blocks."""
    draft = ReportDraft(
        name=wanted.name,
        description=wanted.description,
        type=wanted.type,
        folder=wanted.folder,
        time_zone=wanted.time_zone,
        blocks=tuple(block.build_draft() for block in wanted.blocks),
    )
    with parts.database.writing() as session:
        report = create_report(session, caller.workspace_id, draft)
        answer = build_one({**build_whole_report(report), "warnings": list_warnings(report)})
    parts.engine.wake()
    return answer


@router.get("/{reference}")
def get_report(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show a report and its blocks."""
    with parts.database.reading() as session:
        return build_one(build_whole_report(find_by_reference(session, Report, reference, caller)))


@router.put("/{reference}")
def update_report(reference: str, wanted: ReportChange, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Change the name, the description, the type or the folder of a report."""
    changes = wanted.model_dump(exclude_unset=True)
    changes = {name: value for name, value in changes.items() if value is not None or name == "folder"}
    with parts.database.writing() as session:
        report = _lock_report(session, reference, caller)
        change_report(session, report, changes)
        answer = {"result": build_whole_report(report)}
    parts.engine.wake()
    return answer


@router.delete("/{reference}")
def remove_report(reference: str, parts: Parts, caller: Editor) -> dict[str, str]:
    """Delete a report with its blocks, triggers, schedules, runs and results."""
    with parts.database.writing() as session:
        report = _lock_report(session, reference, caller)
        files = list_result_files(session, report_id=report.id)
        delete_report(session, report)
    parts.results.delete(files)
    parts.engine.wake()
    return {"message": "OK"}


@router.post("/{reference}/run/noteflow")
def run_report(
    reference: str,
    parts: Parts,
    caller: Editor,
    wanted: ReportRunRequest | None = None,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> dict[str, Any]:
    """Run a report; its parameters have their defaults, unless the body gives ``parameters``."""
    key = check_idempotency_key(idempotency_key)
    wanted = wanted or ReportRunRequest()
    check_json(wanted.parameters)
    options = wanted.options.model_dump() if wanted.options else None
    with parts.database.reading() as session:
        report = find_by_reference(session, Report, reference, caller)
    run = accept_run(
        parts.database,
        parts.results,
        report.id,
        wanted.parameters,
        origin="api",
        idempotency_key=key,
        options=options,
    )
    parts.engine.wake()
    return {"result": {"noteflow_run_uid": run.uid, "run_id": run.id}}


def build_report_row(report: Report) -> dict[str, Any]:
    """Build what lists show of a report."""
    return {
        "id": report.id,
        "uid": report.uid,
        "name": report.name,
        "description": report.description,
        "type": report.type,
        "folder": report.folder,
        "time_zone": report.time_zone,
        "created_on": format_moment(report.created_on),
        "updated_on": format_moment(report.updated_on),
        "workflow_enabled": True,
    }


def build_whole_report(report: Report) -> dict[str, Any]:
    """Build a report with its blocks."""
    return {**build_report_row(report), "blocks": [build_block_summary(block) for block in report.blocks]}


def build_block_summary(block: Block) -> dict[str, Any]:
    """Build what a report shows of a block."""
    return {
        "id": block.id,
        "uid": block.uid,
        "type": block.type,
        "name": block.name,
        "verbose_name": block.verbose_name,
        "query_id": block.query.id if block.query else None,
    }


def _lock_report(session: Session, reference: str, caller: Caller) -> Report:
    report = find_by_reference(session, Report, reference, caller)
    session.refresh(report, with_for_update=True)
    return report
