"""Users: who belongs to the workspace, and with which role. What is ``current`` is answered bare."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, contains_eager, undefer

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.accounts.members import (
    NO_OP,
    admit,
    dismiss,
    give_role,
    put_welcome,
)
from airflow_provider_pushmetrics.service.accounts.roles import Role, find_role
from airflow_provider_pushmetrics.service.api.conventions.access import Admin, Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import ShortText
from airflow_provider_pushmetrics.service.api.conventions.listing import (
    Listing,
    match_integer,
    match_text,
    parse_list_query,
)
from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.models import Membership, User, Workspace
from airflow_provider_pushmetrics.service.notifications.recipients import MAX_ADDRESS_LENGTH, check_address
from airflow_provider_pushmetrics.service.reports.block_types import ContentError
from airflow_provider_pushmetrics.service.storage.clock import format_moment
from airflow_provider_pushmetrics.service.storage.ids import MAX_INTEGER_ID, parse_id

router = APIRouter(prefix="/api/v1/user", tags=["user"])

LISTING = Listing(
    order=User.id,
    columns={"id": User.id, "email": User.email},
    conditions={
        ("id", "eq"): match_integer(User.id, "id"),
        ("email", "eq"): match_text(User.email),
    },
)


def check_email(text: str) -> str:
    """
    Accept one mail address.

    :raises ValueError: if it is none.
    """
    if not text.isprintable():
        raise ValueError("must be a mail address")
    try:
        return check_address(text.strip())
    except PushMetricsParameterError as error:
        raise ValueError(str(error)) from None


class NewUser(BaseModel):
    """
    Somebody who is to belong to the workspace.

    :param roles: The ids of their roles, of which the one that may do most counts; ``User``, unless given.
    """

    email: Annotated[str, StringConstraints(max_length=MAX_ADDRESS_LENGTH), AfterValidator(check_email)] = (
        Field(examples=["ann@example.com"])
    )
    first_name: ShortText = Field("", examples=["Ann"])
    last_name: ShortText = Field("", examples=["Lee"])
    roles: list[int] = Field(default_factory=list, max_length=10, examples=[[2]])


class UserChange(BaseModel):
    """
    What to change of a member; what is unknown is ignored.

    :param main_role: The id of their new role.
    """

    main_role: int | None = Field(None, examples=[3])


@router.get("/current")
def get_current_user(parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show the user whose token is used."""
    with parts.database.reading() as session:
        return build_user_row(find_member(session, str(caller.user_id), caller), is_self=True)


@router.get("/")
def list_users(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List the users of the workspace."""
    with parts.database.reading() as session:
        count, page = LISTING.fetch(session, _select_members(caller), parse_list_query(q))
        return build_list(count, [build_user_row(member) for member in page])


@router.post("/", status_code=201)
def create_user(
    wanted: NewUser, parts: Parts, caller: Admin, skip_welcome_email: bool = False
) -> dict[str, Any]:
    """
    Take somebody into the workspace, by their mail address.

    ``action`` says what that was: ``created`` for a new user, ``added_to_workspace`` for one of another
    workspace, ``no_op`` for one who belongs to it already. The first two are told by mail.
    """
    roles = [parse_role(number) for number in wanted.roles] or [Role.USER]
    with parts.database.writing() as session:
        member, action = admit(
            session,
            caller.workspace_id,
            wanted.email,
            wanted.first_name,
            wanted.last_name,
            min(roles, key=lambda role: role.number),
        )
        if action != NO_OP and not skip_welcome_email:
            sender = session.get_one(User, caller.user_id)
            put_welcome(session, member, sender, parts.settings.base_url)
        return {**build_one(build_user_row(member)), "action": action}


@router.get("/{reference}")
def get_user(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show a user of the workspace."""
    with parts.database.reading() as session:
        return build_one(build_user_row(find_member(session, reference, caller)))


@router.put("/{reference}")
def change_user(reference: str, wanted: UserChange, parts: Parts, caller: Admin) -> dict[str, Any]:
    """Give a user another role in the workspace; 409 if it would be left without an Admin."""
    with parts.database.writing() as session:
        member = find_member(session, reference, caller)
        if wanted.main_role is not None:
            give_role(session, member, parse_role(wanted.main_role))
        return {"result": build_user_row(member)}


@router.delete("/{reference}/remove_from_workspace/")
def remove_user(reference: str, parts: Parts, caller: Admin) -> dict[str, str]:
    """End a user's membership, and their tokens with it; 409 if no Admin would be left."""
    with parts.database.writing() as session:
        dismiss(session, find_member(session, reference, caller))
    return {"message": "OK"}


@router.delete("/{reference}/remove_from_workspace/{workspace}")
def remove_user_from(reference: str, workspace: str, parts: Parts, caller: Admin) -> dict[str, str]:
    """End a user's membership of a workspace, which must be that of the token."""
    with parts.database.reading() as session:
        own = session.get_one(Workspace, caller.workspace_id)
    if workspace not in (own.uid, str(own.id)):
        raise HTTPException(404, NOT_FOUND)
    return remove_user(reference, parts, caller)


def find_member(session: Session, reference: str, caller: Principal) -> Membership:
    """Find a user of the workspace by their id or uid; 404 if there is none."""
    number = parse_id(reference)
    if (number is not None and number > MAX_INTEGER_ID) or "\x00" in reference:
        raise HTTPException(404, NOT_FOUND)
    named = User.uid == reference if number is None else User.id == number
    member = session.scalar(_select_members(caller).where(named))
    if member is None:
        raise HTTPException(404, NOT_FOUND)
    return member


def parse_role(number: int) -> Role:
    """
    Find a role by its id.

    :raises ContentError: if there is none.
    """
    role = find_role(number)
    if role is None:
        known = ", ".join(f"{role.number} ({role.value})" for role in Role)
        raise ContentError(f"there is no role with the id {number}: use {known}")
    return role


def build_user_row(member: Membership, *, is_self: bool = False) -> dict[str, Any]:
    """Build what is shown of a user of a workspace; of another's, no more than who they are."""
    user, role = member.user, Role(member.role)
    is_own = is_self or bool(member.is_first)
    return {
        "id": user.id,
        "uid": user.uid,
        "email": user.email,
        "first_name": user.first_name if is_own else "",
        "last_name": user.last_name if is_own else "",
        "main_role": {"id": role.number, "name": role.value},
        "roles": [{"id": role.number, "uid": role.uid, "name": role.value}],
        "last_login": format_moment(user.last_login) if is_own else None,
    }


def _select_members(caller: Principal) -> Select[Membership]:
    members = (
        select(Membership)
        .join(Membership.user)
        .options(contains_eager(Membership.user), undefer(Membership.is_first))
    )
    return members.where(Membership.workspace_id == caller.workspace_id)
