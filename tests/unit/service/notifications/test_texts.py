"""What notifications say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_pushmetrics.service.notifications.texts import (
    FailedBlock,
    NotifyOn,
    RunNotice,
    build_slack_text,
    build_text,
)
from tests.fakes.notices import BROKEN, FINISHED, SUCCEEDED


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (NotifyOn.SUCCESS, {"success"}),
        (NotifyOn.FAILURE, {"failed"}),
        (NotifyOn.BOTH, {"success", "failed"}),
    ],
)
def test_people_are_told_of_what_they_asked_for(wish: NotifyOn, told: set[str]) -> None:
    statuses = ("success", "failed", "cancelled", "running", "pending")
    assert {status for status in statuses if wish.includes(status)} == told


def test_success_is_told_with_its_facts() -> None:
    words = build_text(SUCCEEDED)
    assert words.subject == "Departure delays: run 7 succeeded"
    assert words.text.splitlines() == [
        "Departure delays: run 7 succeeded",
        "",
        "Status:     success",
        "Started by: webhook",
        "Started:    2026-03-01 12:00:00 UTC",
        "Finished:   2026-03-01 12:00:05 UTC",
        "Took:       5.5 s",
        "Outputs:    https://push.example/api/reports/1/run/7",
    ]
    assert '<a href="https://push.example/api/reports/1/run/7">' in str(words.html)


def test_failure_is_told_with_the_blocks_and_what_the_database_said() -> None:
    words = build_text(BROKEN)
    assert words.subject == "Départ <b>& Bcc: all@example.com: run 8 failed"
    assert "What failed:\n- by_carrier: no such column: <script>x</script> LINE 1\n- worst: " in words.text
    assert "Took:       2 h 3 min\n" in words.text
    assert "<b>by_carrier</b>: no such column: &lt;script&gt;x&lt;/script&gt; LINE 1" in str(words.html)


def test_nothing_tells_the_credentials_that_a_database_repeats() -> None:
    words = build_text(BROKEN)
    assert "pa55word" not in words.text + str(words.html) + build_slack_text(BROKEN)
    assert "postgresql://***@db/x" in words.text


def test_run_that_never_began_has_no_length() -> None:
    words = build_text(
        replace(BROKEN, started_on=None, failures=(), error="the worker\nended", outputs_url=None)
    )
    assert "Took" not in words.text
    assert "Outputs" not in words.text + str(words.html)
    assert "Error:      the worker ended" in words.text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3599.7, "1 h 0 min"), (7260, "2 h 1 min")],
)
def test_lengths_are_told_as_people_say_them(seconds: float, text: str) -> None:
    notice = replace(SUCCEEDED, started_on=FINISHED - timedelta(seconds=seconds))
    assert f"Took:       {text}\n" in build_text(notice).text


def test_many_and_long_failures_are_cut_and_counted() -> None:
    failures = tuple(FailedBlock(f"b{number}", "x" * 5000) for number in range(25))
    words = build_text(replace(BROKEN, failures=failures))
    assert "- b9: " in words.text
    assert "b10" not in words.text
    assert words.text.rstrip().endswith("- …: and 15 more")
    assert len(words.text) < 10 * 600


def test_other_ends_are_told_by_their_word() -> None:
    assert (
        build_text(replace(SUCCEEDED, status="cancelled")).subject
        == "Departure delays: run 7 ended as cancelled"
    )


def test_slack_message_calls_nobody() -> None:
    text = build_slack_text(replace(BROKEN, report_name="<!channel> & co", error="<@U123>"))
    assert text.startswith(":x: *&lt;!channel&gt; &amp; co: run 8 failed*\nStatus: failed\n")
    assert "Error: &lt;@U123&gt;" in text
    assert "• `by_carrier`: no such column: &lt;script&gt;" in text
    assert "<" not in text


def test_slack_message_of_a_success_is_marked_as_one() -> None:
    assert build_slack_text(SUCCEEDED).startswith(":white_check_mark: *Departure delays: run 7 succeeded*")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


ANY = st.text(max_size=60)


@settings(deadline=None)
@given(name=ANY, block=ANY, error=ANY)
def test_no_name_and_no_error_breaks_out_of_its_place(name: str, block: str, error: str) -> None:
    notice: RunNotice = replace(BROKEN, report_name=name, failures=(FailedBlock(block, error),), error=error)
    words = build_text(notice)
    assert words.subject.isprintable()
    assert len(words.subject) <= 200
    tags = Tags()
    tags.feed(str(words.html))
    assert tags.seen <= {"h2", "h3", "table", "tr", "th", "td", "a", "ul", "li", "b"}
    assert "<" not in build_slack_text(notice)
