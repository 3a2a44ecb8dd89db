"""Reports as YAML: the answers to documents."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.service.api.conventions.shapes import Wrapped, answer
from airflow_provider_pushmetrics.service.api.schemas.blocks import Warnings
from airflow_provider_pushmetrics.service.api.schemas.reports import SavedReport


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
