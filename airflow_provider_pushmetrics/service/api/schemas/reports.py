"""Reports: the requests that make, change and run them, also as YAML, and the answers that show them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, Self, TypeAlias

from pydantic import ConfigDict, Field, field_validator, model_validator
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.api.conventions.fields import (
    Flag,
    Id,
    LongText,
    Moment,
    Name,
    ShortText,
    Uid,
    one_of,
)
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    One,
    Page,
    RequestBody,
    Wrapped,
    answer,
)
from airflow_provider_pushmetrics.service.api.schemas.blocks import BlockSummary, NewBlock, Warnings
from airflow_provider_pushmetrics.service.notifications.recipients import parse_recipient

ReportType: TypeAlias = Annotated[str, one_of("report", "notebook"), Field(examples=["report"])]


class NewReport(RequestBody):
    """A new report or notebook, with its blocks."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Orders",
                    "description": "The orders of a region.",
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
    """The folder that shows the report."""
    time_zone: ShortText = "UTC"
    """The time zone of the report's dates, by its IANA name."""
    blocks: list[NewBlock] = Field(default_factory=list, max_length=500)


class ReportChange(RequestBody):
    """The changes of a report. A field that is not given stays; an unknown field is ignored."""

    name: Name | None = Field(None, examples=["Orders of the week"])
    description: LongText | None = Field(None, examples=["The orders of a region."])
    type: Literal["report", "notebook"] | None = None
    folder: ShortText | None = None
    """The folder that shows the report; ``null`` takes it out of its folder."""
    time_zone: ShortText | None = Field(None, examples=["Europe/Berlin"])


class RunOptions(RequestBody):
    """Options of a run. An unknown field is refused: a misspelled ``send_to_me`` would mail to everybody."""

    model_config = ConfigDict(extra="forbid")

    send_to_me: Flag = False
    """Whether the run is a preview: its mails go to ``email`` only, and no other message is sent."""
    email: ShortText | None = None
    """The address for the mails of a preview; without it, a preview sends no mail."""

    @field_validator("email")
    @classmethod
    def check_email(cls, value: str | None) -> str | None:
        """Accept one address, or none."""
        if not value:
            return None
        try:
            return str(parse_recipient(value))
        except PushMetricsParameterError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def check_preview(self) -> Self:
        """Refuse an address without a preview: the mails would go to their own recipients."""
        if self.email is not None and not self.send_to_me:
            raise ValueError("email is only for a preview: set send_to_me to true as well")
        return self


class ReportRunRequest(RequestBody):
    """The parameters and options of a run. An unknown field is refused."""

    model_config = ConfigDict(extra="forbid")

    parameters: dict[str, Any] = Field(default_factory=dict, examples=[{"region": "EMEA"}])
    """Values for the parameters of the report, by name; the others have their defaults."""
    options: RunOptions | None = None


@answer
class ReportRow(TypedDict):
    """A report or a notebook."""

    id: Id
    uid: Uid
    name: Annotated[str, Field(examples=["Orders"])]
    description: Annotated[str, Field(examples=["The orders of a region."])]
    type: ReportType
    folder: Annotated[str | None, Field(examples=["Sales"])]
    """The folder that shows the report."""
    time_zone: Annotated[str, Field(examples=["Europe/Berlin"])]
    """The time zone of the report's dates, by its IANA name."""
    owner: Annotated[str | None, Field(examples=["ann@example.com"])]
    """The mail address of the user who created the report; `null` if nobody did, or the user was removed."""
    created_on: Moment
    updated_on: Moment
    workflow_enabled: Annotated[bool, Field(examples=[True])]
    """Always true: every report can be run."""


@answer
class ReportDetails(ReportRow):
    """A report or a notebook, with its blocks in their order on the page."""

    blocks: list[BlockSummary]


@answer
class SavedReport(ReportDetails):
    """A report that was saved, and what may be wrong with it."""

    warnings: Warnings


ReportList = TypeAliasType("ReportList", Page[ReportRow])
ReportResponse = TypeAliasType("ReportResponse", One[ReportDetails])
CreatedReport = TypeAliasType("CreatedReport", One[SavedReport])
ChangedReport = TypeAliasType("ChangedReport", Wrapped[ReportDetails])


@answer
class StartedReportRun(TypedDict):
    """A run that was started."""

    noteflow_run_uid: Uid
    """The uid of the run."""
    run_id: Id
    """The id of the run."""


StartedReportRunResponse = TypeAliasType("StartedReportRunResponse", Wrapped[StartedReportRun])


@answer
class ReportFromYaml(SavedReport):
    """A report that was created from YAML."""

    warning_duplicate_uids: NotRequired[Annotated[list[str], Field(examples=[["kQ3vX8mWz1aB"]])]]
    """The uids of other reports of the same name, if there are any."""


ReportFromYamlResponse = TypeAliasType("ReportFromYamlResponse", Wrapped[ReportFromYaml])


@answer
class BlockNames(TypedDict):
    """The names of the blocks that a document creates, updates and deletes."""

    blocks_created: Annotated[list[str], Field(examples=[["orders"]])]
    blocks_updated: Annotated[list[str], Field(examples=[["introduction"]])]
    blocks_deleted: Annotated[list[str], Field(examples=[[]])]


@answer
class DryRun(TypedDict):
    """The changes that a document would make."""

    would_change: Annotated[bool, Field(examples=[True])]
    summary: BlockNames
    yaml_diff: Annotated[str, Field(examples=["--- before\n+++ after\n@@ -1 +1 @@\n-name: A\n+name: B\n"])]
    """The difference between the report and the document, as a unified diff."""
    warnings: Warnings


ReplacedReportResponse = TypeAliasType("ReplacedReportResponse", Wrapped[SavedReport | DryRun])
