"""The first token at later starts: what Admins have revoked and changed since is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from airflow_provider_pushmetrics.service.accounts.authentication import Authenticator, Principal
from airflow_provider_pushmetrics.service.accounts.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.accounts.members import add_member, find_membership, remove_member
from airflow_provider_pushmetrics.service.accounts.roles import Role
from airflow_provider_pushmetrics.service.accounts.workspaces import create_workspace, delete_workspace
from airflow_provider_pushmetrics.service.api.tokens import add_token
from airflow_provider_pushmetrics.service.models import ApiToken, Membership, Workspace
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from tests.fakes.service_process import API_TOKEN

OTHER_TOKEN = "another-token-0123456789"


def find(database: Database, token: str) -> Principal | None:
    return Authenticator(database, Cipher("k" * 32), 900).find_principal(token)


def find_first(database: Database) -> Principal:
    found = find(database, API_TOKEN)
    assert found is not None
    return found


def test_token_that_is_given_replaces_the_one_before_for_good(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = find_first(database)
    bootstrap(database, tmp_path, OTHER_TOKEN)
    bootstrap(database, tmp_path, API_TOKEN)  # as an old process of a rolling change does
    assert find(database, API_TOKEN) is None
    found = find(database, OTHER_TOKEN)
    assert found is not None
    assert (found.user_id, found.workspace_id) == (first.user_id, first.workspace_id)
    assert "was revoked or replaced, and stays so" in caplog.text
    assert API_TOKEN not in caplog.text


def test_token_that_was_revoked_stays_revoked(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        session.get_one(ApiToken, find_first(database).token_id).revoked_on = get_now()
    bootstrap(database, tmp_path, API_TOKEN)
    assert find(database, API_TOKEN) is None


@pytest.mark.parametrize("token", [API_TOKEN, OTHER_TOKEN])
def test_role_that_was_changed_stays_changed(database: Database, tmp_path: Path, token: str) -> None:
    first = find_first(database)
    with database.writing() as session:
        membership = find_membership(session, first.user_id, first.workspace_id)
        assert membership is not None
        membership.role = Role.GUEST.value
    bootstrap(database, tmp_path, token)
    found = find(database, token)
    assert found is not None
    assert found.role is Role.GUEST


def test_own_token_of_a_user_with_that_name_stays_valid(database: Database, tmp_path: Path) -> None:
    first = find_first(database)
    with database.writing() as session:
        other = create_workspace(session, "Other", first.user_id)
        tokens = [
            add_token(session, first.user_id, workspace_id, "bootstrap")[1]
            for workspace_id in (first.workspace_id, other.id)
        ]
    bootstrap(database, tmp_path, OTHER_TOKEN)
    assert [find(database, token) is not None for token in tokens] == [True, True]
    assert find(database, API_TOKEN) is None


@pytest.mark.parametrize("token", [API_TOKEN, OTHER_TOKEN, None])
def test_workspace_of_others_is_not_entered_when_the_first_one_is_deleted(
    database: Database, tmp_path: Path, token: str | None
) -> None:
    first = find_first(database)
    with database.writing() as session:
        other = create_workspace(session, "Other", first.user_id)
        add_member(session, other.id, "a@example.com", "A", "", Role.ADMIN)
        leaving = find_membership(session, first.user_id, other.id)
        assert leaving is not None
        remove_member(session, leaving)
        delete_workspace(session, session.get_one(Workspace, first.workspace_id))
        other_id = other.id
    bootstrap(database, tmp_path, token)
    found = find(database, token or (tmp_path / "bootstrap-token").read_text().strip())
    assert found is not None
    with database.reading() as session:
        ids = session.scalars(select(Workspace.id).order_by(Workspace.id)).all()
        assert ids == [other_id, found.workspace_id]
        members = select(Membership.user_id).where(Membership.workspace_id == other_id)
        assert found.user_id not in session.scalars(members).all()


def test_token_that_is_given_after_the_removal_of_its_user_is_an_admins(
    database: Database, tmp_path: Path
) -> None:
    first = find_first(database)
    with database.writing() as session:
        add_member(session, first.workspace_id, "a@example.com", "A", "", Role.ADMIN)
        leaving = find_membership(session, first.user_id, first.workspace_id)
        assert leaving is not None
        remove_member(session, leaving)
    bootstrap(database, tmp_path, API_TOKEN)
    assert find(database, API_TOKEN) is None
    bootstrap(database, tmp_path, OTHER_TOKEN)
    found = find(database, OTHER_TOKEN)
    assert found is not None
    assert (found.workspace_id, found.role) == (first.workspace_id, Role.ADMIN)
    assert found.user_id != first.user_id
