"""What a role includes, and how the API names it."""

from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.service.accounts.roles import Role, find_role


def test_each_role_may_what_the_ones_after_it_may() -> None:
    allowed = {role: [other for other in Role if role.includes(other)] for role in Role}
    assert allowed == {
        Role.ADMIN: [Role.ADMIN, Role.USER, Role.GUEST],
        Role.USER: [Role.USER, Role.GUEST],
        Role.GUEST: [Role.GUEST],
    }


@pytest.mark.parametrize("role", list(Role))
def test_role_is_found_by_its_id_and_its_uid(role: Role) -> None:
    assert find_role(role.number) is find_role(str(role.number)) is find_role(role.uid) is role


@pytest.mark.parametrize("reference", [0, 4, -1, "Admin", "", "role"])
def test_other_references_name_no_role(reference: int | str) -> None:
    assert find_role(reference) is None
