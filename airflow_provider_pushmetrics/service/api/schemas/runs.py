"""Runs of reports: the answers that show them and the results of their blocks."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import Field
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.service.api.conventions.fields import Id, Moment, Uid
from airflow_provider_pushmetrics.service.api.conventions.shapes import One, Page, answer
from airflow_provider_pushmetrics.service.api.conventions.statuses import BlockStatus, Reason, RunStatus
from airflow_provider_pushmetrics.service.api.schemas.blocks import BlockType

FlowRunId: TypeAlias = Annotated[
    str | None,
    Field(description="The UUID of the attempt.", examples=["6a1f0c7e-0f3b-4a53-9d3e-1f2f7c1d9b10"]),
]


@answer
class RunRow(TypedDict):
    """A run of a report."""

    id: Id
    uid: Uid
    name: Annotated[str, Field(examples=["Orders"])]
    """The name of the report."""
    status: RunStatus
    flow_run_id: FlowRunId
    parent_id: Annotated[int | None, Field(examples=[None])]
    """The id of the run that this one repeats."""
    start_time: Moment | None
    end_time: Moment | None
    created_on: Moment
    created_on_utc: Moment
    """The same as ``created_on``."""
    re_run_count: Annotated[int, Field(examples=[0])]
    """The number of repeats before this one."""
    report_uid: Uid
    report_id: Id
    origin: Annotated[str, Field(examples=["webhook"])]
    """The kind of request that started the run."""
    started_by: Annotated[str | None, Field(examples=["Airflow sales.run_report (run manual__1, try 1)"])]
    """The task of Airflow that started the run."""
    parameters: Annotated[dict[str, Any], Field(examples=[{"region": "EMEA"}])]
    """The values of all parameters of the report in this run."""
    error: Reason


RunList = TypeAliasType("RunList", Page[RunRow])
RunResponse = TypeAliasType("RunResponse", One[RunRow])


@answer
class RepeatedRun(TypedDict):
    """The new run that repeats another."""

    id: Id
    """The id of the new run."""
    result: RunRow
    noteflow_run_uid: Uid
    """The uid of the new run."""


@answer
class TaskResultRow(TypedDict):
    """The result of one block of a run."""

    uid: Uid
    """The uid of the run."""
    block_uid: Uid
    name: Annotated[str, Field(examples=["orders"])]
    """The name of the block."""
    type: BlockType
    status: BlockStatus
    results_key: Annotated[str | None, Field(examples=["kQ3vX8mWz1aB.parquet"])]
    """The name of the file that has the rows of a query."""
    row_count: Annotated[int | None, Field(examples=[42])]
    """The number of rows of a query."""
    error: Reason


@answer
class TaskResults(TypedDict):
    """The results of the blocks of a run, in their order on the page."""

    result: list[TaskResultRow]


@answer
class RunLogRow(TypedDict):
    """A line of the log of a run."""

    id: Id
    uid: Uid
    created_on: Moment
    message: Annotated[str, Field(examples=["block 'orders': success"])]
    flow_run_id: FlowRunId
    noteflow_run_id: Id
    """The id of the run."""
    task_run_id: Annotated[str | None, Field(examples=["kQ3vX8mWz1aB"])]
    """The uid of the block."""
    effective_level: Annotated[str, Field(examples=["INFO"])]
    """The level, by the names of Python's logging."""


RunLogList = TypeAliasType("RunLogList", Page[RunLogRow])
