"""The statuses of runs, blocks and deliveries, and the fields that tell more about them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from airflow_provider_pushmetrics.service.api.conventions.fields import one_of
from airflow_provider_pushmetrics.service.models.statuses import (
    CANCELLED,
    DELIVERED,
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
    str,
    one_of(SUCCESS, FAILED, CANCELLED, NOT_RUN),
    Field(
        description="The status of the block; `not_run` if a block that it needs did not succeed.",
        examples=[SUCCESS],
    ),
]
AnyStatus: TypeAlias = Annotated[
    str,
    one_of(PENDING, RUNNING, SUCCESS, FAILED, CANCELLED, NOT_RUN),
    Field(
        description="The status of the block, or of its run while that has not finished.", examples=[SUCCESS]
    ),
]
DeliveryStatus: TypeAlias = Annotated[str, one_of(PENDING, DELIVERED, FAILED), Field(examples=[DELIVERED])]

Reason: TypeAlias = Annotated[
    str | None, Field(description="The reason, if it did not succeed.", examples=[None])
]
ResultUrl: TypeAlias = Annotated[
    str | None,
    Field(
        description="The URL of the rows of a query.",
        examples=["https://pushmetrics.example/api/reports/4/queries/5/reportRun/3"],
    ),
]
