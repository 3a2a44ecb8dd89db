"""Workspaces: the request that creates one and the answers that show them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.service.api.conventions.fields import Id, Name, Uid
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    One,
    Page,
    RequestBody,
    Wrapped,
    answer,
)


class NewWorkspace(RequestBody):
    """A new workspace."""

    name: Name = Field(examples=["Marketing"])


class WorkspaceChange(RequestBody):
    """The new name of a workspace."""

    name: Name = Field(examples=["Marketing and sales"])


@answer
class Organization(TypedDict):
    """The organization of a workspace."""

    name: Annotated[str, Field(examples=["PushMetrics"])]


@answer
class WorkspaceRow(TypedDict):
    """A workspace."""

    id: Id
    uid: Uid
    name: Annotated[str, Field(examples=["Marketing"])]
    is_active: Annotated[bool, Field(examples=[True])]
    """Whether the credential is bound to this workspace."""
    organization: Organization


WorkspaceList = TypeAliasType("WorkspaceList", Page[WorkspaceRow])
WorkspaceResponse = TypeAliasType("WorkspaceResponse", One[WorkspaceRow])
ChangedWorkspace = TypeAliasType("ChangedWorkspace", Wrapped[WorkspaceRow])


@answer
class CreatedWorkspace(TypedDict):
    """A new workspace and an API token for it."""

    id: Id
    result: WorkspaceRow
    token: Annotated[str, Field(examples=["pmpat_" + "T" * 43])]
    """An API token of the caller for the workspace. No other answer shows it."""
