"""Ids in URLs."""

from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.service.storage.ids import generate_uid, is_uid, parse_id


def test_uid_is_letters_and_digits_and_never_taken_for_an_id() -> None:
    uids = {generate_uid() for _ in range(200)}
    assert len(uids) == 200
    assert all(uid.isalnum() and uid.isascii() and parse_id(uid) is None for uid in uids)


@pytest.mark.parametrize(
    ("reference", "number"),
    [
        ("7", 7),
        ("007", 7),
        ("-1", None),
        ("x", None),
        ("", None),
        ("9" * 19, None),
        ("٣", None),
        ("1 ", None),
    ],
)
def test_only_plain_digits_that_fit_are_an_id(reference: str, number: int | None) -> None:
    assert parse_id(reference) == number


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("aB3", True), ("", False), ("a\x00", False), ("a-b", False), ("ü", False), ("\ud800", False)],
)
def test_only_letters_and_digits_may_be_a_uid(reference: str, expected: bool) -> None:
    assert is_uid(reference) is expected
