"""Two transactions on PostgreSQL that change the members of workspaces at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsConflictError
from airflow_provider_pushmetrics.service.accounts.members import (
    add_member,
    find_membership,
    give_role,
    remove_member,
)
from airflow_provider_pushmetrics.service.accounts.roles import Role
from airflow_provider_pushmetrics.service.accounts.workspaces import create_workspace, delete_workspace
from airflow_provider_pushmetrics.service.api.tokens import add_token
from airflow_provider_pushmetrics.service.models import Membership, User, Workspace
from airflow_provider_pushmetrics.service.storage.database import Database
from tests.integration.service.webhooks.test_lock_order import wait_for_a_lock

pytestmark = pytest.mark.postgres

ADDRESS = "ann@example.com"
Change = Callable[[Session], object]


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
def other_id(database: Database) -> int:
    """Make a second workspace."""
    with database.writing() as session:
        return create_workspace(session, "Other", 1).id


def add(database: Database, *workspace_ids: int, role: Role = Role.USER) -> int:
    """Make a user a member of workspaces."""
    with database.writing() as session:
        for workspace_id in workspace_ids:
            membership, _ = add_member(session, workspace_id, ADDRESS, "Ann", "Lee", role)
        return membership.user_id


def delete(session: Session, workspace_id: int) -> None:
    delete_workspace(session, session.get_one(Workspace, workspace_id))


def remove(session: Session, user_id: int, workspace_id: int) -> None:
    membership = find_membership(session, user_id, workspace_id)
    assert membership is not None
    remove_member(session, membership)


def change_together(database: Database, first: Change, second: Change) -> None:
    """Begin the second change when the first one is done and not committed; it waits for it."""
    ended = threading.Event()

    def run_second() -> None:
        try:
            with database.writing() as session:
                second(session)
        finally:
            ended.set()

    with ThreadPoolExecutor(1) as threads:
        with database.writing() as session:
            first(session)
            session.flush()
            future = threads.submit(run_second)
            wait_for_a_lock(database, ended)
        future.result(120)


def read_users(database: Database) -> dict[int, tuple[str, list[int]]]:
    """Read the address and the workspaces of each user."""
    with database.reading() as session:
        users = session.scalars(select(User)).all()
        found = {user.id: (user.email.partition("-")[0], list[int]()) for user in users}
        for membership in session.scalars(select(Membership)):
            found[membership.user_id][1].append(membership.workspace_id)
        return found


def test_identity_is_deleted_by_the_later_one_of_two_that_end_the_last_memberships(
    database: Database, other_id: int
) -> None:
    user_id = add(database, 1, other_id)
    change_together(
        database, lambda session: delete(session, other_id), lambda session: remove(session, user_id, 1)
    )
    assert read_users(database)[user_id] == ("removed", [])


def test_user_whose_workspace_is_deleted_is_created_anew_by_one_who_adds_them_meanwhile(
    database: Database, other_id: int
) -> None:
    user_id = add(database, other_id)
    change_together(
        database,
        lambda session: delete(session, other_id),
        lambda session: add_member(session, 1, ADDRESS, "Ann", "", Role.USER),
    )
    users = read_users(database)
    assert users.pop(user_id) == ("removed", [])
    assert (ADDRESS, [1]) in users.values()


def test_user_who_is_added_elsewhere_meanwhile_keeps_the_identity(database: Database, other_id: int) -> None:
    user_id = add(database, other_id)
    change_together(
        database,
        lambda session: add_member(session, 1, ADDRESS, "Ann", "", Role.USER),
        lambda session: delete(session, other_id),
    )
    assert read_users(database)[user_id] == (ADDRESS, [1])


def test_token_is_refused_while_its_workspace_is_deleted_and_there_is_no_deadlock(
    database: Database, other_id: int
) -> None:
    user_id = add(database, other_id)
    with pytest.raises(NoResultFound):
        change_together(
            database,
            lambda session: delete(session, other_id),
            lambda session: add_token(session, user_id, other_id, "t"),
        )


@pytest.mark.parametrize(
    "change", [remove_member, lambda session, membership: give_role(session, membership, Role.USER)]
)
def test_role_that_was_given_meanwhile_counts(
    database: Database, change: Callable[[Session, Membership], None]
) -> None:
    """A user becomes the only Admin after their membership was read, and before it is changed."""
    user_id = add(database, 1)
    with database.writing() as session:
        membership = find_membership(session, user_id, 1)
        assert membership is not None
        with database.writing() as other:
            for number, role in ((user_id, Role.ADMIN), (1, Role.USER)):
                theirs = find_membership(other, number, 1)
                assert theirs is not None
                give_role(other, theirs, role)
        with pytest.raises(PushMetricsConflictError, match="only Admin"):
            change(session, membership)
