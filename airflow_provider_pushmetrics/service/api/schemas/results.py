"""Results of runs: the answers at the URLs that events carry."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from airflow_provider_pushmetrics.service.api.conventions.fields import Id, Moment
from airflow_provider_pushmetrics.service.api.conventions.shapes import answer
from airflow_provider_pushmetrics.service.api.conventions.statuses import (
    BlockStatus,
    Reason,
    ResultUrl,
    RunStatus,
)
from airflow_provider_pushmetrics.service.api.schemas.blocks import BlockType
from airflow_provider_pushmetrics.service.api.schemas.messages import SentMessage

RowCount: TypeAlias = Annotated[
    int | None, Field(description="The number of rows of a query.", examples=[42])
]
RowLimit: TypeAlias = Annotated[
    int | None, Field(description="The number of rows that the query could have.", examples=[10_000_000])
]
IsTruncated: TypeAlias = Annotated[
    bool, Field(description="Whether the query had more rows, which were cut off.", examples=[False])
]
Duration: TypeAlias = Annotated[float | None, Field(examples=[0.208308])]
Timeout: TypeAlias = Annotated[
    int | None, Field(description="The seconds that the query could take.", examples=[3600])
]


@answer
class BlockOutput(TypedDict):
    """The output of one block."""

    block_id: Id
    name: Annotated[str, Field(examples=["orders"])]
    type: BlockType
    status: BlockStatus
    error: Reason
    output: Annotated[str | None, Field(examples=[None])]
    """The text of a text block, or the specification of a chart; null after a success if no longer kept."""
    output_html: Annotated[str | None, Field(examples=[None])]
    """The text of a text block, as HTML."""
    messages: list[SentMessage]
    """The messages of the block."""
    query_id: Annotated[int | None, Field(examples=[5])]
    row_count: RowCount
    max_rows: RowLimit
    row_limit: RowLimit
    is_truncated: IsTruncated
    timeout_seconds: Timeout
    query_result: ResultUrl
    duration_seconds: Duration


@answer
class QueryOutput(TypedDict):
    """The output of one query, without its rows."""

    query_id: Annotated[int | None, Field(examples=[5])]
    query_name: Annotated[str, Field(examples=["orders"])]
    query_result: ResultUrl
    status: BlockStatus
    row_count: RowCount
    row_limit: RowLimit
    is_truncated: IsTruncated
    error: Reason


@answer
class RunOutputs(TypedDict):
    """The outputs of all blocks of a run that has finished."""

    report_id: Id
    report_name: Annotated[str, Field(examples=["Orders"])]
    run_id: Id
    status: RunStatus
    error: Reason
    started_at: Moment | None
    finished_at: Moment | None
    duration_seconds: Duration
    parameters: Annotated[dict[str, Any], Field(examples=[{"region": "EMEA"}])]
    """The values of all parameters of the report in this run."""
    blocks: list[BlockOutput]
    queries: list[QueryOutput]
    """The queries among the blocks."""


@answer
class UnfinishedRun(TypedDict):
    """A run that has not finished; the header ``Retry-After`` contains when to poll again."""

    run_id: Id
    status: RunStatus


@answer
class ResultColumn(TypedDict):
    """A column of a result."""

    name: Annotated[str, Field(examples=["region"])]
    type: Annotated[str, Field(examples=["string"])]


@answer
class QueryResultDetails(TypedDict):
    """The result of one query; ``data`` is empty if it did not succeed."""

    query_id: Id
    query_name: Annotated[str, Field(examples=["orders"])]
    run_id: Id
    status: BlockStatus
    error: NotRequired[Annotated[str, Field(examples=["division by zero"])]]
    """The reason, if the query did not succeed."""
    columns: list[ResultColumn]
    row_count: Annotated[int, Field(examples=[1])]
    max_rows: RowLimit
    row_limit: RowLimit
    timeout_seconds: Timeout
    is_truncated: IsTruncated
    data: Annotated[list[dict[str, Any]], Field(examples=[[{"region": "EMEA", "orders": 42}]])]
    """The rows, each as an object."""
