"""Blocks: the requests that make, change and run them, and the answers that show them."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from airflow_provider_pushmetrics.service.api.conventions.answers import RequestBody, answer
from airflow_provider_pushmetrics.service.api.conventions.fields import Id, Name, ShortText, Uid, one_of
from airflow_provider_pushmetrics.service.reports.block_graph import CHART, EMAIL, PARAMETER, SLACK, SQL, TEXT

BlockType: TypeAlias = Annotated[
    str, one_of(CHART, EMAIL, PARAMETER, SLACK, SQL, TEXT), Field(examples=[SQL])
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
    """The content, whose keys depend on the type."""
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
