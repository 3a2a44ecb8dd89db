from __future__ import annotations

import logging

import pytest

from airflow_provider_pushmetrics.receiver.outage import OutageLog


def test_outage_is_said_at_once_then_once_a_minute_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    outage = OutageLog(logging.getLogger("receiver"), clock=lambda: now)
    caplog.set_level(logging.INFO)
    outage.end("works")  # nothing was wrong
    for second in range(90):
        now = float(second)
        outage.report("the disk is full")
    outage.end("works again")
    outage.end("works again")
    assert caplog.messages == [
        "the disk is full",
        "the disk is full (59 times more since the last such line)",
        "works again",
    ]


def test_outage_that_comes_and_goes_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageLog(logging.getLogger("receiver"), clock=lambda: 0.0)
    for _ in range(50):
        outage.report("no connection")
    assert len(caplog.messages) == 1
