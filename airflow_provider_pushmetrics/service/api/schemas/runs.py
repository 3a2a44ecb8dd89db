"""Runs of reports: the answers that show them and the results of their blocks."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import Field
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.service.api.conventions.answers import One, Page, answer
from airflow_provider_pushmetrics.service.api.conventions.fields import Id, Moment, Uid, one_of
from airflow_provider_pushmetrics.service.api.schemas.blocks import BlockType
from airflow_provider_pushmetrics.service.models.statuses import (
    CANCELLED,
    FAILED,
    NOT_RUN,
    PENDING,
    RUNNING,
    SUCCESS,
)

RunStatus: TypeAlias = Annotated[
    str, one_of(PENDING, RUNNING, SUCCESS, FAILED, CANCELLED), Field(examples=[SUCCESS])
]
BlockStatus: TypeAlias = Annotated[
    str, one_of(SUCCESS, FAILED, CANCELLED, NOT_RUN), Field(examples=[SUCCESS])
]
"""``not_run``: a block that it needs did not succeed."""


@answer
class RunRow(TypedDict):
    """A run of a report."""

    id: Id
    uid: Uid
    name: Annotated[str, Field(examples=["Orders"])]
    """The name of the report."""
    status: RunStatus
    flow_run_id: Annotated[str | None, Field(examples=["6a1f0c7e-0f3b-4a53-9d3e-1f2f7c1d9b10"])]
    """The UUID of the last attempt."""
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
    parameters: Annotated[dict[str, Any], Field(examples=[{"region": "EMEA"}])]
    """The values of all parameters of the report in this run."""
    error: Annotated[str | None, Field(examples=[None])]
    """The reason, when the run failed or was cancelled."""


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
    error: Annotated[str | None, Field(examples=[None])]
    """The reason, when the block did not succeed."""


@answer
class TaskResults(TypedDict):
    """The results of the blocks of a run, in their order on the page."""

    result: list[TaskResultRow]
