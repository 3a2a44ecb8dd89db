from __future__ import annotations

from datetime import UTC, datetime

from airflow_provider_pushmetrics.receiver.inbox.rejections import MAX_PENDING, Rejection, RejectionLog

MOMENT = datetime(2025, 6, 9, tzinfo=UTC)


def add(log: RejectionLog, source: str) -> None:
    log.add(source=source, client="10.0.0.1", status=401, outcome="unauthorized", reason="clock")


def test_rejection_is_taken_once() -> None:
    log = RejectionLog(clock=lambda: MOMENT)
    add(log, "demo")
    assert log.drain() == [Rejection(MOMENT, "demo", "10.0.0.1", 401, "unauthorized", "clock")]
    assert log.drain() == []


def test_flood_keeps_the_newest() -> None:
    log = RejectionLog()
    for number in range(MAX_PENDING + 5):
        add(log, str(number))
    assert [row.source for row in log.drain()] == [str(number) for number in range(5, MAX_PENDING + 5)]


def test_source_that_a_stranger_named_is_shown_short_in_one_line_and_without_tokens() -> None:
    log = RejectionLog()
    add(log, "a\nb" + "x" * 500)
    add(log, "pmpat_" + "s" * 40)
    first, second = log.drain()
    assert "\n" not in first.source
    assert len(first.source) < 110
    assert "sss" not in second.source


def test_rejections_that_could_not_be_stored_are_collected_again_before_newer_ones() -> None:
    log = RejectionLog()
    add(log, "first")
    drained = log.drain()
    add(log, "second")
    log.restore(drained)
    assert [rejection.source for rejection in log.drain()] == ["first", "second"]
