"""Users and roles: the requests that add and change them, and the answers that show them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.accounts.members import ADDED, CREATED, NO_OP
from airflow_provider_pushmetrics.service.accounts.roles import Role
from airflow_provider_pushmetrics.service.api.conventions.fields import Id, Moment, ShortText, Uid, one_of
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    One,
    Page,
    RequestBody,
    Wrapped,
    answer,
)
from airflow_provider_pushmetrics.service.notifications.recipients import MAX_ADDRESS_LENGTH, check_address

MAX_USERS = 100


def check_email(text: str) -> str:
    """
    Accept one mail address.

    :raises ValueError: if it is not valid.
    """
    if not text.isprintable():
        raise ValueError("must be a mail address")
    try:
        return check_address(text.strip())
    except PushMetricsParameterError as error:
        raise ValueError(str(error)) from None


class NewUser(RequestBody):
    """A new user of the workspace."""

    email: Annotated[str, StringConstraints(max_length=MAX_ADDRESS_LENGTH), AfterValidator(check_email)] = (
        Field(examples=["ann@example.com"])
    )
    first_name: ShortText = Field("", examples=["Ann"])
    last_name: ShortText = Field("", examples=["Lee"])
    roles: list[int] = Field(default_factory=list, max_length=10, examples=[[2]])
    """The ids of roles; the highest applies. ``User`` if it is empty."""


class UserChange(RequestBody):
    """The changes of a user. An unknown field is ignored."""

    main_role: int | None = Field(None, examples=[3])
    """The id of the new role."""


class SomeUsers(RequestBody):
    """Several users."""

    users_uid: list[Annotated[str, StringConstraints(max_length=32)]] = Field(
        max_length=MAX_USERS, examples=[["kQ3vX8mWz1aB"]]
    )
    """The uids of the users."""


RoleName: TypeAlias = Annotated[
    str, one_of(*(role.value for role in Role)), Field(examples=[Role.USER.value])
]


@answer
class RoleSummary(TypedDict):
    """The id and the name of a role."""

    id: Id
    name: RoleName


@answer
class RoleRow(RoleSummary):
    """A role."""

    uid: Annotated[str, Field(examples=[Role.USER.uid])]


RoleList = TypeAliasType("RoleList", Page[RoleRow])


@answer
class RoleAssignment(TypedDict):
    """A role that was given to users or taken from them."""

    role: RoleRow
    users_uid: Annotated[list[str], Field(examples=[["kQ3vX8mWz1aB"]])]


RoleAssignmentResponse = TypeAliasType("RoleAssignmentResponse", Wrapped[RoleAssignment])


@answer
class UserRow(TypedDict):
    """A user of the workspace. Of a user of another workspace, only the address and the role are shown."""

    id: Id
    uid: Uid
    email: Annotated[str, Field(examples=["ann@example.com"])]
    first_name: Annotated[str, Field(examples=["Ann"])]
    last_name: Annotated[str, Field(examples=["Lee"])]
    main_role: RoleSummary
    roles: list[RoleRow]
    """The main role."""
    last_login: Moment | None


UserList = TypeAliasType("UserList", Page[UserRow])
UserResponse = TypeAliasType("UserResponse", One[UserRow])
ChangedUser = TypeAliasType("ChangedUser", Wrapped[UserRow])


@answer
class AddedUser(TypedDict):
    """A user who was added to the workspace."""

    id: Id
    result: UserRow
    action: Annotated[str, one_of(CREATED, ADDED, NO_OP), Field(examples=[CREATED])]
    """
    ``created``: the user is new. ``added_to_workspace``: the user belonged to other workspaces only.
    ``no_op``: the user belongs to the workspace already, and keeps the role.
    """
