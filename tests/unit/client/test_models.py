from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_provider_pushmetrics.client.models import FeedPage, Run, RunOutputs, RunStatus, TriggeredRun


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("success", RunStatus.SUCCESS),
        ("SUCCESS", RunStatus.SUCCESS),
        (" Completed ", RunStatus.SUCCESS),
        ("failed", RunStatus.FAILED),
        ("crashed", RunStatus.FAILED),
        ("error", RunStatus.FAILED),
        ("cancelled", RunStatus.CANCELLED),
        ("canceled", RunStatus.CANCELLED),
        ("running", RunStatus.RUNNING),
        ("pending", RunStatus.PENDING),
        ("scheduled", RunStatus.PENDING),
        ("paused", RunStatus.UNKNOWN),
        ("", RunStatus.UNKNOWN),
        (None, RunStatus.UNKNOWN),
        (7, RunStatus.UNKNOWN),
    ],
)
def test_a_status_is_read_in_any_case_and_never_refused(word: object, status: RunStatus) -> None:
    assert RunStatus.parse(word) is status


def test_only_a_known_end_counts_as_finished() -> None:
    finished = {status for status in RunStatus if status.is_finished}
    assert finished == {RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.CANCELLED}


@given(st.none() | st.text() | st.integers() | st.lists(st.text()))
def test_reading_a_status_never_fails(value: object) -> None:
    assert RunStatus.parse(value) in RunStatus


def test_a_run_keeps_fields_that_this_version_does_not_know() -> None:
    run = Run.model_validate({"id": 7, "status": "running", "tags": ["a"]})
    assert run.model_extra == {"tags": ["a"]}


def test_a_run_needs_a_number() -> None:
    with pytest.raises(ValidationError):
        Run.model_validate({"status": "running"})


def test_what_a_server_leaves_out_stays_open() -> None:
    assert TriggeredRun.model_validate({"success": True}).run_id is None
    assert RunOutputs.model_validate({}).status is None


def test_the_first_block_that_failed_by_itself_is_found() -> None:
    blocks: list[dict[str, Any]] = [
        {"name": "a", "status": "success"},
        {"name": "b", "status": "not_run"},
        {"name": "c", "status": "failed", "error": "division by zero"},
        {"name": "d", "status": "failed"},
    ]
    block = RunOutputs.model_validate({"blocks": blocks}).find_failed_block()
    assert block is not None
    assert (block.name, block.error) == ("c", "division by zero")


@pytest.mark.parametrize(("status", "is_failed"), [("FAILED", True), ("success", False), (None, False)])
def test_a_failed_block_is_found_in_any_case_of_the_word(status: str | None, is_failed: bool) -> None:
    block = {"name": "a"} if status is None else {"name": "a", "status": status}
    found = RunOutputs.model_validate({"blocks": [block]}).find_failed_block()
    assert (found is not None) is is_failed


def test_truncated_queries_are_listed() -> None:
    queries = [
        {"query_id": 1, "query_result": "/1", "is_truncated": True, "row_limit": 10},
        {"query_id": 2, "query_result": "/2", "is_truncated": False, "row_limit": 10},
        {"query_id": 3, "query_result": "/3"},
    ]
    outputs = RunOutputs.model_validate({"queries": queries})
    assert [(query.query_id, query.row_limit) for query in outputs.list_truncated_queries()] == [(1, 10)]


def test_a_server_that_says_nothing_of_missing_rows_is_not_taken_to_have_sent_all() -> None:
    row = {"query_id": 3, "query_result": "/3"}
    outputs = RunOutputs.model_validate({"queries": [row], "blocks": [{"name": "a"}]})
    assert outputs.queries[0].is_truncated is None
    assert outputs.blocks[0].is_truncated is None


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"cursor": None},
        {"cursor": 2**64},
        {"cursor": 1, "events": [{"id": 1}]},
        {"cursor": 1, "events": [{"id": 2**64, "body": {}}]},
        {"events": []},
    ],
)
def test_a_page_of_another_shape_is_refused(page: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FeedPage.model_validate(page)
