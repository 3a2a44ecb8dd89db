"""Recipients as triggers keep them."""

from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.notifications.texts import NotifyOn
from airflow_provider_pushmetrics.service.runs.notices import check_addresses, parse_details, parse_list


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, []),
        ("", []),
        ('["a@b.de", "c@d.de"]', ["a@b.de", "c@d.de"]),
        ("a@b.de, c@d.de,", ["a@b.de", "c@d.de"]),
        ('"a@b.de"', ["a@b.de"]),
        ('{"emails": ["a@b.de"]}', ["a@b.de"]),
        ('{"channels": "#a,#b"}', ["#a", "#b"]),
        ("[1, null, {}]", []),
        ("3", []),
        ("[" * 100_000, ["[" * 100_000]),
    ],
)
def test_recipients_come_in_many_forms(text: str | None, expected: list[str]) -> None:
    assert parse_list(text) == expected


def test_recipients_are_told_of_both_unless_the_details_say_otherwise() -> None:
    both = {"email_on": NotifyOn.BOTH, "slack_on": NotifyOn.BOTH}
    assert parse_details(None) == parse_details("no JSON") == parse_details("[]") == both
    assert parse_details('{"on": "failure", "slack_on": "success"}') == {
        "email_on": NotifyOn.FAILURE,
        "slack_on": NotifyOn.SUCCESS,
    }


@pytest.mark.parametrize("word", ['"never"', "[]", "1", "null"])
def test_unknown_word_is_refused(word: str) -> None:
    with pytest.raises(PushMetricsParameterError, match="must be success, failure or both"):
        parse_details(f'{{"on": {word}}}')


def test_addresses_are_checked_and_taken_once() -> None:
    assert check_addresses(["a@b.de", "a@b.de"]) == ["a@b.de"]
    with pytest.raises(PushMetricsParameterError):
        check_addresses(["nobody"])
    with pytest.raises(PushMetricsParameterError, match="too many"):
        check_addresses(f"a{number}@b.de" for number in range(101))
