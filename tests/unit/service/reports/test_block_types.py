"""What blocks may hold."""

from __future__ import annotations

import math
from typing import Any

import pytest

from airflow_provider_pushmetrics.service.reports.block_types import (
    ContentError,
    check_block_type,
    check_content,
    check_json,
    parse_content,
)


@pytest.mark.parametrize(("name", "kind"), [("query", "sql"), ("markdown", "text"), ("email", "email")])
def test_types_have_other_names(name: str, kind: str) -> None:
    assert check_block_type(name) == kind


def test_unknown_type_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ContentError, match=r"'sftp' are not supported: use chart, email, parameter"):
        check_block_type("sftp")


def test_content_is_an_object_or_its_json_text() -> None:
    assert parse_content('{"text": "é"}') == parse_content({"text": "é"}) == {"text": "é"}


def test_recipients_become_a_list_and_empty_keys_without_a_meaning_here_are_dropped() -> None:
    checked = check_content("email", {"subject": "s", "value": "v", "to_": "a@b.de, {{ who }}", "cc": []})
    assert checked == {
        "subject": "s",
        "value": "v",
        "format": "text",
        "to_": ["a@b.de", "{{ who }}"],
    }


def test_attachments_are_csv_unless_they_say_otherwise() -> None:
    mail = {"subject": "s", "value": "v", "to_": "a@b.de"}
    checked = check_content("email", {**mail, "attachments": [{"query": "q"}]})
    assert checked["attachments"] == [{"query": "q", "format": "csv"}]
    assert "attachments" not in check_content("email", mail)


@pytest.mark.parametrize(
    "attachments",
    [
        "q",
        ["q"],
        [{}],
        [{"query": 1}],
        [{"query": "q", "format": "exe"}],
        [{"query": "q", "format": ["csv"]}],
        [{"query": "q", "filename": 1}],
        [{"query": "q", "skip_if_empty": "no"}],
        [{"query": "q"}] * 11,
    ],
)
def test_attachments_that_cannot_be_are_refused(attachments: Any) -> None:
    with pytest.raises(ContentError):
        check_content("email", {"subject": "s", "value": "v", "to_": "a@b.de", "attachments": attachments})


@pytest.mark.parametrize(
    "template",
    ["{{ a" + ".b" * 5000 + " }}", "{{ " + "+".join("1" * 5000) + " }}", "{{ " + "9" * 5000 + " }}"],
)
def test_template_that_python_cannot_walk_through_is_refused(template: str) -> None:
    contents: dict[str, dict[str, Any]] = {
        "sql": {"sql": template, "database_id": 1},
        "text": {"text": template},
    }
    for kind, content in contents.items():
        with pytest.raises(ContentError, match="not a template"):
            check_content(kind, content)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("sql", {"sql": "{{ v | uper }}", "database_id": 1}),
        ("text", {"text": "{{ v | uper }}"}),
        ("chart", {"query": "q", "spec": {"mark": "bar", "title": ["{{ v | uper }}"]}}),
        ("email", {"to_": ["{{ v | uper }}"], "subject": "", "value": ""}),
        ("slack", {"channels": ["#a"], "value_markdown": "{{ v | uper }}"}),
    ],
)
def test_unknown_filter_is_refused_in_every_template_of_a_block(kind: str, content: dict[str, Any]) -> None:
    with pytest.raises(ContentError, match="there is no filter 'uper'"):
        check_content(kind, content)


def test_parameter_is_optional_and_of_any_type_unless_it_says_so() -> None:
    assert check_content("parameter", {}) == {"type": "any", "default": None, "required": False}


def nest(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", {"\udfff": 1}, nest(65), nest(5000)])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(ContentError):
        check_json({"key": value})
