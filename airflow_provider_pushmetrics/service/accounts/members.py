"""The members of a workspace: adding and removing them, and changing their roles."""

from __future__ import annotations

from html import escape

from sqlalchemy import ColumnElement, func, not_, select, update
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsConflictError
from airflow_provider_pushmetrics.service.accounts.roles import Role
from airflow_provider_pushmetrics.service.models import ApiToken, Membership, User, Workspace
from airflow_provider_pushmetrics.service.notifications.message_outbox import add_mail
from airflow_provider_pushmetrics.service.notifications.recipients import check_address
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText, build_subject
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import lock_row

CREATED = "created"
ADDED = "added_to_workspace"
NO_OP = "no_op"

WELCOME = """\
Hello {name},

you now belong to the workspace {workspace!r} of PushMetrics, with the role {role}.

  {url}

To sign in, you need an API token: ask {sender} for one.
"""


def add_member(
    session: Session, workspace_id: int, email: str, first_name: str, last_name: str, role: Role
) -> tuple[Membership, str]:
    """
    Ensure that a user is a member of a workspace; an existing member keeps the role.

    :return: The membership, and the action: created, added or none.
    :raises PushMetricsParameterError: if the address is invalid.
    """
    email = check_address(email.strip()).lower()
    hold_workspace(session, workspace_id)
    # Locked: a user whose last membership ends meanwhile loses the address, and is not found here.
    user = session.scalar(select(User).where(User.email == email).with_for_update(key_share=True))
    action = CREATED if user is None else ADDED
    if user is None:
        user = User(email=email, first_name=first_name, last_name=last_name)
        session.add(user)
        session.flush()
    known = find_membership(session, user.id, workspace_id)
    if known is not None:
        return known, NO_OP
    membership = Membership(user=user, workspace_id=workspace_id, role=role.value)
    session.add(membership)
    session.flush()
    return membership, action


def hold_workspace(session: Session, workspace_id: int) -> None:
    """
    Keep a workspace from being deleted before this transaction ends.

    What refers to a user too begins with this: those who delete lock the workspace before its users.

    :raises NoResultFound: if it was deleted.
    """
    session.get_one(Workspace, workspace_id, with_for_update={"read": True, "key_share": True})


def find_membership(session: Session, user_id: int, workspace_id: int) -> Membership | None:
    return session.scalar(
        select(Membership).where(Membership.user_id == user_id, Membership.workspace_id == workspace_id)
    )


def give_role(session: Session, membership: Membership, role: Role) -> None:
    """
    Change a member's role.

    :raises PushMetricsConflictError: if the workspace would have no Admin.
    """
    _lock(session, membership)
    if role is not Role.ADMIN:
        _require_other_admin(session, membership)
    membership.role = role.value


def remove_member(session: Session, membership: Membership) -> None:
    """
    Delete a membership and revoke the user's tokens for the workspace.

    The name and address of a user without any membership are deleted.

    :raises PushMetricsConflictError: if the workspace would have no Admin.
    """
    _lock(session, membership)
    _require_other_admin(session, membership)
    session.execute(
        update(ApiToken)
        .where(ApiToken.user_id == membership.user_id, ApiToken.workspace_id == membership.workspace_id)
        .where(ApiToken.revoked_on.is_(None))
        .values(revoked_on=get_now())
    )
    remove_identities(session, Membership.id == membership.id)
    session.delete(membership)
    session.flush()


def remove_identities(session: Session, ending: ColumnElement[bool]) -> None:
    """
    Delete the names and the addresses of the users who have no membership but those that end.

    The users are locked first, in the same order by all: of two transactions that end the memberships of one
    user, the later one sees what the other one has ended.

    :param ending: The memberships that this transaction deletes, all of one workspace, which is locked.
    """
    leaving = User.id.in_(select(Membership.user_id).where(ending))
    session.execute(select(User.id).where(leaving).order_by(User.id).with_for_update()).all()
    staying = User.id.in_(select(Membership.user_id).where(not_(ending)))
    without = select(User).where(leaving, not_(staying)).execution_options(populate_existing=True)
    for user in session.scalars(without):
        user.remove_identity()


def put_welcome(session: Session, membership: Membership, sender: User, url: str) -> None:
    """Add a mail to the outbox that tells a user of their new workspace; it contains no secret."""
    known_name = membership.user.first_name if membership.is_first else ""
    name = known_name or membership.user.email
    workspace = session.get_one(Workspace, membership.workspace_id).name
    text = WELCOME.format(name=name, workspace=workspace, role=membership.role, url=url, sender=sender.email)
    words = NoticeText(build_subject(f"Welcome to {workspace}"), text, f"<pre>{escape(text)}</pre>")
    add_mail(session, membership.workspace_id, [membership.user.email], words)


def _lock(session: Session, membership: Membership) -> None:
    """Lock the workspace, since two Admins may remove each other, and read the role again."""
    session.get_one(Workspace, membership.workspace_id, with_for_update=True)
    lock_row(session, membership)


def _require_other_admin(session: Session, membership: Membership) -> None:
    if membership.role != Role.ADMIN.value:
        return
    admins = select(func.count()).where(
        Membership.workspace_id == membership.workspace_id, Membership.role == Role.ADMIN.value
    )
    if (session.scalar(admins) or 0) < 2:
        raise PushMetricsConflictError(
            f"user {membership.user.email!r} is the workspace's only Admin: make another member Admin first."
        )
