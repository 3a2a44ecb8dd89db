"""Tokens: how they look, and what is kept of them."""

from __future__ import annotations

import re

import pytest

from airflow_provider_pushmetrics.service.accounts.authentication import (
    URL_SAFE,
    generate_api_token,
    generate_trigger_token,
    hash_token,
    is_same_hash,
)


def test_api_token_has_the_shape_that_the_official_client_checks() -> None:
    assert re.fullmatch(r"pmpat_[A-Za-z0-9_\-]{40,64}", generate_api_token())


def test_issued_tokens_may_ride_in_a_url_and_differ() -> None:
    tokens = {generate_trigger_token() for _ in range(20)}
    assert len(tokens) == 20
    assert all(URL_SAFE.match(token) and len(token) >= 43 for token in tokens)


@pytest.mark.parametrize("token", ["short", "with space in it, too", "x" * 257, "percent%41percent%41", ""])
def test_token_that_may_not_ride_in_a_url_is_known(token: str) -> None:
    assert not URL_SAFE.match(token)


def test_any_token_can_be_hashed_and_compared() -> None:
    assert is_same_hash(hash_token("\ud800é"), hash_token("\ud800é"))
    assert not is_same_hash(hash_token(""), hash_token("x"))
