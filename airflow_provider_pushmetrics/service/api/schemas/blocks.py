"""Blocks: the requests that make, change and run them, and the answers that show them."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.service.api.conventions.fields import (
    Id,
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
from airflow_provider_pushmetrics.service.api.conventions.statuses import (
    AnyStatus,
    Reason,
    ResultUrl,
    RunStatus,
)
from airflow_provider_pushmetrics.service.api.schemas.messages import SentMessage
from airflow_provider_pushmetrics.service.reports.authoring import MAX_BLOCKS
from airflow_provider_pushmetrics.service.reports.block_graph import CHART, EMAIL, PARAMETER, SLACK, SQL, TEXT

BlockType: TypeAlias = Annotated[
    str, one_of(CHART, EMAIL, PARAMETER, SLACK, SQL, TEXT), Field(examples=[SQL])
]
Warnings: TypeAlias = Annotated[
    list[str],
    Field(
        description="Names in templates that no block defines.",
        examples=[
            [
                "block 'orders': no block of the report is called 'region': runs fail unless a trigger"
                " gives a value, or the template has a default"
            ]
        ],
    ),
]


class NewBlock(RequestBody):
    """A block of a new report."""

    type: ShortText = Field(examples=["text"])
    """The type: ``chart``, ``email``, ``parameter``, ``slack``, ``sql`` or ``text``."""
    name: Name = Field(examples=["introduction"])
    """The name by which templates refer to the block."""
    verbose_name: ShortText | None = None
    """The title that people see."""
    content: dict[str, Any] | None = Field(None, examples=[{"text": "Hello {{ who }}"}])
    """The content; its keys depend on the type."""
    content_json: str | dict[str, Any] | None = None
    """The content as JSON text, used without ``content``."""


@answer
class BlockSummary(TypedDict):
    """A block, without its content."""

    id: Id
    uid: Uid
    type: BlockType
    name: Annotated[str, Field(examples=["orders"])]
    """The name by which templates refer to the block."""
    verbose_name: Annotated[str | None, Field(examples=["Orders of the region"])]
    """The title that people see."""
    query_id: Annotated[int | None, Field(examples=[1])]
    """The id of the query of a SQL block."""


class PlacedBlock(NewBlock):
    """A new block, and its place."""

    report_id: int | ShortText | None = None
    """The id or uid of the report; without it, the block goes into a notebook for such blocks."""


class BlockChange(RequestBody):
    """The changes of a block. A field that is not given stays; the content is replaced as a whole."""

    position: int | None = Field(None, ge=0, le=MAX_BLOCKS)
    """The new place on the page, from 0."""
    type: ShortText | None = None
    """The type of the block, which cannot change: another type is refused."""
    name: Name | None = Field(None, examples=["introduction"])
    verbose_name: ShortText | None = None
    content: dict[str, Any] | None = Field(None, examples=[{"text": "Hello {{ who }}"}])
    content_json: str | dict[str, Any] | None = None
    """The content as JSON text, used without ``content``."""


class BlockRunRequest(RequestBody):
    """The parameters of a run of one block. An unknown field is refused."""

    model_config = ConfigDict(extra="forbid")

    parameters: dict[str, Any] = Field(default_factory=dict, examples=[{"region": "EMEA"}])
    """Values for the parameters of the report, by name."""
    content_json: str | dict[str, Any] | None = None
    """Keys that replace those of the block's content in this run: an object or its JSON text."""


@answer
class BlockRow(BlockSummary):
    """A block with its content."""

    content_json: Annotated[str, Field(examples=['{"database_id": "kQ3vX8mWz1aB", "sql": "SELECT 1 AS n"}'])]
    """The content, as JSON text."""
    report_id: Id
    report_uid: Uid
    position: Annotated[int, Field(examples=[0])]
    """The place on the page, from 0."""
    created_on: Moment


@answer
class SavedBlock(BlockRow):
    """A block that was saved, and what may be wrong with its report."""

    warnings: Warnings


BlockList = TypeAliasType("BlockList", Page[BlockRow])
BlockResponse = TypeAliasType("BlockResponse", One[BlockRow])
CreatedBlock = TypeAliasType("CreatedBlock", One[SavedBlock])
ChangedBlock = TypeAliasType("ChangedBlock", Wrapped[SavedBlock])


@answer
class BlockChoices(TypedDict):
    """The values that a parameter can have."""

    result: Annotated[list[Any], Field(examples=[["EMEA", "APAC"]])]
    """At most 1,000 values. The list is empty if the parameter can have any value."""
    is_complete: Annotated[bool, Field(examples=[True])]
    """Whether there are no other values."""


@answer
class StartedBlockRun(TypedDict):
    """A run of one block that was started."""

    run_id: Id


@answer
class CancelledBlockRun(TypedDict):
    """A run of one block that was cancelled."""

    run_id: Id
    status: RunStatus


@answer
class BlockResultRow(TypedDict):
    """The result of a block in one run."""

    id: Annotated[int | None, Field(examples=[1])]
    """The id of the result; none while the run of the block has not finished."""
    run_id: Annotated[int | None, Field(examples=[1])]
    """The id of the run, if the block ran by itself."""
    report_run_id: Annotated[int | None, Field(examples=[None])]
    """The id of the run of the report, if the block ran as a part of it."""
    status: AnyStatus
    error: Reason
    output: Annotated[str | None, Field(examples=[None])]
    """The text of a text block, or the specification of a chart; null after a success if no longer kept."""
    output_html: Annotated[str | None, Field(examples=[None])]
    """The text of a text block, as HTML."""
    messages: list[SentMessage]
    """The messages of the block."""
    row_count: Annotated[int | None, Field(examples=[42])]
    """The number of rows of a query."""
    query_result: ResultUrl
    created_on: Moment | None
    """The moment at which the run, or the block in it, started."""
    finished_on: Moment | None


@answer
class BlockResultList(TypedDict):
    """The last results of a block, the newest first."""

    count: Annotated[int, Field(examples=[1])]
    ids: Annotated[list[int | None], Field(examples=[[1]])]
    result: list[BlockResultRow]


@answer
class BlockResultDetails(TypedDict):
    """One result of a block."""

    id: Id
    result: BlockResultRow


@answer
class LastBlockResult(TypedDict):
    """The last result of a block, and those before it."""

    result: BlockResultRow | None
    last_results: list[BlockResultRow]


BlockResultResponse = TypeAliasType("BlockResultResponse", BlockResultDetails | LastBlockResult)
